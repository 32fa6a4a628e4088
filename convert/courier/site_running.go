package courier

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Process is a running program of Courier's.
type Process struct {
	PID  int
	Name string
	Dir  string // its working folder; "" when it may not be seen
}

func (p Process) String() string {
	text := fmt.Sprintf("%s (process %d)", p.Name, p.PID)
	if p.Dir != "" && p.Dir != "/" {
		text += " in " + p.Dir
	}
	return text
}

// Listens tells whether it is what starts new sessions.
func (p Process) Listens() bool { return p.Name == "couriertcpd" }

// Running gives what is running of Courier and may change mail at or below paths, as far as it can be seen: sessions, whose
// working folder is the home of their user (imapd and pop3d of Courier-IMAP 4.18.2 and 5.0.13), and, with listeners, the
// couriertcpd that starts them. proc is "/proc". Programs of other containers do not count.
func Running(proc string, paths []string, listeners bool) (found []Process) {
	for i, path := range paths {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		if abs, err := filepath.Abs(path); err == nil {
			path = abs
		}
		paths[i] = path
	}
	entries, _ := os.ReadDir(proc) // without it nothing can be seen
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := inspect(proc, pid); ok && p.concerns(paths, listeners) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b Process) int { return cmp.Compare(a.PID, b.PID) })
	return found
}

// inspect reads what a process is; ok is false for one that has ended or lives in another container.
func inspect(proc string, pid int) (p Process, ok bool) {
	dir := filepath.Join(proc, strconv.Itoa(pid))
	name, err := os.ReadFile(filepath.Join(dir, "comm"))
	if err != nil {
		return p, false
	}
	own, err := os.Readlink(filepath.Join(proc, "self/ns/mnt"))
	its, err2 := os.Readlink(filepath.Join(dir, "ns/mnt"))
	if err == nil && err2 == nil && own != its {
		return p, false
	}
	cwd, _ := os.Readlink(filepath.Join(dir, "cwd")) // only its owner and root may see it
	return Process{PID: pid, Name: strings.TrimSpace(string(name)), Dir: cwd}, true
}

// concerns tells whether the process may change mail at or below paths.
func (p Process) concerns(paths []string, listeners bool) bool {
	if p.Listens() {
		return listeners
	}
	switch p.Name {
	case "imapd", "pop3d", "courierimapd", "courierpop3d":
		return p.Dir != "" && p.Dir != "/" && slices.ContainsFunc(paths, func(path string) bool {
			return below(p.Dir, path) || below(path, p.Dir)
		})
	}
	return false
}

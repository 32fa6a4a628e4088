package passwd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"dovetail/auth"
)

// system is the files and the program.
type system struct {
	getentPath string
	etc        string
	turns      chan struct{} // one for each program that may run

	switches   file[map[string][]string] // nsswitch.conf: sources by database
	passwdFile file[*accounts]
	shadowFile file[map[string]string] // passwords by name
	groupFile  file[*groups]
}

// accounts are those of a file.
type accounts struct {
	list   []account
	byName map[string]account
}

func newSystem(o Options) *system {
	if o.Workers <= 0 {
		o.Workers = DefaultWorkers
	}
	if o.Etc == "" {
		o.Etc = "/etc"
	}
	s := &system{getentPath: o.Getent, etc: o.Etc, turns: make(chan struct{}, o.Workers)}
	s.switches = file[map[string][]string]{path: filepath.Join(o.Etc, "nsswitch.conf"), parse: parseSwitches}
	s.passwdFile = file[*accounts]{path: filepath.Join(o.Etc, "passwd"), parse: parsePasswd}
	s.shadowFile = file[map[string]string]{path: filepath.Join(o.Etc, "shadow"), parse: parseShadows}
	s.groupFile = file[*groups]{path: filepath.Join(o.Etc, "group"), parse: parseGroups}
	return s
}

// sources tells whether the file of a database is to be asked first, and whether getent is (then). Without a line for it
// glibc asks files alone, and shadow has the sources of passwd.
func (s *system) sources(database string) (file, other bool, err error) {
	all, err := s.switches.read()
	if errors.Is(err, fs.ErrNotExist) {
		return true, false, nil
	}
	if err != nil {
		return false, false, err
	}
	words, ok := all[database]
	if !ok && database == "shadow" {
		words, ok = all["passwd"]
	}
	if !ok {
		words = []string{"files"}
	}
	if !slices.ContainsFunc(words, func(w string) bool { return w != "files" }) {
		return true, false, nil
	}
	return words[0] == "files" && !strings.HasPrefix(words[1], "["), true, nil
}

// getent asks for one name and gives the first line of the answer.
func (s *system) getent(ctx context.Context, database, name string) (string, error) {
	out, err := s.run(ctx, database, "--", name)
	if err != nil {
		return "", err
	}
	line, _, _ := bytes.Cut(out, []byte("\n"))
	if len(line) == 0 {
		return "", auth.ErrUnknown
	}
	return string(line), nil
}

// run starts getent. Its exit code 2 is auth.ErrUnknown: a name is not found.
func (s *system) run(ctx context.Context, args ...string) ([]byte, error) {
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-ctx.Done():
		return nil, fmt.Errorf("all %d programs that may run do: %w", cap(s.turns), context.Cause(ctx))
	}
	program := s.getentPath
	if program == "" {
		program = "getent"
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	out, err := cmd.Output()
	if err == nil {
		return out, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return nil, fmt.Errorf("getent %s: %w", args[0], cause)
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if ok && exit.ExitCode() == 2 {
		return nil, auth.ErrUnknown
	}
	if ok && len(exit.Stderr) > 0 {
		return nil, fmt.Errorf("getent %s: %w: %.200q", args[0], err, exit.Stderr)
	}
	return nil, fmt.Errorf("getent %s: %w", args[0], err)
}

// unreadable says what to do about a file that is for root.
func (s *system) unreadable(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: passwords of the system are for root: run the auth service as root, or use passdb pam", err)
	}
	return err
}

// file is a file that is read again when it has changed.
type file[T any] struct {
	path  string
	parse func(text []byte) T

	mu    sync.Mutex // guards the rest
	stat  fs.FileInfo
	value T
}

func (f *file[T]) read() (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, err := os.Stat(f.path)
	if err == nil && f.stat != nil && os.SameFile(now, f.stat) && now.ModTime().Equal(f.stat.ModTime()) && now.Size() == f.stat.Size() {
		return f.value, nil
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(f.path)
	}
	if err != nil {
		var none T
		f.stat, f.value = nil, none
		return none, err
	}
	f.stat, f.value = now, f.parse(text)
	return f.value, nil
}

// parseSwitches reads nsswitch.conf: "database: source source [action] source # comment".
func parseSwitches(text []byte) map[string][]string {
	all := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		database, sources, ok := strings.Cut(line, ":")
		if ok {
			all[strings.TrimSpace(database)] = strings.Fields(sources)
		}
	}
	return all
}

func parsePasswd(text []byte) *accounts {
	all := &accounts{byName: map[string]account{}}
	for line := range entries(text) {
		a, ok := parseAccount(line)
		if !ok {
			continue
		}
		all.list = append(all.list, a)
		if _, there := all.byName[a.name]; !there {
			all.byName[a.name] = a
		}
	}
	return all
}

func parseShadows(text []byte) map[string]string {
	all := map[string]string{}
	for line := range entries(text) {
		name, password, ok := parseShadow(line)
		if _, there := all[name]; ok && !there {
			all[name] = password
		}
	}
	return all
}

// entries gives lines as glibc reads them: blanks before them do not count.
func entries(text []byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		scan := bufio.NewScanner(bytes.NewReader(text))
		scan.Buffer(nil, len(text)+1)
		for scan.Scan() {
			if !yield(strings.TrimLeft(scan.Text(), " \t")) {
				return
			}
		}
	}
}

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is what a service has used so far: its process with all that it has started, or of a process that only
// starts others, the children of that name. Time of processes that have ended is in that of who has waited for them.
func processorTime(pid int, children string) time.Duration {
	all := processes()
	sum := all[pid].waited
	if children == "" {
		sum += clock(pid)
	}
	for child, p := range all {
		if p.parent == pid && (children == "" || p.name == children) {
			sum += processorTime(child, "")
		}
	}
	return sum
}

// clock is a process's own time, all its threads together, to the nanosecond: the clock that clock_getcpuclockid(3) gives.
// It is 0 when the process has ended.
func clock(pid int) time.Duration {
	const scheduler = 2 // CPUCLOCK_SCHED
	var t unix.Timespec
	if unix.ClockGettime(int32(^pid<<3|scheduler), &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

type process struct {
	name   string
	parent int
	waited time.Duration // of children that have ended
}

func processes() map[int]process {
	all := map[int]process{}
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid …; the 16th and 17th are hundredths of a second (proc(5)).
		open, shut := strings.IndexByte(string(text), '('), strings.LastIndexByte(string(text), ')')
		f := strings.Fields(string(text[shut+1:]))
		number := func(s string) int { n, _ := strconv.Atoi(s); return n }
		all[number(strings.TrimSpace(string(text[:open])))] = process{name: string(text[open+1 : shut]), parent: number(f[1]),
			waited: time.Duration(number(f[13])+number(f[14])) * 10 * time.Millisecond}
	}
	return all
}

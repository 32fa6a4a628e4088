package maildir

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// clock makes unique file names as Dovecot does (maildir-filename.c, maildir_filename_generate):
//
//	<seconds>.M<microseconds>P<pid>D.<host>
//
// The D behind the process id marks files in tmp/ as ours. Names of one process ascend in the order in which Dovecot
// would number them if the list were lost.
type clock struct {
	tail string
}

// lastName is the time in microseconds that the last name of this process has. It belongs to the process and not to a
// store because the names do: two stores of one process may have the same folder open.
var lastName atomic.Int64

func newClock() *clock {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	host = strings.NewReplacer("/", `\057`, ":", `\072`, ",", `\054`).Replace(host)
	return &clock{tail: "P" + strconv.Itoa(os.Getpid()) + "D." + host}
}

func (c *clock) appendName(b []byte) []byte {
	last := lastName.Load()
	now := max(last+1, time.Now().UnixMicro())
	for !lastName.CompareAndSwap(last, now) {
		last = lastName.Load()
		now = max(last+1, now)
	}
	b = strconv.AppendInt(b, now/1e6, 10)
	b = strconv.AppendInt(append(b, ".M"...), now%1e6, 10)
	return append(b, c.tail...)
}

// made tells whether a name is one that a process of ours makes.
func made(name string) bool {
	_, _, ok := maker(name)
	return ok
}

// maker reads the process and host in a name of ours; host is followed by what else the name has.
func maker(name string) (pid int, host string, ok bool) {
	_, tail, ok := strings.Cut(name, ".M")
	i := strings.IndexByte(tail, 'P')
	if !ok || i < 0 {
		return 0, "", false
	}
	pidText, host, ok := strings.Cut(tail[i+1:], "D.")
	if _, err := fmt.Sscanf(pidText, "%d", &pid); !ok || err != nil || pid <= 0 || strconv.Itoa(pid) != pidText {
		return 0, "", false
	}
	return pid, host, true
}

// abandoned tells whether a name in tmp/ was made by a process of ours on this host that runs no more.
func (c *clock) abandoned(name string) bool {
	pid, host, ok := maker(name)
	if !ok {
		return false
	}
	_, ours, _ := strings.Cut(c.tail, "D.")
	if host, _, _ = strings.Cut(host, ","); host != ours {
		return false
	}
	return pid != os.Getpid() && unix.Kill(pid, 0) == unix.ESRCH
}

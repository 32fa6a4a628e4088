package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"dovetail/formats/disk"
)

var tempCount atomic.Uint64

// Temporary names follow Dovecot's pattern, .temp.<sec>.P<pid>Q<n>M<usec>.<host>, so that Dovecot removes what a dead
// run leaves behind (after 36 hours); tempSuffix tells ours, which the next run removes.
const (
	tempPrefix = ".temp."
	tempSuffix = ".dovetail"
)

// TempName is a name for a file that is being written.
func TempName(now time.Time) string {
	return fmt.Sprintf("%s%d.P%dQ%dM%d.%s%s", tempPrefix, now.Unix(), os.Getpid(), tempCount.Add(1), now.Nanosecond()/1000, hostName(), tempSuffix)
}

func hostName() string {
	host, _ := os.Hostname() // only makes the name more unique
	return strings.NewReplacer("/", "_", ":", "_").Replace(host)
}

// SweepTemps removes the files of runs on this host that died before they gave them a name.
func SweepTemps(d *disk.Dir) error {
	names, err := d.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !deadTemp(name) {
			continue
		}
		if err := d.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func deadTemp(name string) bool {
	rest, ok := strings.CutPrefix(name, tempPrefix)
	if !ok || !strings.HasSuffix(rest, "."+hostName()+tempSuffix) {
		return false
	}
	_, rest, _ = strings.Cut(rest, ".P")
	pid, _, ok := strings.Cut(rest, "Q")
	n, err := strconv.Atoi(pid)
	return ok && err == nil && n > 0 && unix.Kill(n, 0) == unix.ESRCH
}

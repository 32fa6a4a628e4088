package disk

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Watch has an inotify descriptor tell of what happens to the folder (name "") or to one file in it, and gives the watch
// descriptor. It goes by what is open, not by names, so that nobody can put another folder in its place.
func (d *Dir) Watch(inotify int, name string, mask uint32) (wd int32, err error) {
	fd := d.fd()
	if name != "" {
		if fd, err = d.openat(name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); err != nil {
			return 0, d.err("watch", name, err)
		}
		defer unix.Close(fd)
	}
	n, err := unix.InotifyAddWatch(inotify, fmt.Sprintf("/proc/self/fd/%d", fd), mask)
	if err != nil {
		return 0, d.err("watch", name, err)
	}
	return int32(n), nil
}

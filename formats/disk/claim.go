package disk

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// Claim marks the folder as being worked on by this handle until it is closed or release is called; ErrLocked if another
// handle, in any process, has claimed it. It leaves no file behind and ends with the process. It is a flock(2) on the
// folder, which mail programs do not use; where the file system has none (some network ones), nothing is excluded.
func (d *Dir) Claim() (release func(), err error) {
	err = unix.Flock(d.fd(), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return nil, &fs.PathError{Op: "claim", Path: d.path, Err: ErrLocked}
	}
	return func() { unix.Flock(d.fd(), unix.LOCK_UN) }, nil
}

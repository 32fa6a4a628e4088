package disk

import (
	"golang.org/x/sys/unix"
)

// Readlink gives where a symbolic link points to. Nothing in this package follows it: whoever does so must be sure that
// it was not planted by a mail user.
func (d *Dir) Readlink(name string) (string, error) {
	for size := 256; ; size *= 2 {
		b := make([]byte, size)
		n, err := unix.Readlinkat(d.fd(), name, b)
		if err != nil {
			return "", d.err("readlink", name, err)
		}
		if n < size {
			return string(b[:n]), nil
		}
	}
}

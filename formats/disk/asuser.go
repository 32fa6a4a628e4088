package disk

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// deniedError says why the mail user could not make a folder himself, as Dovecot tells it (2.3.19,
// src/lib/eacces-error.c).
type deniedError struct {
	fs     *FS
	parent string
	info   Info
}

func (e *deniedError) Error() string {
	return fmt.Sprintf("Permission denied (euid=%d egid=%d missing +w perm: %s, dir owned by %d:%d mode=0%o)",
		e.fs.UID, e.fs.GID, e.parent, e.info.UID, e.info.GID, e.info.Mode.Perm())
}

func (e *deniedError) Unwrap() error { return fs.ErrPermission }

// permits tells whether the mail user could make the folder name in d himself, by the owner and mode of d. Where d has an
// access list beside them nothing is refused: it may say so.
func (f *FS) permits(d *Dir, name string) error {
	if f == nil || !f.AsUser || f.UID == 0 {
		return nil
	}
	info, err := d.StatSelf()
	if err != nil {
		return err
	}
	bits := info.Mode.Perm() & 0o3
	switch {
	case info.UID == f.UID:
		bits = info.Mode.Perm() >> 6 & 0o3
	case info.GID == f.GID || slices.Contains(f.Groups, info.GID):
		bits = info.Mode.Perm() >> 3 & 0o3
	}
	if n, err := unix.Fgetxattr(d.fd(), "system.posix_acl_access", nil); bits == 0o3 || err == nil && n > 0 {
		return nil
	}
	return &fs.PathError{Op: "mkdir", Path: strings.TrimSuffix(d.path, "/") + "/" + name, Err: &deniedError{f, d.path, info}}
}

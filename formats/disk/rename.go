package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Rename replaces to (in folder into, which may be d).
func (d *Dir) Rename(name string, into *Dir, to string) error {
	return d.rename(name, into, to, 0)
}

// RenameNew fails with fs.ErrExist when to exists.
func (d *Dir) RenameNew(name string, into *Dir, to string) error {
	return d.rename(name, into, to, unix.RENAME_NOREPLACE)
}

// Exchange gives each of two files of the folder the other's name, in one step. Not every file system can: the error then
// wraps errors.ErrUnsupported.
func (d *Dir) Exchange(name, other string) error {
	err := d.rename(name, d, other, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) {
		err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return err
}

func (d *Dir) rename(name string, into *Dir, to string, flags uint) error {
	if err := d.fs.before(OpRename, join(into.path, to)); err != nil {
		return err
	}
	err := unix.Renameat2(d.fd(), name, into.fd(), to, flags)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: join(d.path, name), New: join(into.path, to), Err: err}
	}
	return nil
}

// Link makes a hard link.
func (d *Dir) Link(name string, into *Dir, to string) error {
	if err := d.fs.before(OpLink, join(into.path, to)); err != nil {
		return err
	}
	if err := unix.Linkat(d.fd(), name, into.fd(), to, 0); err != nil {
		return &os.LinkError{Op: "link", Old: join(d.path, name), New: join(into.path, to), Err: err}
	}
	return nil
}

// Remove removes a file.
func (d *Dir) Remove(name string) error { return d.remove(name, 0) }

// RemoveDir removes an empty folder.
func (d *Dir) RemoveDir(name string) error { return d.remove(name, unix.AT_REMOVEDIR) }

func (d *Dir) remove(name string, flags int) error {
	if err := d.fs.before(OpRemove, join(d.path, name)); err != nil {
		return err
	}
	return d.err("remove", name, unix.Unlinkat(d.fd(), name, flags))
}

// RemoveAll removes a folder and what is in it, following no link; a missing one is no error.
func (d *Dir) RemoveAll(name string) error {
	sub, err := d.OpenDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer sub.Close()
	entries, err := sub.ReadDir()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			err = sub.RemoveAll(e.Name())
		} else {
			err = sub.Remove(e.Name())
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return d.RemoveDir(name)
}

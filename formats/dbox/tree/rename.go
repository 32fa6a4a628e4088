package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
	"dovetail/formats/layout"
)

// RenameFolder moves a folder with its children. A separate index and the alt storage go first: when the run dies in between,
// the folder is still there under its old name and a second Rename finishes. Until then a folder with a separate index
// has its messages and no flags: the one write boundary at which two directories cannot change together.
func (t *Tree) RenameFolder(ctx context.Context, from, to string) error {
	return t.failOr("rename mailbox", from, t.rename(ctx, from, to))
}

func (t *Tree) rename(ctx context.Context, from, to string) error {
	if err := t.Writable(ctx); err != nil {
		return err
	}
	storage, err := t.Naming.Storage(to)
	if err != nil {
		return err
	}
	if to == from || strings.HasPrefix(to, from+"/") {
		return fmt.Errorf("%w: a mailbox cannot move to %q, into itself", formats.ErrBadName, to)
	}
	p, _, err := t.Lookup(ctx, from)
	if err != nil {
		return err
	}
	if _, _, err := t.Lookup(ctx, to); !errors.Is(err, formats.ErrNoMailbox) {
		if err == nil {
			err = formats.ErrExists
		}
		return err
	}
	roots := []*disk.Dir{t.Mail}
	if t.Alt != nil {
		roots = append([]*disk.Dir{t.Alt}, roots...)
	}
	if t.Index != t.Mail {
		roots = append([]*disk.Dir{t.Index}, roots...)
	}
	for _, root := range roots {
		if err := t.moveFolder(root, p.Folder, PathsOf(storage).Folder, from == inbox); err != nil {
			return err
		}
	}
	return nil
}

// moveFolder moves one directory below a root. Children of INBOX stay where they are: RFC 9051 section 6.3.6.
func (t *Tree) moveFolder(root *disk.Dir, from, to string, alone bool) error {
	if ok, err := IsDir(root, from); !ok || err != nil {
		return err
	}
	mode, err := t.dirMode()
	if err != nil {
		return err
	}
	if alone {
		return moveFiles(root, from, to, mode)
	}
	fromDir, err := root.OpenDir(path.Dir(from))
	if err != nil {
		return err
	}
	defer fromDir.Close()
	toDir, err := root.MakeDir(path.Dir(to), mode)
	if err != nil {
		return err
	}
	defer toDir.Close()
	if err := fromDir.RenameNew(path.Base(from), toDir, path.Base(to)); err != nil {
		return err
	}
	return errors.Join(toDir.Sync(), fromDir.Sync(), layout.Prune(root, from))
}

// moveFiles moves what belongs to the folder itself: dbox-Mails, and index files in an index root.
func moveFiles(root *disk.Dir, from, to string, mode fs.FileMode) error {
	fromDir, err := root.OpenDir(from)
	if err != nil {
		return err
	}
	defer fromDir.Close()
	toDir, err := root.MakeDir(to, mode)
	if err != nil {
		return err
	}
	defer toDir.Close()
	names, err := fromDir.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if name != MailsDir && !strings.HasPrefix(name, index.Prefix) {
			continue
		}
		if err := fromDir.RenameNew(name, toDir, name); err != nil {
			return err
		}
	}
	return errors.Join(toDir.Sync(), fromDir.Sync())
}

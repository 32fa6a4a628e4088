package tree

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"dovetail/formats/disk"
)

// DeleteFolder removes a mailbox: moved to trash/ in one step, then marked in its log by mark, so that other sessions let
// go of it, then removed. mark works on files that were opened before. (Dovecot marks it first; who dies in between leaves a mailbox that nobody can change any more.)
func (t *Tree) DeleteFolder(name string, p Paths, mark func() error) error {
	return t.failOr("delete mailbox", name, t.delete(p, mark))
}

func (t *Tree) delete(p Paths, mark func() error) error {
	mode, err := t.dirMode()
	if err != nil {
		return err
	}
	if err := trash(t.Mail, p, mode); err != nil {
		return err
	}
	if err := mark(); err != nil {
		return err
	}
	if err := emptyTrash(t.Mail); err != nil {
		return err
	}
	if err := removeEmpty(t.Mail, p.Folder); err != nil {
		return err
	}
	return t.deleteElsewhere(p)
}

// trash takes dbox-Mails away in one step; the folder itself stays while it has children.
func trash(root *disk.Dir, p Paths, mode fs.FileMode) error {
	bin, err := root.MakeDir(trashDir, mode)
	if err != nil {
		return err
	}
	defer bin.Close()
	folder, err := root.OpenDir(p.Folder)
	if err != nil {
		return err
	}
	defer folder.Close()
	var random [16]byte
	rand.Read(random[:]) // never fails: crypto/rand
	if err := folder.RenameNew(MailsDir, bin, hex.EncodeToString(random[:])); err != nil {
		return err
	}
	return errors.Join(folder.Sync(), bin.Sync())
}

// emptyTrash removes what is in trash/, also what a dead run left there. Another program may be doing the same.
func emptyTrash(root *disk.Dir) error {
	bin, err := root.OpenDir(trashDir)
	if err != nil {
		return err
	}
	defer bin.Close()
	names, err := bin.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := bin.RemoveAll(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (t *Tree) deleteElsewhere(p Paths) error {
	if t.Alt != nil {
		if err := t.Alt.RemoveAll(p.Mail); err != nil {
			return err
		}
		if err := removeEmpty(t.Alt, p.Folder); err != nil {
			return err
		}
	}
	if t.Index == t.Mail {
		return nil
	}
	d, err := t.Index.OpenDir(p.Index)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	if err := removeIndex(d); err != nil {
		return err
	}
	return removeEmpty(t.Index, p.Index)
}

// removeEmpty removes a folder unless it has children.
func removeEmpty(root *disk.Dir, name string) error {
	err := root.RemoveDir(name)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

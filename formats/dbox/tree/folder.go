package tree

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
	"dovetail/formats/layout"
)

var errListIndex = errors.New("LAYOUT=index is only read: names are in dovecot.list.index, which is Dovecot's to write")

// ReadOnly tells that the store is a source.
func (t *Tree) ReadOnly() bool { return t.Options.FS != nil && t.Options.FS.ReadOnly }

// Writable says why folders cannot be changed.
func (t *Tree) Writable(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case t.ReadOnly():
		return formats.ErrReadOnly
	case t.Options.Layout == "index":
		return errListIndex
	}
	return nil
}

var newCount atomic.Uint64

// CreateFolder makes a folder complete under another name and renames its dbox-Mails into place. describe says what
// the index of a folder with an identity holds.
func (t *Tree) CreateFolder(ctx context.Context, name string, like formats.Status, describe func(formats.Status) index.New) error {
	err := t.create(ctx, name, like, describe)
	return t.failOr("create mailbox", name, err)
}

func (t *Tree) create(ctx context.Context, name string, like formats.Status, describe func(formats.Status) index.New) error {
	if err := t.Writable(ctx); err != nil {
		return err
	}
	storage, err := t.Naming.Storage(name)
	if err != nil {
		return err
	}
	if _, err := t.Find(ctx, name); !errors.Is(err, formats.ErrNoMailbox) {
		if err == nil {
			err = formats.ErrExists
		}
		return err
	}
	mode, err := t.dirMode()
	if err != nil {
		return err
	}
	if err := t.sweepNew(); err != nil {
		return err
	}
	if like.UIDValidity == 0 {
		like.UIDValidity, err = layout.NextUIDValidity(ctx, t.Control)
	} else {
		err = layout.RaiseUIDValidity(ctx, t.Control, like.UIDValidity)
	}
	if err != nil {
		return err
	}
	n, p := describe(like), PathsOf(storage)
	if t.Index != t.Mail {
		if err := t.createIndex(ctx, t.Index, p.Index, n, mode); err != nil {
			return err
		}
	}
	tempName := fmt.Sprintf("%s%d.%d", newPrefix, os.Getpid(), newCount.Add(1))
	temp, err := t.Mail.MakeDir(tempName, mode)
	if err != nil {
		return err
	}
	defer temp.Close()
	err = t.createIn(ctx, temp, p, n, mode)
	if err != nil {
		t.Mail.RemoveAll(tempName)
		return err
	}
	return t.Mail.RemoveDir(tempName)
}

// CreateParent makes a folder without dbox-Mails.
func (t *Tree) CreateParent(ctx context.Context, name string) error {
	return t.failOr("create mailbox", name, t.createParent(ctx, name))
}

func (t *Tree) createParent(ctx context.Context, name string) error {
	if err := t.Writable(ctx); err != nil {
		return err
	}
	storage, err := t.Naming.Storage(name)
	if err != nil {
		return err
	}
	if _, _, err := t.Lookup(ctx, name); !errors.Is(err, formats.ErrNoMailbox) {
		if err == nil {
			err = formats.ErrExists
		}
		return err
	}
	mode, err := t.dirMode()
	if err != nil {
		return err
	}
	p := PathsOf(storage)
	folder, err := t.Mail.MakeDir(p.Folder, mode)
	if err != nil {
		return err
	}
	defer folder.Close()
	return t.syncParents(p.Folder)
}

func (t *Tree) createIn(ctx context.Context, temp *disk.Dir, p Paths, n index.New, mode fs.FileMode) error {
	if t.Index == t.Mail {
		if err := t.createIndex(ctx, temp, MailsDir, n, mode); err != nil {
			return err
		}
	} else if err := temp.Mkdir(MailsDir, mode); err != nil {
		return err
	}
	folder, err := t.Mail.MakeDir(p.Folder, mode)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := t.syncParents(p.Folder); err != nil {
		return err
	}
	if err := temp.RenameNew(MailsDir, folder, MailsDir); err != nil {
		return err
	}
	return folder.Sync()
}

// syncParents makes new directories durable, from the mail root down to the parent of folder.
func (t *Tree) syncParents(folder string) error {
	for dir := path.Dir(folder); ; dir = path.Dir(dir) {
		d, err := t.Mail.OpenDir(dir)
		if err != nil {
			return err
		}
		err = d.Sync()
		d.Close()
		if err != nil || dir == "." {
			return err
		}
	}
}

// createIndex makes an index. An index without mail directory is what a dead run left.
func (t *Tree) createIndex(ctx context.Context, in *disk.Dir, name string, n index.New, mode fs.FileMode) error {
	d, err := in.MakeDir(name, mode)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := removeIndex(d); err != nil {
		return err
	}
	x, err := index.Create(ctx, d, index.Prefix, n)
	if err != nil {
		return err
	}
	return errors.Join(x.Close(), d.Sync())
}

// NewIndex describes the index of a folder with the identity of like. ext is the name of its header extension, which
// begins with the number first; further extensions follow.
func NewIndex(ext string, first uint32, mailbox string, like formats.Status, more ...index.Extension) index.New {
	guid := like.GUID
	if guid.IsZero() {
		guid = NewGUID()
	}
	header := make([]byte, HeaderSize)
	binary.LittleEndian.PutUint32(header, first)
	copy(header[GUIDOffset:], guid[:])
	n := index.New{
		UIDValidity:   like.UIDValidity,
		NextUID:       like.UIDNext,
		FirstRecent:   like.FirstRecent,
		HighestModSeq: like.HighestModSeq,
		Extensions:    []index.Extension{{Name: ext, Header: header}},
	}
	if mailbox == inbox { // Dovecot 2.3, sdbox_mailbox_create_indexes: only there does POP3 look
		n.Extensions = append(n.Extensions, index.Extension{Name: POP3Ext, Header: make([]byte, 4)})
	}
	n.Extensions = append(n.Extensions, more...)
	return n
}

// removeIndex removes the index files in a directory that holds nothing else of value.
func removeIndex(d *disk.Dir) error {
	names, err := d.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, index.Prefix) {
			if err := d.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// dirMode is the mode of the mail root: new folders are as open as that.
func (t *Tree) dirMode() (fs.FileMode, error) {
	st, err := t.Mail.StatSelf()
	return st.Mode.Perm() | 0o700, err
}

// sweepNew removes half-made folders of processes that died.
func (t *Tree) sweepNew() error {
	names, err := t.Mail.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		rest, ok := strings.CutPrefix(name, newPrefix)
		pid, _, _ := strings.Cut(rest, ".")
		n, err := strconv.Atoi(pid)
		if !ok || err != nil || n == os.Getpid() || unix.Kill(n, 0) != unix.ESRCH {
			continue
		}
		if err := t.Mail.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}

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

package sdbox

import (
	"context"
	"crypto/rand"
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
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
	"dovetail/formats/index"
	"dovetail/formats/layout"
)

var errListIndex = errors.New("LAYOUT=index is only read: names are in dovecot.list.index, which is Dovecot's to write")

// writable says why folders cannot be changed.
func (s *Store) writable(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.readOnly():
		return formats.ErrReadOnly
	case s.Options.Layout == "index":
		return errListIndex
	}
	return nil
}

var newCount atomic.Uint64

// Create makes the folder complete under another name and renames its dbox-Mails into place.
func (s *Store) Create(ctx context.Context, name string, like formats.Status) error {
	err := s.create(ctx, name, like)
	return s.failOr("create mailbox", name, err)
}

func (s *Store) create(ctx context.Context, name string, like formats.Status) error {
	if err := s.writable(ctx); err != nil {
		return err
	}
	storage, err := s.Naming.Storage(name)
	if err != nil {
		return err
	}
	if _, err := s.Find(ctx, name); !errors.Is(err, formats.ErrNoMailbox) {
		if err == nil {
			err = formats.ErrExists
		}
		return err
	}
	mode, err := s.dirMode()
	if err != nil {
		return err
	}
	if err := s.sweepNew(); err != nil {
		return err
	}
	if like.UIDValidity == 0 {
		like.UIDValidity, err = layout.NextUIDValidity(ctx, s.Control)
	} else {
		err = layout.RaiseUIDValidity(ctx, s.Control, like.UIDValidity)
	}
	if err != nil {
		return err
	}
	p := tree.PathsOf(storage)
	if s.Index != s.Mail {
		if err := s.createIndex(ctx, s.Index, p.Index, name, like, mode); err != nil {
			return err
		}
	}
	tempName := fmt.Sprintf("%s%d.%d", newPrefix, os.Getpid(), newCount.Add(1))
	temp, err := s.Mail.MakeDir(tempName, mode)
	if err != nil {
		return err
	}
	defer temp.Close()
	err = s.createIn(ctx, temp, p, name, like, mode)
	if err != nil {
		s.Mail.RemoveAll(tempName)
		return err
	}
	return s.Mail.RemoveDir(tempName)
}

func (s *Store) createIn(ctx context.Context, temp *disk.Dir, p tree.Paths, name string, like formats.Status, mode fs.FileMode) error {
	if s.Index == s.Mail {
		if err := s.createIndex(ctx, temp, tree.MailsDir, name, like, mode); err != nil {
			return err
		}
	} else if err := temp.Mkdir(tree.MailsDir, mode); err != nil {
		return err
	}
	folder, err := s.Mail.MakeDir(p.Folder, mode)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := s.syncParents(p.Folder); err != nil {
		return err
	}
	if err := temp.RenameNew(tree.MailsDir, folder, tree.MailsDir); err != nil {
		return err
	}
	return folder.Sync()
}

// syncParents makes new directories durable, from the mail root down to the parent of folder.
func (s *Store) syncParents(folder string) error {
	for dir := path.Dir(folder); ; dir = path.Dir(dir) {
		d, err := s.Mail.OpenDir(dir)
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

// createIndex makes an index with the identity of like. An index without mail directory is what a dead run left.
func (s *Store) createIndex(ctx context.Context, in *disk.Dir, name, mailbox string, like formats.Status, mode fs.FileMode) error {
	d, err := in.MakeDir(name, mode)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := removeIndex(d); err != nil {
		return err
	}
	x, err := index.Create(ctx, d, index.Prefix, newIndex(mailbox, like))
	if err != nil {
		return err
	}
	return errors.Join(x.Close(), d.Sync())
}

func newIndex(mailbox string, like formats.Status) index.New {
	guid := like.GUID
	if guid.IsZero() {
		guid = newGUID()
	}
	header := make([]byte, tree.HeaderSize)
	copy(header[tree.GUIDOffset:], guid[:])
	n := index.New{
		UIDValidity:   like.UIDValidity,
		NextUID:       like.UIDNext,
		FirstRecent:   like.FirstRecent,
		HighestModSeq: like.HighestModSeq,
		Extensions:    []index.Extension{{Name: extDbox, Header: header}},
	}
	if mailbox == inbox { // Dovecot 2.3, sdbox_mailbox_create_indexes: only there does POP3 look
		n.Extensions = append(n.Extensions, index.Extension{Name: tree.POP3Ext, Header: make([]byte, 4)})
	}
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
func (s *Store) dirMode() (fs.FileMode, error) {
	st, err := s.Mail.StatSelf()
	return st.Mode.Perm() | 0o700, err
}

// sweepNew removes half-made folders of processes that died.
func (s *Store) sweepNew() error {
	names, err := s.Mail.Names()
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
		if err := s.Mail.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}

// Rename moves a folder with its children. A separate index and the alt storage go first: when the run dies in between,
// the folder is still there under its old name and a second Rename finishes. Until then a folder with a separate index
// has its messages and no flags: the one write boundary at which two directories cannot change together.
func (s *Store) Rename(ctx context.Context, from, to string) error {
	return s.failOr("rename mailbox", from, s.rename(ctx, from, to))
}

func (s *Store) rename(ctx context.Context, from, to string) error {
	if err := s.writable(ctx); err != nil {
		return err
	}
	storage, err := s.Naming.Storage(to)
	if err != nil {
		return err
	}
	if to == from || strings.HasPrefix(to, from+"/") {
		return fmt.Errorf("%w: a mailbox cannot move to %q, into itself", formats.ErrBadName, to)
	}
	p, _, err := s.Lookup(ctx, from)
	if err != nil {
		return err
	}
	if _, _, err := s.Lookup(ctx, to); !errors.Is(err, formats.ErrNoMailbox) {
		if err == nil {
			err = formats.ErrExists
		}
		return err
	}
	roots := []*disk.Dir{s.Mail}
	if s.Alt != nil {
		roots = append([]*disk.Dir{s.Alt}, roots...)
	}
	if s.Index != s.Mail {
		roots = append([]*disk.Dir{s.Index}, roots...)
	}
	for _, root := range roots {
		if err := s.moveFolder(root, p.Folder, tree.PathsOf(storage).Folder, from == inbox); err != nil {
			return err
		}
	}
	return nil
}

// moveFolder moves one directory below a root. Children of INBOX stay where they are: RFC 9051 section 6.3.6.
func (s *Store) moveFolder(root *disk.Dir, from, to string, alone bool) error {
	if ok, err := tree.IsDir(root, from); !ok || err != nil {
		return err
	}
	mode, err := s.dirMode()
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
	return errors.Join(toDir.Sync(), fromDir.Sync())
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
		if name != tree.MailsDir && !strings.HasPrefix(name, index.Prefix) {
			continue
		}
		if err := fromDir.RenameNew(name, toDir, name); err != nil {
			return err
		}
	}
	return errors.Join(toDir.Sync(), fromDir.Sync())
}

// Delete removes a mailbox: moved to trash/ in one step, then marked in its log, so that other sessions let go of it,
// then removed. (Dovecot marks it first; who dies in between leaves a mailbox that nobody can change any more.)
func (s *Store) Delete(ctx context.Context, name string) error {
	return s.failOr("delete mailbox", name, s.delete(ctx, name))
}

func (s *Store) delete(ctx context.Context, name string) error {
	if err := s.writable(ctx); err != nil {
		return err
	}
	p, err := s.Find(ctx, name)
	if err != nil {
		return err
	}
	b, err := s.open(ctx, name)
	if err != nil {
		return err
	}
	defer b.Close()
	mode, err := s.dirMode()
	if err != nil {
		return err
	}
	if err := trash(s.Mail, p, mode); err != nil {
		return err
	}
	if err := b.markDeleted(ctx); err != nil {
		return err
	}
	if err := emptyTrash(s.Mail); err != nil {
		return err
	}
	if err := removeEmpty(s.Mail, p.Folder); err != nil {
		return err
	}
	return s.deleteElsewhere(p)
}

// markDeleted is done through handles that were opened before the folder moved away. Attachments are removed while the
// messages still tell of them.
func (b *Mailbox) markDeleted(ctx context.Context) error {
	st := b.state()
	if b.store.Attachments != nil && st != nil {
		for m := range b.records(st) {
			b.unlinkAttachments(m.UID)
		}
	}
	if b.idx == nil || st.Deleted {
		return nil
	}
	return b.idx.Update(ctx, func(ix *index.Tx) error { ix.DeleteIndex(); return nil })
}

// trash takes dbox-Mails away in one step; the folder itself stays while it has children.
func trash(root *disk.Dir, p tree.Paths, mode fs.FileMode) error {
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
	if err := folder.RenameNew(tree.MailsDir, bin, hex.EncodeToString(random[:])); err != nil {
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

func (s *Store) deleteElsewhere(p tree.Paths) error {
	if s.Alt != nil {
		if err := s.Alt.RemoveAll(p.Mail); err != nil {
			return err
		}
		if err := removeEmpty(s.Alt, p.Folder); err != nil {
			return err
		}
	}
	if s.Index == s.Mail {
		return nil
	}
	d, err := s.Index.OpenDir(p.Index)
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
	return removeEmpty(s.Index, p.Index)
}

// removeEmpty removes a folder unless it has children.
func removeEmpty(root *disk.Dir, name string) error {
	err := root.RemoveDir(name)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

package tree

import (
	"context"
	"encoding/binary"
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

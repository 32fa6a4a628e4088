package mbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/layout"
)

// Mailboxes lists the files and folders below the root.
func (s *Store) Mailboxes(ctx context.Context) ([]formats.Info, error) {
	found, err := s.tree(ctx)
	if err != nil {
		return nil, err
	}
	infos := make([]formats.Info, len(found))
	for i, one := range found {
		infos[i] = one.Info
	}
	return infos, nil
}

func (s *Store) tree(ctx context.Context) ([]layout.Found, error) {
	var found []layout.Found
	if !s.single {
		var err error
		if found, err = s.naming.Tree(ctx, s.root, s.probe); err != nil {
			return nil, err
		}
	}
	inbox, err := s.inboxFound()
	if err != nil {
		return nil, err
	}
	if len(inbox) > 0 { // a folder INBOX only holds its children
		found = slices.DeleteFunc(found, func(f layout.Found) bool { return f.Path == "INBOX" && f.NoSelect })
	}
	return layout.Sort(append(inbox, found...)), nil
}

// inboxFound is the entry of INBOX, if it exists.
func (s *Store) inboxFound() ([]layout.Found, error) {
	dir, file, err := s.inbox()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	st, err := dir.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && !st.Mode.IsRegular() {
		err = &fs.PathError{Op: "open", Path: dir.Path() + "/" + file, Err: disk.ErrNotRegular}
	}
	return []layout.Found{{Info: formats.Info{Name: "INBOX", Err: err}, Path: "INBOX"}}, nil
}

// probe says what an entry of the tree is.
func (s *Store) probe(parent *disk.Dir, entry fs.DirEntry) (layout.Kind, error) {
	name, top := entry.Name(), parent.Path() == s.root.Path()
	switch {
	case internal(name), s.isInbox(parent, name):
		return layout.Skip, nil
	case entry.IsDir():
		return layout.Parent, nil
	case top && s.ours(name):
		return layout.Skip, nil
	case entry.Type().IsRegular(), entry.Type()&fs.ModeSymlink != 0:
		return layout.Leaf, nil
	}
	return layout.Leaf, &fs.PathError{Op: "open", Path: parent.Path() + "/" + name, Err: disk.ErrNotRegular}
}

// ours tells which entries of the root are no mailboxes, or INBOX. A file INBOX beside the file that is INBOX is hidden
// by Dovecot as well.
func (s *Store) ours(name string) bool {
	return name == subscriptionsFile || name == "INBOX" || s.opts.Inbox == "" && name == s.inboxName()
}

// isInbox tells whether the file set as INBOX lies in the tree: it is listed once, as with Dovecot 2.3.19.1.
func (s *Store) isInbox(parent *disk.Dir, name string) bool {
	if s.opts.Inbox == "" || name != filepath.Base(filepath.Clean(s.opts.Inbox)) {
		return false
	}
	st, err := parent.StatSelf()
	return err == nil && fmt.Sprintf("%x.%x/%s", st.Dev, st.Ino, name) == s.inboxPlace()
}

// Open opens a mailbox.
func (s *Store) Open(ctx context.Context, name string) (formats.Mailbox, error) {
	b, err := s.open(ctx, name)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (s *Store) open(ctx context.Context, name string) (*Mailbox, error) {
	b, err := s.handle(ctx, name)
	if err != nil {
		return nil, err
	}
	st, err := b.dir.Stat(b.file)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && st.Mode.IsDir():
		err = formats.ErrNoMailbox
	case err == nil && !st.Mode.IsRegular():
		err = disk.ErrNotRegular
	}
	if err != nil {
		return nil, errors.Join(b.fail("open", 0, 0, err), b.dir.Close())
	}
	return b, nil
}

// handle makes a Mailbox for a file that need not exist.
func (s *Store) handle(ctx context.Context, name string) (*Mailbox, error) {
	dir, file, err := s.locate(ctx, name)
	if err != nil {
		return nil, &formats.Error{Op: "open", Mailbox: name, Err: err}
	}
	b := &Mailbox{store: s, name: name, dir: dir, file: file, storage: "INBOX"}
	if name != "INBOX" {
		if b.storage, err = s.storage(ctx, name); err != nil {
			return nil, errors.Join(&formats.Error{Op: "open", Mailbox: name, Err: err}, dir.Close())
		}
	}
	return b, nil
}

const (
	fileMode   = 0o600
	folderMode = 0o700
)

// Create makes an empty mailbox: an empty file, or one with nothing but the internal message when it has numbers to
// keep.
func (s *Store) Create(ctx context.Context, name string, like formats.Status) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dir, file, err := s.newPlace(ctx, name)
	if err != nil {
		return &formats.Error{Op: "create", Mailbox: name, Err: err}
	}
	defer dir.Close()
	b := &Mailbox{store: s, name: name, dir: dir, file: file, storage: name}
	first := base{validity: like.UIDValidity, last: max(like.UIDNext, 1) - 1}
	if err := s.takeValidity(ctx, &first); err != nil {
		return b.fail("create", 0, 0, err)
	}
	return b.fail("create", 0, 0, b.create(first))
}

// CreateParent makes a folder for mailboxes.
func (s *Store) CreateParent(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.readOnly() {
		return &formats.Error{Op: "create", Mailbox: name, Err: formats.ErrReadOnly}
	}
	if name == "INBOX" {
		return &formats.Error{Op: "create", Mailbox: name, Err: formats.ErrExists}
	}
	dir, file, err := s.newPlace(ctx, name)
	if err == nil {
		defer dir.Close()
		err = errors.Join(dir.Mkdir(file, folderMode), dir.Sync())
	}
	if err != nil {
		return &formats.Error{Op: "create", Mailbox: name, Err: err}
	}
	return nil
}

// newPlace is where a mailbox that does not exist yet belongs, with its parents made.
func (s *Store) newPlace(ctx context.Context, name string) (*disk.Dir, string, error) {
	if name == "INBOX" {
		return s.newInbox()
	}
	if problem := s.nameProblem(name); problem != "" {
		return nil, "", fmt.Errorf("%w: %s", formats.ErrBadName, problem)
	}
	if s.single {
		return nil, "", fmt.Errorf("%w: %s is a file and has room for INBOX only", formats.ErrBadName, s.opts.Root)
	}
	storage, err := s.naming.Storage(name)
	if err != nil {
		return nil, "", err
	}
	if st, err := s.root.Stat(storage); err == nil {
		if st.Mode.IsDir() {
			return nil, "", fmt.Errorf("%w: a folder for its children, which an mbox file cannot have", formats.ErrExists)
		}
		return nil, "", formats.ErrExists
	}
	dir, err := s.root.MakeDir(path.Dir(storage), folderMode)
	if errors.Is(err, unix.ENOTDIR) {
		err = fmt.Errorf("%w: %w: the parent is an mbox file", formats.ErrBadName, formats.ErrNoRoom)
	}
	return dir, path.Base(storage), err
}

func (s *Store) newInbox() (*disk.Dir, string, error) {
	dir, file, err := s.inbox()
	if errors.Is(err, fs.ErrNotExist) && s.opts.Create {
		dir, err = s.opts.FS.MakeRoot(path.Dir(path.Clean(s.opts.Inbox)), folderMode)
	}
	if err != nil {
		return nil, "", err
	}
	if file == "" {
		file = path.Base(s.opts.Inbox)
	}
	if _, err := dir.Stat(file); err == nil {
		dir.Close()
		return nil, "", formats.ErrExists
	}
	return dir, file, nil
}

// Rename moves a file, or a folder with everything in it, and the indexes.
func (s *Store) Rename(ctx context.Context, from, to string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	fail := func(err error) error {
		if err == nil {
			return nil
		}
		return &formats.Error{Op: "rename", Mailbox: from, Err: err}
	}
	src, err := s.handle(ctx, from)
	if err != nil {
		return err
	}
	defer src.dir.Close()
	if _, err := src.dir.Stat(src.file); err != nil {
		return fail(fmt.Errorf("%w: %w", formats.ErrNoMailbox, err))
	}
	dir, file, err := s.newPlace(ctx, to)
	if err != nil {
		return fail(err)
	}
	defer dir.Close()
	if err := src.dir.RenameNew(src.file, dir, file); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = formats.ErrExists
		}
		return fail(err)
	}
	s.moveIndex(src.storage, to)
	return fail(errors.Join(dir.Sync(), src.dir.Sync()))
}

// moveIndex keeps what Dovecot knows beyond the file (modseqs, the mailbox's GUID). An index that cannot be moved is
// made anew by Dovecot.
func (s *Store) moveIndex(from, to string) {
	storage, err := s.naming.Storage(to)
	if err != nil || s.index == nil {
		return
	}
	old, next := indexPath(from), indexPath(storage)
	if _, err := s.index.Stat(old); err != nil {
		return
	}
	into, err := s.index.MakeDir(path.Dir(next), folderMode)
	if err != nil {
		return
	}
	defer into.Close()
	s.index.Rename(old, into, path.Base(next))
}

// Delete removes the file of a mailbox with its index, or a folder that holds nothing else.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := s.handle(ctx, name)
	if err != nil {
		return err
	}
	defer b.dir.Close()
	st, err := b.dir.Stat(b.file)
	if err != nil {
		return b.fail("delete", 0, 0, fmt.Errorf("%w: %w", formats.ErrNoMailbox, err))
	}
	if st.Mode.IsDir() {
		return b.fail("delete", 0, 0, b.removeFolder())
	}
	l, err := b.lock(ctx, s.opts.Locks.until())
	if err != nil {
		return b.fail("delete", 0, 0, err)
	}
	err = b.dir.Remove(b.file)
	if err == nil && s.index != nil {
		err = s.index.RemoveAll(indexPath(b.storage))
	}
	return b.fail("delete", 0, 0, errors.Join(err, l.release(), b.dir.Sync()))
}

// removeFolder removes a \NoSelect parent without children.
func (b *Mailbox) removeFolder() error {
	sub, err := b.dir.OpenDir(b.file)
	if err != nil {
		return err
	}
	defer sub.Close()
	names, err := sub.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if name != indexFolder {
			return fmt.Errorf("%w: it still has %s in it", formats.ErrParent, name)
		}
	}
	if err := sub.RemoveAll(indexFolder); err != nil {
		return err
	}
	return errors.Join(b.dir.RemoveDir(b.file), b.dir.Sync())
}

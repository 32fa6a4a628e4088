package maildir

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/layout"
)

const (
	inboxName    = "INBOX"
	folderMarker = "maildirfolder"

	// Where Dovecot moves a folder that is being deleted (mailbox-list-delete.c of 2.3).
	trashPlus = "..DOVECOT-TRASHED"
	trashFS   = "..DOVECOT-TrasH"
)

// folder is a mailbox's place on disk.
type folder struct {
	inbox bool
	dir   string // below a root: ".A.B" or "A/B"; of INBOX only in control and index roots
}

func (s *Store) inboxFolder() folder {
	if s.fs() {
		return folder{inbox: true, dir: inboxName}
	}
	return folder{inbox: true, dir: "." + inboxName}
}

// folderOf gives where a name lies or would lie.
func (s *Store) folderOf(name string) (folder, error) {
	if name == inboxName {
		return s.inboxFolder(), nil
	}
	storage, err := s.naming.Storage(name)
	if err != nil {
		return folder{}, err
	}
	if problem := s.nameProblem(name); problem != "" {
		return folder{}, formats.ErrBadName
	}
	if s.fs() {
		return folder{dir: storage}, nil
	}
	return folder{dir: "." + storage}, nil
}

func (s *Store) openBox(f folder) (*disk.Dir, error) {
	if f.inbox {
		if s.inbox == nil {
			return nil, fs.ErrNotExist
		}
		return s.inbox.OpenDir(".")
	}
	return s.root.OpenDir(f.dir)
}

// openSide opens a folder's place in the control or index root; beside the mail when there is no such root, nil when
// the root does not have it. A control folder is made where it may be.
func (s *Store) openSide(side *disk.Dir, f folder, box *disk.Dir) (*disk.Dir, error) {
	if side == nil {
		return box, nil
	}
	if side == s.control && !s.readOnly() {
		return side.MakeDir(f.dir, 0o700)
	}
	d, err := side.OpenDir(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return d, err
}

// Mailboxes lists folders with their parents.
func (s *Store) Mailboxes(ctx context.Context) ([]formats.Info, error) {
	found, err := s.found(ctx)
	if err != nil {
		return nil, &formats.Error{Op: "list", Path: s.root.Path(), Err: err}
	}
	list := make([]formats.Info, len(found))
	for i, f := range found {
		list[i] = f.Info
	}
	return list, nil
}

// found is the list with places on disk. A folder below the root that is called like the inbox is shown by its path: to
// clients its name is the inbox's.
func (s *Store) found(ctx context.Context) ([]layout.Found, error) {
	walk := s.naming.Flat
	if s.fs() {
		walk = s.naming.Tree
	}
	found, err := walk(ctx, s.root, s.probe)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if strings.EqualFold(found[i].Name, inboxName) {
			if found[i].NoSelect {
				continue
			}
			found[i].Name, found[i].Err = s.root.Path()+"/"+found[i].Path, errNotInbox
		}
	}
	found = slices.DeleteFunc(found, func(f layout.Found) bool { return f.Name == inboxName })
	// An inbox that cannot be looked into is there.
	if ok, err := s.isMailbox(s.inboxFolder()); ok || err != nil {
		found = append(found, layout.Found{Info: formats.Info{Name: inboxName, Err: err}})
	}
	return layout.Sort(found), nil
}

var errNotInbox = errors.New("a folder of this name cannot be told from the inbox; rename it")

// probe: links to files are usual beside the mail (.dovecot.sieve), and so are folders of Courier, of Dovecot's indexes
// and of other programs. With a name of theirs only what holds a cur is a mailbox, for instance that of a mailing list.
func (s *Store) probe(parent *disk.Dir, entry fs.DirEntry) (layout.Kind, error) {
	name, kind := entry.Name(), entry.Type()
	if kind != fs.ModeDir && kind != fs.ModeSymlink || s.fs() && (slices.Contains(s.naming.Reserved, name) || name == trashFS) {
		return layout.Skip, nil
	}
	other := strings.HasPrefix(name, ".dovecot") || s.fs() && strings.HasPrefix(name, "dovecot")
	if kind == fs.ModeSymlink {
		if other {
			return layout.Skip, nil
		}
		return layout.Mailbox, nil
	}
	if !s.fs() && len(name) < 2 {
		return layout.Mailbox, nil
	}
	ok, err := exists(parent, name+"/cur")
	switch {
	case ok:
		return layout.Mailbox, err
	case other && err == nil:
		return layout.Skip, nil
	}
	return layout.Parent, err
}

// exists tells whether a folder is there; a link is not one.
func exists(d *disk.Dir, name string) (bool, error) {
	sub, err := d.OpenDir(name)
	if err == nil {
		sub.Close()
		return true, nil
	}
	return disk.Exists(err)
}

// Open opens a mailbox. A folder whose name on disk is not valid is found by the name it is listed with.
func (s *Store) Open(ctx context.Context, name string) (formats.Mailbox, error) {
	f, err := s.find(ctx, name)
	if err != nil {
		return nil, &formats.Error{Op: "open", Mailbox: name, Err: err}
	}
	b, err := s.openMailbox(name, f)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// find gives where an existing mailbox is.
func (s *Store) find(ctx context.Context, name string) (folder, error) {
	f, err := s.folderOf(name)
	if err == nil {
		ok, err := s.isMailbox(f)
		if ok || err != nil {
			return f, err
		}
	} else if !errors.Is(err, formats.ErrBadName) {
		return f, err
	}
	if name == inboxName {
		return f, formats.ErrNoMailbox
	}
	found, err := s.found(ctx)
	if err != nil {
		return f, err
	}
	one, ok := layout.Lookup(found, name)
	if !ok || one.NoSelect {
		return f, formats.ErrNoMailbox
	}
	return folder{dir: one.Path}, one.Err
}

// isMailbox tells whether there is a mailbox, even one whose cur is no folder of its own: see Mailbox.barred.
func (s *Store) isMailbox(f folder) (ok bool, err error) {
	switch {
	case !f.inbox:
		ok, err = exists(s.root, f.dir+"/cur")
	case s.inbox != nil:
		ok, err = exists(s.inbox, "cur")
	}
	if errors.Is(err, disk.ErrNotRegular) && !s.readOnly() {
		return true, nil
	}
	return ok, err
}

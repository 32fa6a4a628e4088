package sdbox

import (
	"context"
	"errors"
	"io/fs"
	"path"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/layout"
)

const inbox = "INBOX"

// paths are the directories of a folder, relative to their roots.
type paths struct {
	folder string // mailboxes/<storage name>
	mail   string // message files; the same below the alt root
	index  string // index files below an index root of its own
}

func pathsOf(storage string) paths {
	folder := path.Join(mailboxesDir, storage)
	return paths{folder: folder, mail: path.Join(folder, mailsDir), index: folder}
}

// Mailboxes lists the folders below mailboxes/.
func (s *Store) Mailboxes(ctx context.Context) ([]formats.Info, error) {
	found, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	infos := make([]formats.Info, len(found))
	for i, f := range found {
		infos[i] = f.Info
	}
	return infos, nil
}

func (s *Store) list(ctx context.Context) ([]layout.Found, error) {
	if s.o.Layout == "index" {
		return s.readListIndex()
	}
	top, err := s.root.OpenDir(mailboxesDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer top.Close()
	found, err := s.naming.Tree(ctx, top, probe)
	for i := range found {
		found[i].Err = s.failOr("list", found[i].Name, found[i].Err)
	}
	return found, err
}

// probe: a folder is a mailbox when it has a dbox-Mails. Plain files are nothing, as for Dovecot.
func probe(parent *disk.Dir, entry fs.DirEntry) (layout.Kind, error) {
	switch {
	case entry.Name() == mailsDir:
		return layout.Skip, nil
	case entry.Type()&fs.ModeSymlink != 0:
		return layout.Mailbox, nil
	case !entry.IsDir():
		return layout.Skip, nil
	}
	ok, err := isDir(parent, entry.Name()+"/"+mailsDir)
	if ok || err != nil {
		return layout.Mailbox, err
	}
	return layout.Parent, nil
}

// isDir is false for nothing there, an error for something that is no directory or may not be read.
func isDir(d *disk.Dir, name string) (bool, error) {
	sub, err := d.OpenDir(name)
	if err != nil {
		return disk.Exists(err)
	}
	return true, sub.Close()
}

// find gives the place of an existing mailbox. The usual spelling of its name is tried first; a name on disk that no
// rule produces is found in the list.
func (s *Store) find(ctx context.Context, name string) (paths, error) {
	if storage, err := s.naming.Storage(name); err == nil && s.o.Layout != "index" {
		p := pathsOf(storage)
		if ok, err := isDir(s.root, p.mail); ok || err != nil {
			return p, err
		}
	}
	p, info, err := s.lookup(ctx, name)
	if err == nil && info.NoSelect {
		err = formats.ErrNoMailbox
	}
	return p, err
}

// lookup finds a name in the list: a mailbox or a \NoSelect parent.
func (s *Store) lookup(ctx context.Context, name string) (paths, formats.Info, error) {
	list, err := s.list(ctx)
	if err != nil {
		return paths{}, formats.Info{}, err
	}
	found, ok := layout.Lookup(list, name)
	if !ok {
		return paths{}, formats.Info{}, formats.ErrNoMailbox
	}
	p := pathsOf(found.Path)
	if s.o.Layout == "index" {
		p = paths{folder: p.folder, mail: p.folder, index: p.folder}
	}
	return p, found.Info, found.Err
}

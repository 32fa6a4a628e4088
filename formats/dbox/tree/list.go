package tree

import (
	"context"
	"errors"
	"io/fs"
	"path"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/layout"
)

// Paths are the directories of a folder, relative to their roots.
type Paths struct {
	Folder string // mailboxes/<storage name>
	Mail   string // message files; the same below the alt root
	Index  string // index files below an index root of its own
}

// PathsOf gives them from the name on disk.
func PathsOf(storage string) Paths {
	folder := path.Join(MailboxesDir, storage)
	return Paths{Folder: folder, Mail: path.Join(folder, MailsDir), Index: folder}
}

// Mailboxes lists the folders below mailboxes/.
func (t *Tree) Mailboxes(ctx context.Context) ([]formats.Info, error) {
	found, err := t.list(ctx)
	if err != nil {
		return nil, err
	}
	infos := make([]formats.Info, len(found))
	for i, f := range found {
		infos[i] = f.Info
	}
	return infos, nil
}

func (t *Tree) list(ctx context.Context) ([]layout.Found, error) {
	if t.Options.Layout == "index" {
		return t.readListIndex()
	}
	top, err := t.Mail.OpenDir(MailboxesDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer top.Close()
	found, err := t.Naming.Tree(ctx, top, probe)
	for i := range found {
		found[i].Err = t.failOr("list", found[i].Name, found[i].Err)
	}
	return found, err
}

// probe: a folder is a mailbox when it has a dbox-Mails. Plain files are nothing, as for Dovecot.
func probe(parent *disk.Dir, entry fs.DirEntry) (layout.Kind, error) {
	switch {
	case entry.Name() == MailsDir:
		return layout.Skip, nil
	case entry.Type()&fs.ModeSymlink != 0:
		return layout.Mailbox, nil
	case !entry.IsDir():
		return layout.Skip, nil
	}
	ok, err := IsDir(parent, entry.Name()+"/"+MailsDir)
	if ok || err != nil {
		return layout.Mailbox, err
	}
	return layout.Parent, nil
}

// IsDir is false for nothing there, an error for something that is no directory or may not be read.
func IsDir(d *disk.Dir, name string) (bool, error) {
	sub, err := d.OpenDir(name)
	if err != nil {
		return disk.Exists(err)
	}
	return true, sub.Close()
}

// Find gives the place of an existing mailbox. The usual spelling of its name is tried first; a name on disk that no
// rule produces is found in the list.
func (t *Tree) Find(ctx context.Context, name string) (Paths, error) {
	if storage, err := t.Naming.Storage(name); err == nil && t.Options.Layout != "index" {
		p := PathsOf(storage)
		if ok, err := IsDir(t.Mail, p.Mail); ok || err != nil {
			return p, err
		}
	}
	p, info, err := t.Lookup(ctx, name)
	if err == nil && info.NoSelect {
		err = formats.ErrNoMailbox
	}
	return p, err
}

// Lookup finds a name in the list: a mailbox or a \NoSelect parent.
func (t *Tree) Lookup(ctx context.Context, name string) (Paths, formats.Info, error) {
	list, err := t.list(ctx)
	if err != nil {
		return Paths{}, formats.Info{}, err
	}
	found, ok := layout.Lookup(list, name)
	if !ok {
		return Paths{}, formats.Info{}, formats.ErrNoMailbox
	}
	p := PathsOf(found.Path)
	if t.Options.Layout == "index" {
		p = Paths{Folder: p.Folder, Mail: p.Folder, Index: p.Folder}
	}
	return p, found.Info, found.Err
}

package maildir

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/layout"
)

// controlRoot holds subscriptions, our notes and the allocator of UIDVALIDITY values.
func (s *Store) controlRoot() *disk.Dir {
	if s.control != nil {
		return s.control
	}
	return s.root
}

func (s *Store) nextUIDValidity(ctx context.Context) (formats.UIDValidity, error) {
	return layout.NextUIDValidity(ctx, s.controlRoot())
}

// Create makes a folder with its list. cur/ is made last: a folder without it is no mailbox yet, and a later Create
// finishes it.
func (s *Store) Create(ctx context.Context, name string, like formats.Status) error {
	fail := func(err error) error { return &formats.Error{Op: "create", Mailbox: name, Err: err} }
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	f, err := s.folderOf(name)
	if err != nil {
		return fail(err)
	}
	if ok, err := s.isMailbox(f); ok || err != nil {
		if err == nil {
			err = formats.ErrExists
		}
		return fail(err)
	}
	box, err := s.makeBox(f)
	if err != nil {
		return fail(err)
	}
	defer box.Close()
	for _, sub := range []string{"tmp", "new"} {
		d, err := box.MakeDir(sub, 0o700)
		if err != nil {
			return fail(err)
		}
		d.Close()
	}
	if err := s.mark(f, box); err != nil {
		return fail(err)
	}
	if err := s.identify(ctx, name, f, box, like); err != nil {
		return fail(err)
	}
	if err := box.Mkdir("cur", 0o700); err != nil {
		return fail(err)
	}
	if err := box.Sync(); err != nil {
		return fail(err)
	}
	if f.inbox || s.fs() && strings.Contains(f.dir, "/") {
		return nil
	}
	return s.root.Sync()
}

func (s *Store) makeBox(f folder) (*disk.Dir, error) {
	if f.inbox {
		return s.inbox.OpenDir(".")
	}
	return s.root.MakeDir(f.dir, 0o700)
}

// mark makes the marker by which delivery agents know a Maildir++ sub-folder.
func (s *Store) mark(f folder, box *disk.Dir) error {
	if f.inbox || s.fs() {
		return nil
	}
	m, err := box.Create(folderMarker, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return m.Close()
}

// identify writes the list of a folder that is being made.
func (s *Store) identify(ctx context.Context, name string, f folder, box *disk.Dir, like formats.Status) error {
	if s.opts.Lists.courier() {
		return s.identifyCourier(ctx, name, f, box, like)
	}
	b := &Mailbox{store: s, name: name, folder: f, mode: 0o600, box: box}
	var err error
	if b.control, err = s.openSide(s.control, f, box); err != nil {
		return err
	}
	if b.control != box {
		defer b.control.Close()
	}
	v := &view{uidNext: like.UIDNext, header: listHeader{UIDValidity: like.UIDValidity, GUID: like.GUID, HasGUID: !like.GUID.IsZero()}}
	h, err := b.newHeader(ctx, v)
	if err != nil {
		return err
	}
	if err := layout.RaiseUIDValidity(ctx, s.controlRoot(), h.UIDValidity); err != nil {
		return err
	}
	b.indexDir = box
	if err := b.createEmptyIndex(ctx, h, like); err != nil {
		return err
	}
	return b.writeList(v, h)
}

// sides are the roots in which a folder has a place besides the mail root.
func (s *Store) sides() []*disk.Dir {
	var out []*disk.Dir
	for _, d := range []*disk.Dir{s.control, s.index} {
		if d != nil {
			out = append(out, d)
		}
	}
	return out
}

// CreateParent makes a folder without cur, new and tmp. In Maildir++ there is no such thing: a mailbox is made.
func (s *Store) CreateParent(ctx context.Context, name string) error {
	if !s.fs() {
		return s.Create(ctx, name, formats.Status{})
	}
	fail := func(err error) error { return &formats.Error{Op: "create", Mailbox: name, Err: err} }
	f, err := s.folderOf(name)
	if err != nil {
		return fail(err)
	}
	above, base, err := parentOf(s.root, f.dir, true)
	if err != nil {
		return fail(err)
	}
	defer above.Close()
	if err := above.Mkdir(base, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = formats.ErrExists
		}
		return fail(err)
	}
	if err := above.Sync(); err != nil {
		return fail(err)
	}
	return nil
}

// Rename moves a folder and its children in all roots. In layout Maildir++ each folder is moved by itself.
func (s *Store) Rename(ctx context.Context, from, to string) error {
	fail := func(err error) error { return &formats.Error{Op: "rename", Mailbox: from, Err: err} }
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	if from == inboxName || to == inboxName || strings.HasPrefix(to, from+"/") {
		return fail(formats.ErrBadName) // the inbox is not a folder of its own, and nothing can be moved into itself
	}
	target, err := s.folderOf(to)
	if err != nil {
		return fail(err)
	}
	found, err := s.found(ctx)
	if err != nil {
		return fail(err)
	}
	one, ok := layout.Lookup(found, from)
	if !ok {
		return fail(formats.ErrNoMailbox)
	}
	if occupied(found, from, to) {
		return fail(formats.ErrExists)
	}
	if s.fs() {
		err = s.moveAll(one.Path, target.dir)
	} else {
		err = s.moveFlat(found, one, from, target.dir)
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

// occupied tells whether a mailbox or one of its children would get a name that another one has. A parent that is nothing
// but the beginning of other names is none.
func occupied(found []layout.Found, from, to string) bool {
	return slices.ContainsFunc(found, func(f layout.Found) bool {
		if f.Name != from && !strings.HasPrefix(f.Name, from+"/") {
			return false
		}
		other, there := layout.Lookup(found, to+f.Name[len(from):])
		return there && other.Path != ""
	})
}

// moveFlat moves ".A" and every ".A.…"; children first, so that a rerun after a crash still finds the parent.
func (s *Store) moveFlat(found []layout.Found, one layout.Found, from, to string) error {
	old := one.Path
	if old == "" {
		storage, err := s.naming.Storage(from)
		if err != nil {
			return err
		}
		old = "." + storage
	}
	for i := len(found) - 1; i >= 0; i-- {
		path := found[i].Path
		if rest, ok := strings.CutPrefix(path, old); ok && (rest == "" || rest[0] == '.') {
			if err := s.moveAll(path, to+rest); err != nil {
				return err
			}
		}
	}
	return nil
}

// moveAll moves one folder in every root.
func (s *Store) moveAll(from, to string) error {
	for _, root := range append(s.sides(), s.root) {
		err := s.move(root, from, to)
		if err != nil && (root == s.root || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}

func (s *Store) move(root *disk.Dir, from, to string) error {
	source, base, err := parentOf(root, from, false)
	if err != nil {
		return err
	}
	defer source.Close()
	if _, err := source.Stat(base); err != nil {
		return err
	}
	into, toBase, err := parentOf(root, to, true)
	if err != nil {
		return err
	}
	defer into.Close()
	if err := source.RenameNew(base, into, toBase); err != nil {
		return err
	}
	err = errors.Join(source.Sync(), into.Sync())
	if s.fs() && err == nil {
		err = layout.Prune(root, from)
	}
	return err
}

// parentOf opens the folder in which path lies.
func parentOf(root *disk.Dir, path string, create bool) (*disk.Dir, string, error) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		d, err := root.OpenDir(".")
		return d, path, err
	}
	open := root.OpenDir
	if create {
		open = func(name string) (*disk.Dir, error) { return root.MakeDir(name, 0o700) }
	}
	d, err := open(path[:i])
	return d, path[i+1:], err
}

// Delete moves the folder to Dovecot's place for folders that are being deleted and removes it there: it vanishes in one
// step. In layout fs only its messages and lists go; children stay.
func (s *Store) Delete(ctx context.Context, name string) error {
	fail := func(err error) error { return &formats.Error{Op: "delete", Mailbox: name, Err: err} }
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	if name == inboxName {
		return fail(formats.ErrBadName)
	}
	f, err := s.find(ctx, name)
	if err != nil {
		return fail(err)
	}
	if s.fs() {
		err = s.deleteTree(f)
	} else {
		err = s.deleteFlat(f)
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

func (s *Store) deleteFlat(f folder) error {
	if err := s.root.RemoveAll(trashPlus); err != nil {
		return err
	}
	if err := s.root.Rename(f.dir, s.root, trashPlus); err != nil {
		return err
	}
	if err := s.root.Sync(); err != nil {
		return err
	}
	for _, side := range s.sides() {
		if err := side.RemoveAll(f.dir); err != nil {
			return err
		}
	}
	return s.root.RemoveAll(trashPlus)
}

func (s *Store) deleteTree(f folder) error {
	box, err := s.root.OpenDir(f.dir)
	if err != nil {
		return err
	}
	defer box.Close()
	trash, err := s.root.MakeDir(trashFS, 0o700)
	if err != nil {
		return err
	}
	defer trash.Close()
	if err := trash.RemoveAll("cur"); err != nil {
		return err
	}
	if err := box.Rename("cur", trash, "cur"); err != nil { // without cur it is no mailbox
		return err
	}
	if err := box.Sync(); err != nil {
		return err
	}
	if err := s.root.RemoveAll(trashFS); err != nil {
		return err
	}
	for _, sub := range []string{"new", "tmp"} {
		if err := box.RemoveAll(sub); err != nil {
			return err
		}
	}
	for _, root := range append(s.sides(), s.root) {
		if err := removeOwnFiles(root, f.dir); err != nil {
			return err
		}
	}
	return nil
}

// removeOwnFiles removes the files of one folder and, when no children are left, the folder.
func removeOwnFiles(root *disk.Dir, dir string) error {
	d, err := root.OpenDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	var files []string
	children := false
	err = d.Each(func(name []byte, kind fs.FileMode) error {
		if kind == fs.ModeDir {
			children = true
		} else if bytes.HasPrefix(name, []byte("dovecot")) || string(name) == folderMarker {
			files = append(files, string(name))
		} else {
			children = true // not ours to remove
		}
		return nil
	})
	for _, name := range files {
		err = errors.Join(err, d.Remove(name))
	}
	if err != nil || children {
		return err
	}
	parent, base, err := parentOf(root, dir, false)
	if err != nil {
		return err
	}
	defer parent.Close()
	return parent.RemoveDir(base)
}

package layout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// Kind is what a folder's entry is.
type Kind int

// The kinds of entries.
const (
	// Skip is nothing of the mailbox list: control files, cur, new, tmp.
	Skip Kind = iota
	// Leaf is a mailbox without children: an mbox file.
	Leaf
	// Mailbox is a folder that is a mailbox and may have children.
	Mailbox
	// Parent is a folder that only holds others.
	Parent
)

// Found is one mailbox, or entry that looks like one.
type Found struct {
	formats.Info

	// Path is where it is, relative to the folder that was walked: the storage name as found, which may be another than
	// the one that Naming.Storage would give. "" for an INBOX that is the folder itself.
	Path string
}

// Probe says what the entry of an open folder is. Entries that are symbolic links are not asked about if their name
// alone makes them Skip; see Walk.
type Probe func(parent *disk.Dir, entry fs.DirEntry) (Kind, error)

// Tree finds the mailboxes of layout fs below root, at any depth. Symbolic links and folders that cannot be read are
// given with their Err. probe sees links too and may Skip them by their names; other answers for a link are ignored.
func (n Naming) Tree(ctx context.Context, root *disk.Dir, probe Probe) ([]Found, error) {
	var found []Found
	if err := n.tree(ctx, root, "", probe, &found); err != nil {
		return nil, err
	}
	return Sort(found), nil
}

func (n Naming) tree(ctx context.Context, dir *disk.Dir, prefix string, probe Probe, found *[]Found) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := dir.ReadDir()
	if err != nil {
		return err
	}
	for _, entry := range entries {
		kind, err := probe(dir, entry)
		if kind == Skip && err == nil {
			continue
		}
		path := prefix + entry.Name()
		one := Found{Info: formats.Info{Name: n.Name(path), NoSelect: kind == Parent, Err: err}, Path: path}
		if entry.Type()&fs.ModeSymlink != 0 {
			one.Err = linkError(dir, entry.Name())
		}
		if one.Err == nil && kind != Leaf {
			one.Err = n.children(ctx, dir, entry.Name(), path, probe, found)
		}
		if errors.Is(one.Err, fs.ErrNotExist) || errors.Is(one.Err, context.Canceled) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue // gone since the folder was listed
		}
		one.NoSelect = one.NoSelect && one.Err == nil // what cannot be looked into may hold mail
		*found = append(*found, one)
	}
	return nil
}

func (n Naming) children(ctx context.Context, dir *disk.Dir, name, path string, probe Probe, found *[]Found) error {
	sub, err := dir.OpenDir(name)
	if err != nil {
		return err
	}
	defer sub.Close()
	return n.tree(ctx, sub, path+string(n.Separator), probe, found)
}

func linkError(dir *disk.Dir, name string) error {
	return &fs.PathError{Op: "open", Path: dir.Path() + "/" + name, Err: fmt.Errorf("%w: a symbolic link is not followed below a mail root", disk.ErrNotRegular)}
}

// Flat finds the mailboxes of layout Maildir++ in root: folders whose names begin with one dot. INBOX is left to the
// caller. Parents without a folder of their own are given as NoSelect with an empty Path.
func (n Naming) Flat(ctx context.Context, root *disk.Dir, probe Probe) ([]Found, error) {
	entries, err := root.ReadDir()
	if err != nil {
		return nil, err
	}
	var found []Found
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		storage, ok := strings.CutPrefix(entry.Name(), ".")
		if !ok || strings.HasPrefix(entry.Name(), "..DOVECOT-") {
			continue
		}
		kind, err := probe(root, entry)
		if kind == Skip && err == nil {
			continue
		}
		if entry.Type()&fs.ModeSymlink != 0 {
			err = linkError(root, entry.Name())
		}
		noSelect := kind == Parent && err == nil // what cannot be looked into may hold mail
		found = append(found, Found{Info: formats.Info{Name: n.Name(storage), NoSelect: noSelect, Err: err}, Path: entry.Name()})
	}
	return Sort(addParents(found)), nil
}

// addParents names the parents that exist only as parts of names.
func addParents(found []Found) []Found {
	have := map[string]bool{"INBOX": true}
	for _, one := range found {
		have[one.Name] = true
	}
	for _, one := range found {
		for name := one.Name; ; {
			i := strings.LastIndexByte(name, '/')
			if i <= 0 {
				break
			}
			if name = name[:i]; !have[name] {
				have[name] = true
				found = append(found, Found{Info: formats.Info{Name: name, NoSelect: true}})
			}
		}
	}
	return found
}

// Sort puts INBOX first and parents before their children. Of two entries with one name (a storage name that is not
// valid can look like another one's) the first valid one keeps it and the other gets an Err.
func Sort(found []Found) []Found {
	slices.SortStableFunc(found, func(a, b Found) int {
		if c := formats.CompareNames(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Path, b.Path)
	})
	for i := 1; i < len(found); i++ {
		if found[i].Name == found[i-1].Name && found[i].Err == nil {
			found[i].Err = fmt.Errorf("%w: folders %q and %q have the same name; rename one", formats.ErrBadName, found[i-1].Path, found[i].Path)
		}
	}
	return found
}

// Prune removes the folders above a path from which something was moved away, as long as nothing else is in them: they
// were its parents and nothing else (Dovecot 2.3.19, src/lib-storage/list/mailbox-list-fs.c, fs_list_rename_mailbox).
func Prune(root *disk.Dir, from string) error {
	for dir := path.Dir(from); dir != "."; dir = path.Dir(dir) {
		above, err := root.OpenDir(path.Dir(dir)) // no link leads out of the root
		if err != nil {
			return err
		}
		err = errors.Join(above.RemoveDir(path.Base(dir)), above.Close())
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Lookup gives the entry of a name as Mailboxes showed it: for names whose storage name is not the one that
// Naming.Storage gives.
func Lookup(found []Found, name string) (Found, bool) {
	i := slices.IndexFunc(found, func(f Found) bool { return f.Name == name })
	if i < 0 {
		return Found{}, false
	}
	return found[i], true
}

package maildir

import (
	"context"
	"errors"

	"dovetail/formats"
)

// Folder is a mailbox with its place on disk.
type Folder struct {
	formats.Info

	Path string // below the root: "" the inbox, ".A.B", "A/B" in layout fs
}

// Folders lists what exists on disk, without parents that have no folder of their own; INBOX first. What cannot be used
// is listed with its Err.
func (s *Store) Folders(ctx context.Context) ([]Folder, error) {
	found, err := s.found(ctx)
	if err != nil {
		return nil, &formats.Error{Op: "list", Path: s.root.Path(), Err: err}
	}
	var out []Folder
	for _, f := range found {
		if f.Name == inboxName || f.Path != "" && !f.NoSelect {
			out = append(out, Folder{Info: f.Info, Path: f.Path})
		}
	}
	return out, nil
}

// OpenFolder opens a mailbox by its place on disk; INBOX is "". Its name is the one that the store would show.
func (s *Store) OpenFolder(ctx context.Context, path string) (*Mailbox, error) {
	name, f := inboxName, s.inboxFolder()
	if path != "" {
		f = folder{dir: path}
		name = s.naming.Name(path)
		if !s.fs() {
			name = s.naming.Name(path[1:])
		}
	}
	ok, err := s.isMailbox(f)
	if err == nil && !ok {
		err = formats.ErrNoMailbox
	}
	if err != nil {
		return nil, &formats.Error{Op: "open", Mailbox: name, Err: err}
	}
	return s.openMailbox(name, f)
}

// ErrNotCourier is wrapped when a mailbox is asked for what only one whose lists are of the other server has.
var ErrNotCourier = errors.New("one mailbox must go by Courier's lists and the other by Dovecot's")

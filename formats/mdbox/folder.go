package mdbox

import (
	"context"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/index"
)

// Create makes a mailbox, and the map if this is the first one.
func (s *Store) Create(ctx context.Context, name string, like formats.Status) error {
	if err := s.Writable(ctx); err != nil {
		return &formats.Error{Op: "create mailbox", Mailbox: name, Err: err}
	}
	x, err := s.writableMap(ctx)
	if err != nil {
		return &formats.Error{Op: "create mailbox", Mailbox: name, Err: err}
	}
	validity := x.Snapshot().UIDValidity
	return s.CreateFolder(ctx, name, like, newIndex(name, validity))
}

// newIndex describes the index of a folder whose messages are in the map with that UIDVALIDITY.
func newIndex(name string, validity formats.UIDValidity) func(formats.Status) index.New {
	return func(like formats.Status) index.New {
		return tree.NewIndex(extHeader, uint32(validity), name, like, folderExtensions...)
	}
}

// Rename moves a mailbox with its children.
func (s *Store) Rename(ctx context.Context, from, to string) error {
	return s.RenameFolder(ctx, from, to)
}

// Delete removes a mailbox; its messages stay in their files until somebody purges.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := s.delete(ctx, name); err != nil {
		if e, ok := err.(*formats.Error); ok && e.Mailbox == name {
			return err
		}
		return &formats.Error{Op: "delete mailbox", Mailbox: name, Err: err}
	}
	return nil
}

func (s *Store) delete(ctx context.Context, name string) error {
	if err := s.Writable(ctx); err != nil {
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
	w, err := s.writableMap(ctx)
	if err != nil {
		return err
	}
	return w.Hold(ctx, func(h *index.Held) error {
		refs := map[formats.UID]int{}
		if err := s.DeleteFolder(name, p, func() error { return b.markDeleted(ctx, refs) }); err != nil {
			return err
		}
		return release(h, refs)
	})
}

// markDeleted counts the references of all messages while nobody can add any.
func (b *Mailbox) markDeleted(ctx context.Context, refs map[formats.UID]int) error {
	if b.idx == nil {
		return nil
	}
	return b.idx.Update(ctx, func(ix *index.Tx) error {
		st := ix.State()
		for i := range st.Len() {
			if uid, _, err := record(st, i); err == nil && uid != 0 {
				refs[uid]++
			}
		}
		if !st.Deleted {
			ix.DeleteIndex()
		}
		return nil
	})
}

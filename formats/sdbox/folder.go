package sdbox

import (
	"context"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/index"
)

// Create makes a mailbox.
func (s *Store) Create(ctx context.Context, name string, like formats.Status) error {
	return s.CreateFolder(ctx, name, like, func(like formats.Status) index.New { return tree.NewIndex(extDbox, 0, name, like) })
}

// Rename moves a mailbox with its children.
func (s *Store) Rename(ctx context.Context, from, to string) error {
	return s.RenameFolder(ctx, from, to)
}

// Delete removes a mailbox.
func (s *Store) Delete(ctx context.Context, name string) error {
	return s.failOr("delete mailbox", name, s.delete(ctx, name))
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
	return s.DeleteFolder(name, p, func() error { return b.markDeleted(ctx) })
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

package imap

import (
	"context"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/sync/watch"
)

func (s *session) expunge(ctx context.Context, c *imapwire.Command) answer {
	var only *imapwire.Set
	if c.UID {
		only = &c.Args.(*imapwire.Expunge).Set
		if only.Saved {
			found := savedSet(s.sel.found)
			only = &found
		}
	}
	if err := s.expungeDeleted(ctx, only); err != nil {
		return s.failed(err)
	}
	return ok("Expunge completed")
}

// expungeDeleted removes the messages with \Deleted, whichever session has set it, or those of them with UIDs in a set.
func (s *session) expungeDeleted(ctx context.Context, only *imapwire.Set) error {
	now, err := s.sel.box.Refresh(ctx)
	if err != nil {
		return err
	}
	var uids formats.Ranges
	last := lastUID(s.sel.view)
	now.Each(1, now.Len(), func(_ uint32, r watch.Record) bool {
		if r.Flags()&formats.Deleted != 0 && (only == nil || only.Contains(uint32(r.UID), last)) {
			uids.Add(r.UID)
		}
		return true
	})
	switch {
	case len(uids) == 0:
		return nil
	case s.sel.readOnly:
		return formats.ErrReadOnly
	}
	s.count.expunged += uids.Len()
	_, err = s.update(ctx, s.sel.box, func(tx formats.Tx) error { return tx.Expunge(uids) })
	return err
}

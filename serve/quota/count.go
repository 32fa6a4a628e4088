package quota

import (
	"context"
	"errors"

	"dovetail/formats"
	"dovetail/serve/namespace"
)

// counted looks at all mailboxes each time (quota-count.c). What is known of messages stays with the open mailbox, so that
// it costs little for those that did not change.
type counted struct{ q *Quota }

func (c counted) used(ctx context.Context, r *root) (bytes, messages int64, err error) {
	err = c.q.each(ctx, r, func(store formats.Store, name string) error {
		b, n, err := c.one(ctx, store, name)
		bytes, messages = bytes+b, messages+n
		return err
	})
	return bytes, messages, err
}

func (c counted) one(ctx context.Context, store formats.Store, name string) (bytes, messages int64, err error) {
	box, err := c.q.hub.Open(ctx, store, name)
	if err != nil {
		return 0, 0, err
	}
	defer box.Close()
	detail, _ := box.Mailbox.(formats.Detailer)
	s := box.Snapshot()
	for seq := uint32(1); seq <= s.Len(); seq++ {
		record := s.At(seq)
		size, known := record.Size()
		if !known {
			m := formats.Message{UID: record.UID}
			if detail == nil {
				err = bodySize(ctx, box.Mailbox, &m)
			} else {
				err = detail.Detail(ctx, &m, formats.WantVirtualSize)
			}
			if errors.Is(err, formats.ErrNoMessage) {
				continue
			}
			if err != nil {
				return 0, 0, err
			}
			size = m.VirtualSize
			s.SetSize(seq, size)
		}
		bytes += size
		messages++
	}
	return bytes, messages, nil
}

// bodySize is for mailboxes that describe a message only as a whole.
func bodySize(ctx context.Context, box formats.Mailbox, m *formats.Message) error {
	body, err := box.Body(ctx, m)
	if err != nil {
		return err
	}
	defer body.Close()
	if m.VirtualSize < 0 || m.VirtualSize == 0 && body.Size() > 0 {
		m.VirtualSize = body.Size()
	}
	return nil
}

func (counted) add(context.Context, int64, int64) error { return nil }

// each calls fn with all mailboxes that a root counts: those of the user himself.
func (q *Quota) each(ctx context.Context, r *root, fn func(store formats.Store, name string) error) error {
	for _, s := range q.user.Spaces {
		if !own(s) {
			continue
		}
		store, err := s.Store(ctx)
		if err != nil {
			return err
		}
		list, err := store.Mailboxes(ctx)
		if err != nil {
			return err
		}
		for _, info := range list {
			name, ok := s.FullName(info.Name)
			if info.NoSelect || info.Err != nil || !ok || r.ignores(name) {
				continue
			}
			if err := fn(store, info.Name); err != nil && !errors.Is(err, formats.ErrNoMailbox) {
				return err
			}
		}
	}
	return nil
}

// own tells whether a namespace has mail of the user himself, and shows it for the first time.
func own(s *namespace.Space) bool {
	return s.AliasFor == nil && s.Type != "shared" && s.Type != "public"
}

package mdbox

import (
	"context"
	"errors"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
)

// CopyFrom refers once more to the same message: GUID and dates are in it. It is the short way only within one store.
func (t *tx) CopyFrom(_ context.Context, m formats.Message, from formats.Mailbox, uid formats.UID) error {
	src, ok := from.(*Mailbox)
	if !ok || !m.InternalDate.IsZero() || m.GUID != "" || m.POP3UIDL != "" || m.POP3Order != 0 || src.store.Place() != t.b.store.Place() {
		return errors.ErrUnsupported
	}
	st, err := src.refresh()
	if err != nil {
		return err
	}
	i, there := st.Find(uid)
	if !there {
		return src.fail(uid, nil, "copy message", formats.ErrNoMessage)
	}
	s := saved{Message: m, guid: guidOf(st, i)}
	if s.mapUID, _, err = record(st, i); err != nil || s.mapUID == 0 || s.guid.IsZero() {
		return errors.ErrUnsupported
	}
	f, err := src.find(st, i) // a message whose file is damaged is not spread
	if err != nil {
		return err
	}
	if f.POP3UIDL != "" {
		s.pop3 |= tree.HavePOP3UIDL
	}
	if f.POP3Order != 0 {
		s.pop3 |= tree.HavePOP3Order
	}
	if err := f.f.Close(); err != nil {
		return err
	}
	seen, err := t.b.store.mapState(false)
	if err != nil {
		return errors.ErrUnsupported
	}
	if refs, there := refsOf(seen, s.mapUID); !there || refs >= maxRefs {
		return errors.ErrUnsupported
	}
	s.edition = seen.UIDValidity
	s.Detail = formats.Detail{SaveDate: m.SaveDate}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.saved = append(t.saved, s)
	return nil
}

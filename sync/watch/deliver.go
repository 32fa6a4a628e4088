package watch

import (
	"context"
	"errors"
	"io"

	"dovetail/formats"
)

// Delivered is a message that Hub.Deliver has put into a mailbox, for doing so with others without copying its bytes.
type Delivered struct {
	file formats.Delivered
	box  *Box // where it was appended, else
	uid  formats.UID
}

// Close lets go of the first mailbox. It may be called for nil.
func (d *Delivered) Close() error {
	switch {
	case d == nil:
		return nil
	case d.file != nil:
		return d.file.Close()
	}
	return d.box.Close()
}

// Deliver puts a new message into a mailbox, in the way of its format that waits least. message gives it from its begin,
// for each time that it is read; its Size is known. again, if it is not nil, is the same message in another mailbox, and
// its bytes are shared where formats and file systems allow it. Sessions that have the mailbox open are shown the message
// before Deliver returns.
func (h *Hub) Deliver(ctx context.Context, store formats.Store, name string, message func() Message, again *Delivered) (*Delivered, error) {
	d, err := h.deliverBlindly(ctx, store, name, message, again)
	if !errors.Is(err, errors.ErrUnsupported) {
		return d, err
	}
	box, err := h.Open(ctx, store, name)
	if err != nil {
		return nil, err
	}
	if again != nil && again.box != nil {
		if err := box.copyFrom(ctx, message().Message, again); !errors.Is(err, errors.ErrUnsupported) {
			return nil, errors.Join(err, box.Close())
		}
	}
	sent := false
	c, err := box.Append(ctx, func() (Message, error) {
		if sent {
			return Message{}, io.EOF
		}
		sent = true
		return message(), nil
	})
	if err != nil {
		box.Close()
		return nil, err
	}
	return &Delivered{box: box, uid: c.UIDs[0].First}, nil
}

// copyFrom gives the file of a message in another mailbox a name here; errors.ErrUnsupported where that cannot be.
func (b *Box) copyFrom(ctx context.Context, m formats.Message, from *Delivered) error {
	m.InternalDate = formats.Message{}.InternalDate // it is the file's
	_, err := b.Update(ctx, func(tx formats.Tx) error {
		c, ok := tx.(formats.Copier)
		if !ok {
			return errors.ErrUnsupported
		}
		err := c.CopyFrom(ctx, m, from.box.Mailbox, from.uid)
		if errors.Is(err, formats.ErrNoMessage) { // somebody has removed it meanwhile
			err = errors.ErrUnsupported
		}
		return err
	})
	return err
}

// deliverBlindly is for formats that take a message without being read.
func (h *Hub) deliverBlindly(ctx context.Context, store formats.Store, name string, message func() Message, again *Delivered) (*Delivered, error) {
	r, ok := store.(formats.Receiver)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	to, err := r.Receive(ctx, name)
	if err != nil {
		return nil, err
	}
	defer to.Close()
	if again != nil && again.file != nil {
		err := to.DeliverAgain(ctx, again.file)
		if err == nil {
			h.showNew(ctx, keyOf(store, name))
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			return nil, err
		}
	}
	in := message()
	d, err := to.Deliver(ctx, formats.Incoming(in.Body, in.Size))
	if err != nil {
		return nil, err
	}
	h.showNew(ctx, keyOf(store, name))
	return &Delivered{file: d}, nil
}

// showNew brings a mailbox that sessions have open up to date.
func (h *Hub) showNew(ctx context.Context, k key) {
	h.mu.Lock()
	b := h.boxes[k]
	if b == nil || b.uses == 0 {
		h.mu.Unlock()
		return
	}
	b.uses++
	h.mu.Unlock()
	b.shown(ctx, nil)
	h.close(b)
}

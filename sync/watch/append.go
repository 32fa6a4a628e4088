package watch

import (
	"context"
	"io"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// Message is one that comes in.
type Message struct {
	formats.Message // as for Tx.Append

	Body io.Reader
	Size int64 // of the body; -1: until Body ends
}

// Append adds all messages that next gives until it gives io.EOF, or none of them, and shows them to all sessions before
// it returns. A message is read to its end before the next one is asked for. Nothing is locked while they come, however
// slowly: a client that takes its time keeps nobody else from changing the mailbox.
func (b *Box) Append(ctx context.Context, next func() (Message, error)) (formats.Committed, error) {
	s, ok := b.Mailbox.(formats.Streamer)
	if !ok {
		return b.appendSpooled(ctx, next)
	}
	c, err := s.Stream(ctx, func(tx formats.StreamTx) error {
		return each(next, func(m Message) error {
			if m.Size >= 0 {
				return tx.AppendFrom(ctx, m.Message, m.Body, m.Size)
			}
			var all disk.Spool
			defer all.Close()
			if _, err := io.Copy(&all, m.Body); err != nil {
				return err
			}
			return tx.Append(ctx, m.Message, &all)
		})
	})
	b.shown(ctx, err)
	return c, err
}

func each(next func() (Message, error), do func(Message) error) error {
	for {
		m, err := next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = do(m)
		}
		if err != nil {
			return err
		}
	}
}

// appendSpooled takes all messages in before it begins to change the mailbox.
func (b *Box) appendSpooled(ctx context.Context, next func() (Message, error)) (formats.Committed, error) {
	var all disk.Spool
	defer all.Close()
	var list []Message
	err := each(next, func(m Message) error {
		var err error
		if m.Size < 0 {
			m.Size, err = io.Copy(&all, m.Body)
		} else {
			_, err = formats.Incoming(m.Body, m.Size).WriteTo(&all)
		}
		m.Body = nil
		list = append(list, m)
		return err
	})
	if err != nil {
		return formats.Committed{}, err
	}
	return b.Update(ctx, func(tx formats.Tx) error {
		at := int64(0)
		for i := range list {
			body := spooled{io.NewSectionReader(&all, at, list[i].Size)}
			if err := tx.Append(ctx, list[i].Message, body); err != nil {
				return err
			}
			at += list[i].Size
		}
		return nil
	})
}

// spooled is a message among others.
type spooled struct{ *io.SectionReader }

func (s spooled) Close() error { return nil }

func (s spooled) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{s.SectionReader})
}

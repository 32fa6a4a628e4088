package formats

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Streamer is a Mailbox that takes messages as they come, however slowly.
type Streamer interface {
	// Stream is Update, but fn is called with nothing locked: it may wait for a client, and others may change the
	// mailbox meanwhile.
	Stream(ctx context.Context, fn func(StreamTx) error) (Committed, error)
}

// StreamTx is a Tx that needs no Body.
type StreamTx interface {
	Tx

	// AppendFrom is Append of the next size bytes of r; io.ErrUnexpectedEOF when r ends before. How far r was read after
	// another error is not said.
	AppendFrom(ctx context.Context, m Message, r io.Reader, size int64) error
}

// Copier is a Tx that can take over a message of another mailbox without copying its bytes.
type Copier interface {
	// CopyFrom is what Copy does. errors.ErrUnsupported, and nothing done, when there is no short way for this message.
	CopyFrom(ctx context.Context, m Message, from Mailbox, uid UID) error
}

// Copy appends a message that another mailbox holds, by a hard link where both formats and file systems allow it. m is as
// in Tx.Append, but without an internal date or a GUID it has those of the original, as Dovecot's COPY gives (2.3,
// mail-copy.c: mail_save_copy_default_metadata). ErrNoMessage when the original is gone.
func Copy(ctx context.Context, tx Tx, m Message, from Mailbox, uid UID) error {
	if c, ok := tx.(Copier); ok {
		if err := c.CopyFrom(ctx, m, from, uid); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	original := Message{UID: uid}
	body, err := from.Body(ctx, &original)
	if err != nil {
		return err
	}
	if m.InternalDate.IsZero() {
		m.InternalDate = original.InternalDate
	}
	if m.GUID == "" {
		m.GUID, m.DerivedGUID = original.GUID, original.DerivedGUID
	}
	return errors.Join(tx.Append(ctx, m, body), body.Close())
}

// Incoming gives the next size bytes of r as a Body that can be read once, from its begin to its end; for StreamTx.
func Incoming(r io.Reader, size int64) Body { return &incoming{r: r, size: size} }

type incoming struct {
	r        io.Reader
	at, size int64
}

func (b *incoming) Size() int64  { return b.size }
func (b *incoming) Close() error { return nil }

func (b *incoming) ReadAt(p []byte, off int64) (int, error) {
	if off != b.at {
		return 0, fmt.Errorf("a message that is coming in was read at %d in place of %d", off, b.at)
	}
	if b.at == b.size {
		return 0, io.EOF
	}
	n, err := io.ReadFull(b.r, p[:min(int64(len(p)), b.size-b.at)])
	b.at += int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

func (b *incoming) WriteTo(w io.Writer) (int64, error) {
	n, err := io.CopyN(w, b.r, b.size-b.at)
	b.at += n
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

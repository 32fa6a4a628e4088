package formats

import (
	"context"
	"io"
)

// Receiver is a Store whose mailboxes take in messages from those who know nothing of their lists: what is new has no UID
// before somebody looks, and nobody waits for anybody.
type Receiver interface {
	// Receive opens a mailbox for that. ErrNoMailbox as for Store.Open; errors.ErrUnsupported where it cannot be had.
	Receive(ctx context.Context, name string) (Intake, error)
}

// Intake is a mailbox that messages come into. It may be used by several goroutines.
type Intake interface {
	// Deliver adds a message that nobody has seen; it came now. It is durable when Deliver returns, and when Deliver fails
	// nothing of it is there.
	Deliver(ctx context.Context, body Body) (Delivered, error)

	// DeliverAgain adds a message that came into another mailbox by a further name for its file. errors.ErrUnsupported,
	// and nothing done, when that is not possible.
	DeliverAgain(ctx context.Context, d Delivered) error

	io.Closer
}

// Delivered is what Deliver has written, for DeliverAgain. The message itself may be gone meanwhile.
type Delivered interface{ io.Closer }

package formats

import "context"

// Purger is a Store in which messages that are expunged use their room until somebody purges it.
type Purger interface {
	// Purge gives that room back. It may run beside anything else, in this and other programs; what others are busy with
	// is left for another time. After an error, what was done until then is done.
	Purge(ctx context.Context) (Purged, error)

	// Purgeable says what Purge would do; it writes nothing.
	Purgeable(ctx context.Context) (Purged, error)
}

// Purged is what Purge did.
type Purged struct {
	Messages int   // that are gone for good
	Files    int   // that were removed or written anew
	Bytes    int64 // that are free now
	Busy     int   // files that were left alone because somebody else used them
}

// AltMover is a Store with a second storage, for messages that are seldom read (Dovecot's ALT=).
type AltMover interface {
	// MoveAlt moves messages there, or back from there; what gives UIDs by mailbox. A message that is in several mailboxes
	// lies in one place: it moves there when all of them are given, and back when one is. Messages that are where they
	// belong, or gone, are passed over.
	MoveAlt(ctx context.Context, what map[string]Ranges, alt bool) (Purged, error)
}

package formats

import "context"

// Viewer is a Mailbox that holds in memory what Messages would read, so that a change costs what changed.
type Viewer interface {
	// View gives the mailbox as it is now: the same View as before, by ==, when nothing changed. nil without an error
	// when this mailbox has none, as one with a damaged index: then Messages is the way.
	View(ctx context.Context) (View, error)
}

// View is a mailbox at one moment. It never changes and may be used by several goroutines. Messages have places from 0
// on, in ascending order of UID.
type View interface {
	Status() Status

	// Len is the number of messages.
	Len() int

	// Find gives the place of a message; when there is none of that UID, the place of the next higher one and false.
	Find(uid UID) (int, bool)

	// Same tells whether Records would give the same for the n messages from place i on as for those from place j on in
	// an older View of the mailbox. False may also mean that it is not known.
	Same(i int, older View, j, n int) bool

	// Records describes the messages from place i on, as many as records has room for; there must be as many. number
	// gives a set of keywords, never empty, a number; it is called once or a few times for each set.
	Records(records []Record, i int, number func(keywords []string) uint32)
}

// Record is what is known of a message without a look at it.
type Record struct {
	UID      UID
	Keywords uint32 // the number of its set, 0 for none
	Flags    Flags  // without \Recent
	ModSeq   ModSeq // 0 unless Status.KeepsModSeqs

	// VirtualSize is the length with every line end as CRLF, -1 unknown.
	VirtualSize int64
}

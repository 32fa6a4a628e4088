// Package sync makes one store of mail like another and says what that costs.
package sync

import (
	"errors"
	"log/slog"
)

// Options of Mirror and Verify. The zero value mirrors everything with one worker for each processor.
type Options struct {
	// Jobs is the number of mailboxes worked on at a time; 0: one for each processor.
	Jobs int

	// GroupMessages and GroupBytes bound what is committed at once; 0: 4,000 messages and 64 MiB.
	GroupMessages int
	GroupBytes    int64

	// Mailboxes are names or patterns of IMAP's LIST ("*" any text, "%" any text without "/") of mailboxes in the source.
	// Others are left as they are on both sides. Empty: all.
	Mailboxes []string

	// RemoveOwn lets Mirror remove messages that the target got from elsewhere, and overwrite their flags, so that the
	// target ends as the source is. Without it such messages are never touched.
	RemoveOwn bool

	// Source names the source across runs, for instance its absolute path; "": Placer's answer, else the format.
	Source string

	Progress *Progress    // nil: not wanted
	Log      *slog.Logger // nil: nothing is logged
}

// ErrSameStore is given when source and target are the same mail on disk.
var ErrSameStore = errors.New("source and target are the same store")

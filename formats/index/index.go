// Package index reads and writes dovecot.index and its transaction log.
package index

import (
	"context"
	"errors"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// The usual names of index files; .log, .log.2, .cache and so on are added to them.
const (
	Prefix     = "dovecot.index"
	MapPrefix  = "dovecot.map.index"  // of an mdbox storage
	ListPrefix = "dovecot.list.index" // of a mailbox list
)

var errUnfinished = errors.New("not yet")

// Read gives the state of the index in dir. It takes no lock and writes nothing. Without a log and a snapshot the error
// wraps fs.ErrNotExist. When the files are damaged the error is a *formats.Error that wraps formats.ErrCorrupt, and the
// state is what could be read nevertheless: nil when that is nothing.
func Read(dir *disk.Dir, prefix string) (*State, error) { return nil, errUnfinished }

// Index is a handle on one index that keeps its state, so that only what is new in the log is read again.
// Its methods may be called from several goroutines.
type Index struct{}

// Open reads the index as Read does. The handle does not own dir, which must stay open as long as it is used.
func Open(dir *disk.Dir, prefix string) (*Index, error) { return nil, errUnfinished }

// Snapshot gives the state last seen. It never changes.
func (x *Index) Snapshot() *State { return nil }

// Refresh reads what other programs added; changed tells whether Snapshot differs now.
func (x *Index) Refresh() (changed bool, err error) { return false, errUnfinished }

// Update takes the lock of the log (waiting until ctx ends), brings the state up to date, runs fn, and appends
// everything fn asked for to the log as one transaction, written at once: readers see all of it or nothing. It is made
// durable when it has appends or expunges, or fn called Sync. When fn returns an error nothing is written.
//
// fn runs with the lock held: the place where dbox renames its message files to the UIDs that it got from Append.
func (x *Index) Update(ctx context.Context, fn func(*Tx) error) error { return errUnfinished }

// New describes an index to be made.
type New struct {
	// IndexID identifies the index; 0: the current time.
	IndexID uint32

	// UIDValidity 0: the current time.
	UIDValidity formats.UIDValidity

	// NextUID and FirstRecent; 0: the lowest possible, and NextUID.
	NextUID, FirstRecent formats.UID

	// HighestModSeq; 0: the lowest possible.
	HighestModSeq formats.ModSeq

	// Extensions with their header data. The first one is the format's own (dbox-hdr, mdbox-hdr).
	Extensions []Extension

	// Messages in ascending order of UID. Their data of extensions is added by a later Update.
	Messages []Message
}

// Create makes a new index: a log that holds everything and a snapshot of the same, either of which is enough alone.
// An error wraps fs.ErrExist when there is a log already.
func Create(ctx context.Context, dir *disk.Dir, prefix string, n New) (*Index, error) {
	return nil, errUnfinished
}

// Check lists every problem of an index that Dovecot would complain about or mend; none when it is sound.
func Check(dir *disk.Dir, prefix string) []*formats.Error { return nil }

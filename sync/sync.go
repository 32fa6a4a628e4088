// Package sync makes one store of mail like another, says what that costs, and reads both again to prove it.
//
// Mirror looks at both sides (state), compares them with what they had in common last (diff), plans ordered steps with
// the losses they bring (plan), and carries them out, several mailboxes at a time (run), noting in the target what it is
// about to do (journal). Verify reads every message of both sides without believing the note. Two-way synchronisation is
// the same comparison with changes of the target taken as well; nothing here needs to know which way mail flows except
// compare, which decides who wins.
//
// # What belongs to whom
//
// Mirror removes or changes in the target only what its note says that it put there. Mail that the target got from
// elsewhere stays: in a mailbox that an earlier run filled it is simply left alone; a mailbox that nobody remembers to
// have filled is used only if everything in it is also in the source with the same flags, and else set aside whole.
// RemoveOwn ends this protection. A mailbox that the source deleted goes only when nothing else is in it.
//
// # Who is who
//
// A mailbox is the same when its UIDVALIDITY is, and its GUID where both sides of time have one; so one that was renamed
// is renamed in the target. Without GUIDs a renamed mailbox is known by its UIDVALIDITY and its messages, if no other
// one could be meant. Within a mailbox the note says which UID of the target came from which of the source. Without a
// note, messages are the same when UIDVALIDITY and UID are and the GUIDs, or where the target cannot hold those date and
// size; if UIDs cannot be compared, by GUID, or by date, size and every byte. In a source whose UIDs do not last
// (Status.Volatile) the GUIDs are noted instead, and equal ones are told apart by their order.
//
// UIDs are kept wherever the target has not gone past them. A message that comes too late (it could not be read before,
// or somebody delivered into the target meanwhile) gets a new UID above all that the source has, which is announced.
//
// # What a target cannot hold
//
// Each loss is announced by the run that causes it, before in a dry run and after in the report. A dry run finds them
// without reading bodies, except the last byte of each message for formats that end messages with a line end, and the
// header for formats that hide header fields. A clean rerun does not repeat them.
//
//	what           exit 2  when
//	uid            yes     the UID was taken or past; not said where UIDVALIDITY is lost too
//	uidvalidity    yes     the target's mailbox exists with another one and cannot be made anew
//	name           yes     the name had to change; two that would become one are set aside instead
//	keyword        yes     the target cannot hold the keyword, or not so many; the rarest are left out
//	guid           yes     somebody stored the GUID; one computed from a file name or headers is no loss
//	pop3-uidl      yes     the message has a UIDL of its own
//	pop3-order     yes     the message has a place of its own in POP3
//	header         yes     the target keeps this header field for itself and drops it from messages
//	header-line    yes     the target has to change this line of the header
//	final-newline  yes     the message does not end with a line end and gets one
//	subscription   yes     the target has no subscriptions, or not this name
//	special-use    yes     the source stores a role for the mailbox
//	damage         yes     the source has lost a part of the mailbox already; what it still shows is carried
//	empty-parent   yes     an empty mailbox with children is only a folder in the target
//	name-form      no      the name is not in Unicode NFC: Dovecot 2.3 keeps it, Dovecot 2.4 will change it
//	save-date      no      the target gives its own
//	modseq         no      the target keeps none, or its own; clients compare flags once
//	mailbox-guid   no      the target chooses its own; only replication partners see it
//	remade         no      the source gave a mailbox a new UIDVALIDITY, and so does the target
//
// \Recent is carried where the target can hold it and never announced: it belongs to sessions.
//
// # Interruption
//
// Messages are committed in groups, each durable when it is committed. Just before a commit the note says which messages
// are coming and how each will be known (its GUID, or date and size), so a run that dies at any point is continued by
// the next one, which neither repeats nor forgets a message, even if the source dropped it in between. A rename in the
// target is noted before and after. A full disk, a read-only target or a cancelled context ends the run with what was
// committed; everything smaller sets a message or a mailbox aside, and the rest moves.
//
// # Rerun
//
// The note keeps the fingerprints of both sides from when they were last equal. While they stay the same a mailbox is
// not even asked for its status, and when nothing was done nothing is written. Verify goes by none of this.
//
// Order of locks: a mailbox's Update, then the writing of the note, then the journal's own. Memory: 16 bytes for each
// message on each side of the mailboxes being worked on, 24 more for each that is copied, and 8 to 32 for hashes
// where messages must be recognised.
package sync

import (
	"context"
	"errors"
	"log/slog"
)

// Options of Mirror and Verify. The zero value mirrors everything with one worker for each processor.
type Options struct {
	// Jobs is the number of mailboxes worked on at a time; 0: one for each processor.
	Jobs int

	// Slots are shared by runs for several users: all of them together work on no more mailboxes at a time. Nil: no limit
	// but Jobs.
	Slots Slots

	// GroupMessages and GroupBytes bound what is committed at once; 0: 4,000 messages and 64 MiB.
	GroupMessages int
	GroupBytes    int64

	// Mailboxes are names or patterns of IMAP's LIST ("*" any text, "%" any text without "/") of mailboxes in the source.
	// Others are left as they are on both sides. Empty: all.
	Mailboxes []string

	// RemoveOwn lets Mirror remove messages that the target got from elsewhere, and overwrite their flags, so that the
	// target ends as the source is. Without it such messages are never touched.
	RemoveOwn bool

	// Source names the source across runs, for instance its absolute path; "": Placer's answer, else the format. Mailboxes
	// are deleted in the target only for the source that they came from.
	Source string

	Progress *Progress    // nil: not wanted
	Log      *slog.Logger // nil: nothing is logged
}

// ErrSameStore is given when source and target are the same mail on disk.
var ErrSameStore = errors.New("source and target are the same store")

// Slots bound how many mailboxes several runs work on at a time.
type Slots chan struct{}

// NewSlots gives so many.
func NewSlots(n int) Slots { return make(Slots, n) }

// take waits for one; false if the context ends first.
func (s Slots) take(ctx context.Context) bool {
	if s == nil {
		return true
	}
	select {
	case s <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s Slots) give() {
	if s != nil {
		<-s
	}
}

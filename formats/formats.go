// Package formats is the seam between mail on disk and everything that reads, moves or serves it.
//
// A Store is one user's mail in one format; a Mailbox gives its status, its messages and their bodies; a Tx changes it
// under one lock, all of it or nothing (but see Durability). Every format, the sync engine and the daemon meet in these
// three interfaces.
// What only some formats can do is a further interface found by assertion (Subscriber, Noter, Fingerprinter). What a
// format cannot hold is data: see Limits.
//
// # Mailbox names
//
// A mailbox is named by its client-visible name in UTF-8, its parts joined by "/" whatever the separator on disk, and
// the inbox is "INBOX". Encodings and escapes of names on disk (modified UTF-7, Maildir++ dots, listescape) are the
// business of package layout. A name that is not valid on disk (raw 8-bit, stray "&") is given as the bytes found.
//
// # Concurrency
//
// A Store and its Mailboxes may be used from several goroutines. Within one process one Update at a time is committed to a
// mailbox (an in-process mutex), between processes by the locks of its format. Lock order: mailbox mutex, then the
// format's locks. An iterator does not hold a lock between messages.
//
// # Durability
//
// When Update returns nil, everything it did survives a power failure. When it returns an error or the process dies, a
// reader sees the mailbox as it was before, or, if death came at the very end, as it is after. Where flags are part of
// each message's file name (Limits.PerMessage), that holds for appends as a whole, but for flag changes and expunges of
// each message by itself: some of several may be done and the others not, never one by half.
package formats

import (
	"cmp"
	"context"
	"io"
	"io/fs"
	"iter"
	"slices"
	"time"

	"dovetail/formats/disk"
)

// UID is a message's unique identifier in its mailbox (RFC 9051 section 2.3.1.1). 0 is no message.
type UID uint32

// UIDValidity tells whether UIDs of two sessions may be compared (RFC 9051 section 2.3.1.1). 0: the mailbox has none yet.
type UIDValidity uint32

// ModSeq is a modification sequence (RFC 7162). 0: none known.
type ModSeq uint64

// Store is one user's mail in one format.
type Store interface {
	// Limits says what this store cannot hold.
	Limits() Limits

	// Mailboxes lists what exists, parents before children, INBOX first. Anything that looks like a mailbox but cannot
	// be used (a symbolic link, a folder that may not be read) is listed with its Err, never left out silently.
	Mailboxes(ctx context.Context) ([]Info, error)

	// Open opens a mailbox; ErrNoMailbox if it does not exist. Each call gives a handle of its own.
	Open(ctx context.Context, name string) (Mailbox, error)

	// Create makes an empty mailbox with the identity of like, as far as the format holds it: UIDVALIDITY, UIDNEXT, GUID,
	// HIGHESTMODSEQ. Zero fields are chosen as the format does for new mailboxes. ErrExists if there is one; ErrBadName
	// if the format cannot hold the name. Missing parents are made as \NoSelect parents where the format needs them.
	Create(ctx context.Context, name string, like Status) error

	// Rename moves a mailbox and its children; identities stay.
	Rename(ctx context.Context, from, to string) error

	// Delete removes a mailbox with its messages; children stay.
	Delete(ctx context.Context, name string) error

	Close() error
}

// Info describes one entry of a mailbox list.
type Info struct {
	Name string

	// NoSelect is a name that exists only as the parent of others.
	NoSelect bool

	// SpecialUse is the attribute of RFC 6154 with its backslash, "" if none is stored.
	SpecialUse string

	// Err is set when the entry cannot be opened: who skips it must say so.
	Err error
}

// SortInfos puts a list in the order of Store.Mailboxes.
func SortInfos(infos []Info) {
	slices.SortFunc(infos, func(a, b Info) int { return CompareNames(a.Name, b.Name) })
}

// CompareNames orders mailbox names as Store.Mailboxes does: INBOX first, parents before children.
func CompareNames(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == "INBOX":
		return -1
	case b == "INBOX":
		return 1
	}
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == b[i]:
		case a[i] == '/': // a part that is shorter comes first
			return -1
		case b[i] == '/':
			return 1
		default:
			return cmp.Compare(a[i], b[i])
		}
	}
	return cmp.Compare(len(a), len(b))
}

// Status is a mailbox's identity and counters.
type Status struct {
	GUID          GUID
	UIDValidity   UIDValidity
	UIDNext       UID
	HighestModSeq ModSeq

	// KeepsModSeqs: each message has a modseq of its own. Without it every message shows HighestModSeq, which rises with
	// any change of any message and so says nothing of this one.
	KeepsModSeqs bool

	Messages, Unseen, Recent uint32

	// FirstRecent: messages with this UID or above are \Recent. 0 unknown.
	FirstRecent UID

	// Volatile says that UIDs are not stored in the mailbox but were given for this run, in the order found: a Maildir
	// that no IMAP server has seen, an mbox without X-UID. Another run may give others, so who must recognise messages
	// later compares Message.GUID.
	Volatile bool
}

// Message is what a mailbox knows of a message.
type Message struct {
	UID      UID
	Flags    Flags
	Keywords []string // not to be changed: shared between messages
	ModSeq   ModSeq   // 0 where none is kept

	Detail
}

// Detail is the part of a message's description that may cost a look into its file.
type Detail struct {
	// GUID is free text, the same for all copies that the format knows to be the same message. "" unknown.
	GUID string

	// DerivedGUID says that nobody chose the GUID: it is computed from the file's name or from headers each time. It is
	// carried all the same, but a target that cannot hold it loses nothing that was ever stored.
	DerivedGUID bool

	// InternalDate has the zone that the format keeps, else UTC.
	InternalDate time.Time

	// SaveDate is when the message came into this mailbox (RFC 8514); zero unknown.
	SaveDate time.Time

	// POP3UIDL is a UIDL of its own, "" when the POP3 server derives it. POP3Order is the place among messages with
	// an order; 0 none. Orders come first, ascending, then messages without one by UID.
	POP3UIDL  string
	POP3Order uint32

	// Size is the length of the body as stored (uncompressed), VirtualSize with every line end as CRLF. -1 unknown.
	Size, VirtualSize int64
}

// Want selects parts of Detail.
type Want uint8

// The parts of Detail. A format may give more than it was asked for, never less.
const (
	WantGUID Want = 1 << iota
	WantDate
	WantSaveDate
	WantPOP3
	WantSize
	WantVirtualSize // may read the whole message

	WantAll Want = 1<<iota - 1
)

// Query says what Messages is to give.
type Query struct {
	// Since leaves out messages whose ModSeq is not above it, where the format keeps modseqs.
	Since ModSeq

	// Want says which parts of Detail must be filled; others may hold anything or be empty.
	Want Want
}

// Mailbox is one open mailbox. When it is deleted, by whomever, Status gives ErrNoMailbox from then on.
type Mailbox interface {
	// Name is the name it was opened with.
	Name() string

	Status(ctx context.Context) (Status, error)

	// Messages gives every message in ascending order of UID, as they were when the iteration began. A pair is a
	// message or an error: an *Error with UID != 0 means that one message is damaged (the Message holds what is known
	// of it) and the iteration goes on; any other error ends it.
	Messages(ctx context.Context, q Query) iter.Seq2[Message, error]

	// Body opens a message's body and fills m.Detail (everything but VirtualSize, which may stay -1). m is a message
	// that Messages gave. ErrNoMessage when it is gone by now.
	Body(ctx context.Context, m *Message) (Body, error)

	// Update runs fn with a transaction and commits it when fn returns nil. Nothing of it is visible before. A commit that
	// fails leaves nothing behind, but see Limits.PerMessage.
	Update(ctx context.Context, fn func(Tx) error) (Committed, error)

	Close() error
}

// Body is a message as stored, byte for byte (line ends included), decompressed and with attachments inlined.
type Body interface {
	io.ReaderAt
	io.WriterTo // all of it
	io.Closer
	Size() int64
}

// Tx is a set of changes to one mailbox. Appends are applied first, then flag changes, then expunges. The mailbox's
// lock is taken at commit, not while bodies are copied; UIDs that are gone by then are skipped.
type Tx interface {
	// Append adds a message with m's flags, keywords, dates, GUID and POP3 fields as far as the format holds them. The
	// body is read before Append returns; sizes are computed, never taken from m. m.UID 0: the mailbox chooses it at
	// commit; else it must be UIDNEXT or above and above every UID appended before, or the commit fails with
	// ErrUIDTaken. A failed Append leaves the transaction usable: that one message is not part of it. Append (alone of
	// the methods) may be called from several goroutines if every m.UID is set; the order is then that of the UIDs.
	Append(ctx context.Context, m Message, body Body) error

	// SetFlags changes flags and keywords of every message in uids that exists.
	SetFlags(uids Ranges, change FlagChange) error

	// Expunge removes messages.
	Expunge(uids Ranges) error

	// Raise makes UIDNEXT and HIGHESTMODSEQ at least these values, and FirstRecent exactly the given one if not zero
	// (0 leaves each alone). Formats that keep no modseq ignore it.
	Raise(uidNext UID, highest ModSeq, firstRecent UID) error
}

// Committed is what Update did.
type Committed struct {
	// UIDs of the appended messages, in the order of Append (of UID if several goroutines appended).
	UIDs Ranges

	// Modified are the messages that FlagChange.UnchangedSince has left out.
	Modified Ranges

	// Recent are the UIDs that ClaimRecent has claimed: of messages that were there, or had been, and nobody had claimed.
	Recent Ranges

	HighestModSeq ModSeq

	// Leftover tells what could not be done behind a commit that is done all the same: a file that nobody needs any more
	// could not be removed, or what only makes reading faster could not be written. It is for the log; nil mostly.
	Leftover error
}

// FlagOp says how a FlagChange is meant.
type FlagOp uint8

// The ways of IMAP's STORE: +FLAGS, -FLAGS, FLAGS.
const (
	AddFlags FlagOp = iota
	RemoveFlags
	ReplaceFlags
)

// FlagChange is one change for many messages.
type FlagChange struct {
	Op       FlagOp
	Flags    Flags
	Keywords []string
	ModSeq   ModSeq // the modseq to give, where the format can; 0: the next one

	// UnchangedSince leaves out messages whose modseq is above it when the change is made, where the format keeps them in
	// an index (RFC 7162 section 3.1.3); 0: changes all. See Committed.Modified.
	UnchangedSince ModSeq
}

// Subscriber is a Store that keeps a list of subscribed mailbox names.
type Subscriber interface {
	// Subscriptions lists names in the order stored; they need not exist as mailboxes.
	Subscriptions(ctx context.Context) ([]string, error)

	// ChangeSubscriptions replaces the list by what change makes of it, in one step and under the lock that all programs
	// take which change it. change may be called twice, and must not change its argument; nothing is written when it gives
	// an equal list.
	ChangeSubscriptions(ctx context.Context, change func(names []string) []string) error
}

// SetSubscriptions replaces the whole list, whatever is in it.
func SetSubscriptions(ctx context.Context, s Subscriber, names []string) error {
	return s.ChangeSubscriptions(ctx, func([]string) []string { return names })
}

// Noter is a Store with room for small files of ours beside the mail, which no other program reads.
type Noter interface {
	// ReadNote gives fs.ErrNotExist when there is none.
	ReadNote(ctx context.Context, name string) ([]byte, error)

	// WriteNote replaces the note in one step, durably. Empty content removes it.
	WriteNote(ctx context.Context, name string, content []byte) error
}

// Fingerprinter is a Mailbox that can say cheaply whether anything in it changed.
type Fingerprinter interface {
	// Fingerprint is a text that differs after any change by any program. "" when that cannot be promised now, for
	// instance because the last change is so fresh that another one could carry the same time stamp.
	Fingerprint(ctx context.Context) (string, error)
}

// ModSeqKeeper is a Tx whose mailbox can keep a modseq for each message, but does not by itself.
type ModSeqKeeper interface {
	// KeepModSeqs has that done from this transaction on, for ever. Messages begin with the mailbox's HIGHESTMODSEQ.
	KeepModSeqs()
}

// RecentClaimer is a Tx whose mailbox keeps which messages are \Recent.
type RecentClaimer interface {
	// ClaimRecent makes all messages that are \Recent when the transaction is committed no longer so, and tells in
	// Committed.Recent which they are. Of several transactions that claim, by whichever programs, one gets each message.
	ClaimRecent()
}

// UIDLSaver is a Tx whose mailbox can be told afterwards which POP3 UIDL a message has.
type UIDLSaver interface {
	// SaveUIDL is done at commit, unless the message has one of its own already, or one that the format cannot hold is given.
	SaveUIDL(uid UID, uidl string)
}

// Detailer is a Mailbox that can describe one message without reading it.
type Detailer interface {
	// Detail fills the wanted parts of m.Detail of the message with m.UID; ErrNoMessage when it is gone.
	Detail(ctx context.Context, m *Message, want Want) error
}

// Historian is a Mailbox that remembers messages that are gone.
type Historian interface {
	// Expunged gives the UIDs of messages that were expunged when the mailbox's HIGHESTMODSEQ rose above since. complete
	// is false if the history does not reach so far back; the UIDs are then those that it knows of.
	Expunged(ctx context.Context, since ModSeq) (uids Ranges, complete bool, err error)
}

// KeywordLister is a Mailbox with a list of keywords that is longer than what its messages have.
type KeywordLister interface {
	// Keywords gives those that were ever used, in the order of their first use.
	Keywords() []string
}

// Watchable is a Mailbox that knows which files change when it does.
type Watchable interface {
	// Watch calls add for each of them: a folder, whose entries come, go and change, or, with a name, one file in it.
	// It goes on after an error of add, which is about that file alone, and gives the first.
	Watch(add func(d *disk.Dir, name string) error) error
}

// Sidecar is a Mailbox with room beside its index for files of ours that nobody else reads and that may be lost.
type Sidecar interface {
	// Side opens the folder, which the caller closes, and says which mode new files have; fs.ErrNotExist when the
	// mailbox has no such place.
	Side() (*disk.Dir, fs.FileMode, error)
}

// Rememberer is a Mailbox that can write down what it has read, for whoever opens it next.
type Rememberer interface {
	// Remember does so where there is a place for it and it is worth it. Nothing depends on it.
	Remember(ctx context.Context)
}

// Renamable is a Mailbox that can tell whether its name still leads to it: an open one goes on when it is renamed, and
// another one may have its name then.
type Renamable interface {
	// StillNamed is false when the name that the mailbox was opened with leads to another one, or nowhere.
	StillNamed(ctx context.Context) bool
}

// ParentMaker is a Store in which a name can be the parent of others and nothing else, before there are any.
type ParentMaker interface {
	// CreateParent makes such a name; ErrExists if there is one or a mailbox. Delete removes it, when it has no children.
	CreateParent(ctx context.Context, name string) error
}

// Claimer is a Store that only one run at a time may fill: two that do not know of each other would both copy what is
// missing.
type Claimer interface {
	// Claim gives an error that wraps disk.ErrLocked while another run has claimed the store. A run that dies gives its
	// claim back.
	Claim() (release func(), err error)
}

// Placer is a Store that knows where its mail is on disk.
type Placer interface {
	// Place is equal for two stores exactly when they keep their mail in the same place, however the way to it is
	// written (links, relative paths): device and inode of the roots. "" unknown.
	Place() string
}

// FileNamer is a Mailbox that keeps each message in a file of its own whose name stays, but for marks that change.
type FileNamer interface {
	// FileName gives that name without marks; ErrNoMessage when the message is gone.
	FileName(ctx context.Context, uid UID) (string, error)
}

// Limits says what a format cannot hold. Planners turn it into announced losses.
type Limits struct {
	// Format is the driver's name as in mail_location: "maildir", "mbox", "sdbox", "mdbox".
	Format string

	// Separators of the names on disk; only for messages to the user.
	Separator string

	// NameProblem says in words why the store cannot hold a mailbox name, or "" if it can.
	NameProblem func(name string) string

	// SafeName gives the nearest name that the store can hold.
	SafeName func(name string) string

	// KeywordProblem says why a keyword cannot be kept, or "".
	KeywordProblem func(keyword string) string

	// MaxKeywords is the number of different keywords in one mailbox; 0 any number.
	MaxKeywords int

	// IDProblem says why a message GUID or POP3 UIDL cannot be kept, or "". nil: any can.
	IDProblem func(id string) string

	NoMailboxGUID bool // mailbox GUIDs cannot be chosen
	NoGUID        bool // message GUIDs cannot be chosen
	NoPOP3        bool // no POP3 UIDL or order of a message's own
	POP3InboxOnly bool // they are kept in INBOX only, the one mailbox that POP3 shows; elsewhere nothing is lost with them

	// POP3OrderProblem says why a message cannot keep its place among messages with a POP3 order, or "". nil: orders are
	// kept as the numbers they are; else only as an order.
	POP3OrderProblem func(m *Message) string

	NoSaveDate bool // save dates cannot be chosen
	NoModSeq   bool // modseqs cannot be chosen
	OwnModSeq  bool // with NoModSeq: messages have modseqs all the same, which the mailbox chooses
	NoRecent   bool // \Recent cannot be chosen

	// PerMessage: flags and expunges of several messages are not one step; a commit that fails may have done some.
	PerMessage bool

	// OneTx: a transaction costs as much as rewriting the mailbox, so a fresh mailbox is filled in one.
	OneTx bool

	// NoChildren: a mailbox that holds messages cannot have children (an mbox is a file).
	NoChildren bool

	// HiddenHeaders are header fields that the format keeps for itself and drops from messages; canonical case.
	HiddenHeaders []string

	// HeaderProblem says why a line of a message's header, given without its line end, cannot stay as it is and what
	// becomes of it, or "". nil: every line can.
	HeaderProblem func(line []byte) string

	// FinalNewline: a message that does not end with a line end gets one.
	FinalNewline bool
}

// HoldsID tells whether a message GUID or POP3 UIDL can be kept.
func (l *Limits) HoldsID(id string) bool { return l.IDProblem == nil || l.IDProblem(id) == "" }

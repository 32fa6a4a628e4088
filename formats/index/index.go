// Package index reads and writes the index that Dovecot keeps of a mailbox: UIDs, flags, keywords, modseqs, and whatever
// else the mailbox's format needs to remember of a message. For sdbox and mdbox it is the only place where flags and
// UIDVALIDITY are kept; for Maildir and mbox it holds what their own files cannot.
//
// An index is three files, here with the usual prefix "dovecot.index":
//
//	dovecot.index        a snapshot; may be missing
//	dovecot.index.log    the journal of what came after it, and the place of all locking (package translog)
//	dovecot.index.log.2  the journal before that, needed while the snapshot is older than the journal
//
// The state of the mailbox is the snapshot with the log applied from the place that the snapshot names. A first log (one
// that names no log before it) is complete in itself.
//
// # The snapshot
//
// Numbers are little-endian.
//
//	 0 u8   major version 7
//	 1 u8   minor version 3
//	 2 u16  size of this header, 120
//	 4 u32  size with the extensions behind it: where the records begin
//	 8 u32  size of a record
//	12 u8   1: little-endian; 3 zero bytes
//	16 u32  indexid, the same in the logs; not 0
//	20 u32  flags: 1 corrupted, 2 some record is dirty, 4 repaired once
//	24 u32  UIDVALIDITY
//	28 u32  next UID
//	32 u32  messages
//	36 u32  unused
//	40 u32  messages with \Seen
//	44 u32  messages with \Deleted
//	48 u32  first UID that is \Recent
//	52 u32  no message below this UID is unseen
//	56 u32  no message below this UID is deleted
//	60 u32  sequence of the log from which to go on
//	64 u32  tail: requests in the log up to here are fulfilled
//	68 u32  head: the snapshot holds what the log has up to here
//	72 u32  unused
//	76 u32  time of the last rotation of the log; 0 unknown, ffffffff there is no .log.2
//	80 u32  when stale temporary files were last looked for
//	84 u32  start of a day, unix time
//	88 8×u32 first UIDs of the last eight days
//
// Extensions begin at the next multiple of 8, each
//
//	 0 u32  size of its header data
//	 4 u32  reset id: changes logged for another one are void
//	 8 u16  offset of its data in a record
//	10 u16  size of its data in a record, 0 for none
//	12 u16  alignment of that data
//	14 u16  size of its name
//	16      name, zeros to a multiple of 8; header data, zeros to a multiple of 8
//
// and a record is
//
//	0 u32  UID, ascending
//	4 u8   flags: 1 Answered, 2 Flagged, 4 Deleted, 8 Seen, 10 Draft, 40 of the format, 80 dirty (hexadecimal)
//	5      data of extensions at their offsets; see layout
//
// Extensions that this package understands by itself:
//
//	keywords  header: u32 count; for each keyword u32 unused, u32 offset of its name behind this list; names, each ended
//	          by NUL; room. Record: a bit for each keyword, the lowest first.
//	modseq    header: u64 modseq counter, u32 sequence and u32 offset of the log up to which it has counted.
//	          Record: u64 modseq of the message.
//
// The others (dbox-hdr, mdbox-hdr, hdr-pop3-uidl, guid, mdbox, map, ref, maildir, mbox, cache, …) belong to the packages of
// their formats, which find them with State.Ext and change them with Tx.SetHeader and Tx.SetData.
//
// # Writing
//
// A change is one transaction at the end of the log, written in one piece under a lock on the log, and durable when
// Update returns if it adds or removes messages. Nothing else is needed: whoever reads finds all of it or nothing, and a
// Dovecot that has the mailbox open sees it at its next command. What a writer that died left at the end of the log is
// cut off by the next one. Create writes log and snapshot, so that losing either loses nothing.
//
// The snapshot is rewritten (dovecot.index.tmp, synced, renamed) when the log behind it grows, or when modseqs were
// chosen that a log cannot hold. A log beyond a megabyte is rotated: see Index.rotate for the order of steps. At each
// write boundary of all this a reader finds the state from before or the one from after.
//
// Modseqs are counted, not stored, as long as the extension modseq is missing: every message then shows the mailbox's
// highest one. The first transaction that chooses a modseq adds the extension.
//
// # Locks
//
// Index.mu, then the log (OFD write lock, which excludes Dovecot's fcntl locks and other handles of this process), then
// dovecot.index.log.newlock while a log is made. Formats take their own locks before: the uidlist of a Maildir, the map
// of an mdbox. Readers take no lock.
//
// Other settings of Dovecot's lock_method than fcntl (flock, dotlock) are not supported.
//
// Facts from Dovecot 2.3.19.1 and 2.4.4 (src/lib-index) and from experiments with both; the tests put this package
// beside a running Dovecot 2.3.19.1.
package index

import (
	"sync"

	"dovetail/formats/disk"
)

// The usual names of index files; .log, .log.2, .cache and so on are added to them.
const (
	Prefix     = "dovecot.index"
	MapPrefix  = "dovecot.map.index"  // of an mdbox storage
	ListPrefix = "dovecot.list.index" // of a mailbox list
)

// Index is a handle on one index that keeps its state, so that only what is new in the log is read again.
// Its methods may be called from several goroutines.
type Index struct {
	// Strict, set before the first use, makes the loss of the log an error for Update, which else goes on with a new one
	// behind the snapshot. It is for who makes the index anew then, with Rebuild.
	Strict bool

	dir    *disk.Dir
	prefix string

	mu sync.Mutex // guards what follows, and is held as long as the log is locked

	// state is what the log held up to state.Head; it is never changed but replaced. stale tells that it must be read
	// anew.
	state *State
	stale bool

	// log is the log that state.LogSeq names; nil when there is none yet.
	log      *disk.File
	writable bool // log may be written through
	gone     bool // its name was, when it was looked for last

	reserved struct { // up to where room is kept for log
		log  *disk.File
		size int64
	}

	behind int64 // bytes of log behind the snapshot; all of the log when there is no snapshot
}

// Read gives the state of the index in dir. It takes no lock and writes nothing. Without a log and a snapshot the error
// wraps fs.ErrNotExist. When the files are damaged the error is a *formats.Error that wraps formats.ErrCorrupt, and the
// state is what could be read nevertheless: nil when that is nothing.
func Read(dir *disk.Dir, prefix string) (*State, error) {
	l, err := load(dir, prefix)
	if l.log != nil {
		l.log.Close()
	}
	return l.state, err
}

// Open reads the index as Read does, but fails when it is damaged. The handle does not own dir, which must stay open as
// long as it is used.
func Open(dir *disk.Dir, prefix string) (*Index, error) {
	x := &Index{dir: dir, prefix: prefix}
	if err := x.reload(); err != nil {
		return nil, err
	}
	return x, nil
}

// Close gives the handle back.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.log == nil {
		return nil
	}
	err := x.log.Close()
	x.log = nil
	x.stale = true
	return err
}

// Snapshot gives the state last seen. It never changes.
func (x *Index) Snapshot() *State {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.state
}

// Gone tells that the log had no name any more when it was looked for last: somebody has removed it, and whoever opens
// the index now finds another state, or none.
func (x *Index) Gone() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.gone
}

// Refresh reads what other programs added; changed tells whether Snapshot differs now. After an error the state is what
// it was.
func (x *Index) Refresh() (changed bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.refresh()
}

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

// Refresh reads what other programs added; changed tells whether Snapshot differs now. After an error the state is what
// it was.
func (x *Index) Refresh() (changed bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.refresh()
}

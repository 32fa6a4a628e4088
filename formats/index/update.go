package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index/translog"
)

// lockTimeout is how long Dovecot waits for the log (MAIL_TRANSACTION_LOG_LOCK_TIMEOUT).
const lockTimeout = 3 * time.Minute

// Update takes the lock of the log (waiting until ctx ends, three minutes at most), brings the state up to date, runs
// fn, and appends everything fn asked for to the log as one transaction, written at once: readers see all of it or
// nothing. It is made durable when it has appends or expunges and fn did not call Lazy, or when fn called Sync. When fn
// returns an error nothing is written.
//
// fn runs with the lock held: the place where dbox renames its message files to the UIDs that it got from Append.
func (x *Index) Update(ctx context.Context, fn func(*Tx) error) error {
	return x.Hold(ctx, func(h *Held) error { return h.Update(fn) })
}

// Hold takes the lock of the log as Update does, for several transactions and for what must not change between them.
// What fn has committed stays when it returns an error.
func (x *Index) Hold(ctx context.Context, fn func(*Held) error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.lock(ctx); err != nil {
		return err
	}
	defer func() { x.log.Unlock() }() // x.log may be another one by then: rotation hands the lock over
	if x.state.Deleted {
		return x.fail("lock index", formats.ErrNoMailbox)
	}
	return fn(&Held{x})
}

// Held is an index whose log is locked.
type Held struct{ x *Index }

// State is the state under the lock, with what Update has written; it does not change any more.
func (h *Held) State() *State { return h.x.state }

// Update is a transaction of its own.
func (h *Held) Update(fn func(*Tx) error) error {
	if h.x.stale {
		return h.x.fail("write log", errors.New("a write failed before under the same lock"))
	}
	return h.x.commit(fn)
}

// reload reads everything anew.
func (x *Index) reload() error {
	l, err := load(x.dir, x.prefix)
	if err != nil {
		if l.log != nil {
			l.log.Close()
		}
		return err
	}
	if x.log != nil {
		x.log.Close()
	}
	x.state, x.log, x.behind = l.state, l.log, l.behind
	x.stale, x.writable, x.gone = false, false, false
	return nil
}

func (x *Index) refresh() (bool, error) {
	if x.stale || x.log == nil {
		if !x.stale && !rotated(x.dir, x.prefix, nil) {
			return false, nil // there is only a snapshot
		}
		return true, x.reload()
	}
	st, err := x.log.Stat()
	if err != nil {
		return false, err
	}
	var moved bool
	moved, x.gone = whereabouts(x.dir, x.prefix, x.log)
	switch {
	case moved || st.Size < int64(x.state.Head):
		return true, x.follow()
	case st.Size == int64(x.state.Head):
		return false, nil
	}
	return x.catchUp()
}

// catchUp applies what is new in the log.
func (x *Index) catchUp() (bool, error) {
	head, err := x.checkHeader()
	if err != nil {
		return false, err
	}
	s := x.state.clone()
	n, err := replayLog(s, x.log, head, int64(s.Head), -1)
	if err != nil {
		return false, inFile(x.dir, x.prefix+".log", err)
	}
	if n == 0 {
		return false, nil
	}
	x.state = s
	x.behind += n
	return true, nil
}

// follow goes on in the log that took the place of the one we read.
func (x *Index) follow() error {
	if _, err := x.catchUp(); err != nil {
		return x.reload()
	}
	log, head, err := openLog(x.dir, x.prefix+".log")
	if err != nil {
		return x.reload()
	}
	if head.IndexID != x.state.IndexID || head.PrevSeq != x.state.LogSeq || head.PrevOffset != x.state.Head {
		log.Close()
		return x.reload()
	}
	s := x.state.clone()
	s.Tail = 0
	s.modseq = max(s.modseq, head.InitialModSeq)
	n, err := replayLog(s, log, head, int64(head.Size), -1)
	if err != nil {
		log.Close()
		return inFile(x.dir, x.prefix+".log", err)
	}
	x.log.Close()
	x.log, x.writable = log, false
	x.state, x.behind = s, n
	return nil
}

// lock takes the write lock of the log that has its name, and brings the state up to its end.
func (x *Index) lock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	for {
		if err := ctx.Err(); err != nil {
			return x.fail("lock index", errors.Join(disk.ErrLocked, err))
		}
		if _, err := x.refresh(); err != nil {
			return err
		}
		if x.log == nil && x.Strict {
			return logGone(x.dir, x.prefix)
		}
		if x.log == nil {
			if err := x.startLog(ctx); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			continue
		}
		ok, err := x.reopenWritable()
		if err != nil {
			return err
		}
		if !ok {
			continue // rotated meanwhile
		}
		if err := x.log.Lock(ctx, true); err != nil {
			return err
		}
		var moved bool
		if moved, x.gone = whereabouts(x.dir, x.prefix, x.log); !moved {
			break
		}
		x.log.Unlock()
	}
	_, err := x.checkHeader()
	if err == nil {
		err = x.settleTail()
	}
	if err != nil {
		x.log.Unlock()
	}
	return err
}

// checkHeader finds out that another program has marked the log as corrupted: nobody would read what is added to it.
func (x *Index) checkHeader() (translog.Header, error) {
	head, err := translog.ReadHeader(x.log)
	if err == nil && head.IndexID != x.state.IndexID {
		err = formats.Corrupt("indexid changed from %d to %d", x.state.IndexID, head.IndexID)
	}
	if err != nil {
		err = badFile(x.dir, x.prefix+".log", 0, err)
	}
	return head, err
}

// reopenWritable makes x.log fit for writing; false when the name belongs to another file by now.
func (x *Index) reopenWritable() (bool, error) {
	if x.writable {
		return true, nil
	}
	f, err := x.dir.OpenWrite(x.prefix+".log", os.O_APPEND)
	if err != nil {
		return false, err
	}
	a, err := f.Stat()
	if err == nil {
		var b disk.Info
		if b, err = x.log.Stat(); err == nil && a.Ino == b.Ino && a.Dev == b.Dev {
			x.log.Close()
			x.log, x.writable = f, true
			return true, nil
		}
	}
	f.Close()
	return false, err
}

// settleTail reads to the end under the lock and cuts off what a writer that died left there: Dovecot would take the
// log for corrupted as soon as it locks it (2.3: "Unexpected garbage at EOF").
func (x *Index) settleTail() error {
	if _, err := x.refresh(); err != nil {
		return err
	}
	st, err := x.log.Stat()
	if err != nil || st.Size == int64(x.state.Head) {
		return err
	}
	return x.cutLog()
}

// cutLog ends the log where the state does. The descriptor appends, which truncate does not mind.
func (x *Index) cutLog() error { return x.log.Truncate(int64(x.state.Head)) }

func (x *Index) fail(op string, err error) error {
	return &formats.Error{Op: op, Path: join(x.dir, x.prefix), Err: err}
}

// commit runs fn and writes its transaction; the log is locked.
func (x *Index) commit(fn func(*Tx) error) error {
	tx := &Tx{state: x.state, log: x.log, nextUID: x.state.NextUID, gone: x.gone}
	if err := fn(tx); err != nil {
		return err
	}
	b := tx.records()
	if tx.syncTail {
		b = appendTail(b, x.state)
	}
	if len(b) == 0 {
		return nil
	}
	if int64(x.state.Head)+int64(len(b)) > maxLog {
		return x.fail("write log", fmt.Errorf("log would grow beyond %d bytes", maxLog))
	}
	s := x.state.clone()
	if err := applyOwn(s, b); err != nil {
		return x.fail("write log", err)
	}
	exact := !tx.chosen.settle(s, x.state.modseq)
	if err := x.write(b, tx); err != nil {
		x.stale = true
		return err
	}
	x.state = s
	x.behind += int64(len(b))
	if !exact {
		return x.writeSnapshot()
	}
	x.tidy()
	return nil
}

// maxLog keeps offsets in 32 bits, with room for Dovecot to write on.
const maxLog = 1 << 31

// appendTail adds the header update that puts the tail behind itself.
func appendTail(b []byte, s *State) []byte {
	const size = 16
	end := s.Head + uint32(len(b)) + size
	return translog.AppendRecord(b, translog.HeaderUpdate|translog.External, appendHeader(nil, offTail, end))
}

// applyOwn reads the transaction as everybody else will, before it is written.
func applyOwn(s *State, b []byte) error {
	base := int64(s.Head)
	end := base + int64(len(b))
	r := translog.NewReader(shifted{bytes.NewReader(b), base}, end)
	p := newReplayer(s, end)
	p.minor = s.minor
	for rec, err := range r.Records(base) {
		if err == nil {
			err = p.apply(rec)
		}
		if err != nil {
			return fmt.Errorf("transaction is not sound: %w", err)
		}
		p.track(rec)
	}
	if r.End() != end {
		return fmt.Errorf("transaction is not sound: it ends at %d of %d", r.End(), end)
	}
	p.done(s.LogSeq, uint32(end))
	h := header{Header: s.Header}
	return h.check(s.lastUID())
}

// shifted is bytes that lie at an offset of a file.
type shifted struct {
	b    *bytes.Reader
	base int64
}

func (s shifted) ReadAt(p []byte, off int64) (int, error) { return s.b.ReadAt(p, off-s.base) }

// write appends the transaction in one piece, or leaves the log as it was.
func (x *Index) write(b []byte, tx *Tx) error {
	n, err := x.log.Write(b)
	if disk.Full(err) && x.makeRoom() {
		if n > 0 {
			err = x.cutLog()
		}
		if n == 0 || err == nil {
			n, err = x.log.Write(b)
		}
	}
	if err == nil && (tx.durable || !tx.lazy && (len(tx.appends) > 0 || len(tx.expunges) > 0)) {
		err = x.log.Sync()
	}
	if err != nil && n > 0 {
		err = errors.Join(err, x.cutLog())
	}
	if err == nil && len(tx.appends) > 0 {
		x.reserve(int64(x.state.Head) + int64(len(b)))
	}
	return err
}

// reserveBehind is room for some hundred expunges, or marks on any number of messages.
const reserveBehind = 8 << 10

// reserve keeps room behind the end of the log: when the messages that come have filled the disk, it must still be
// possible to delete some. Where that cannot be had nothing is worse than before.
func (x *Index) reserve(end int64) {
	if x.reserved.log == x.log && end+reserveBehind/2 <= x.reserved.size {
		return
	}
	x.reserved.log, x.reserved.size = x.log, end+reserveBehind
	x.log.Reserve(x.reserved.size)
}

// makeRoom removes files beside the index that are not needed, largest first as a rule: Dovecot's cache of headers,
// which it makes anew, the log before this one, which only tells clients who were away for long what is gone, and the
// snapshot before the last one. On a full disk a mark or an expunge is worth more.
func (x *Index) makeRoom() (some bool) {
	for _, end := range []string{".cache", ".log.2", ".backup"} {
		if x.dir.Remove(x.prefix+end) == nil {
			some = true
		}
	}
	return some
}

package mbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"dovetail/formats"
)

// record is a message in the spool.
type record struct {
	from, end int64 // as in entry
	uidAt     int64
	asked     formats.UID // 0: any
	uid       formats.UID // as written
	flags     formats.Flags
	keywords  []string
}

// tx is a set of changes to one mailbox. Appended messages lie in the spool, which is an mbox file that can become the
// mailbox's, if that is empty, or be added to it.
type tx struct {
	box      *Mailbox
	start    *snapshot     // the mailbox when the transaction began
	fresh    bool          // it held no message then
	patience time.Duration // how long it may still wait for the lock, after it has waited for other transactions of ours

	mu      sync.Mutex // guards what follows: Append may be called by several goroutines
	spool   *spool     // nil until the first Append
	records []record
	first   base  // as written into the first message
	baseAt  int64 // where its value is in the spool
	next    formats.UID
	added   []string // keywords used

	changes []flagging
	gone    formats.Ranges
	raise   formats.UID
	claim   formats.UID          // messages below it are not \Recent any more
	all     bool                 // none is any more
	keep    bool                 // a modseq for each message
	number  bool                 // UIDs that stay
	fix     map[formats.UID]bool // messages to write again for a repair
}

type flagging struct {
	uids   formats.Ranges
	change formats.FlagChange
}

// baseRoom is kept behind X-IMAPbase for the keywords of messages that follow.
const baseRoom = 400

// Append copies the message to the spool.
func (t *tx) Append(ctx context.Context, m formats.Message, body formats.Body) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.spool == nil {
		if err := t.begin(ctx); err != nil {
			return t.box.fail("append", m.UID, 0, err)
		}
	}
	start := t.spool.pos()
	if err := t.add(m, body); err != nil {
		err = errors.Join(err, t.spool.cut(start))
		return t.box.fail("append", m.UID, 0, err)
	}
	return nil
}

// begin makes the spool.
func (t *tx) begin(ctx context.Context) (err error) {
	t.first = t.start.base
	if t.fresh && t.first.validity == 0 {
		if err := t.box.store.takeValidity(ctx, &t.first); err != nil {
			return err
		}
	}
	t.next = t.start.next
	t.spool, err = t.box.newSpool()
	return err
}

func (t *tx) add(m formats.Message, body formats.Body) error {
	uid := m.UID
	if uid == 0 {
		uid = t.next
	}
	if uid == maxUint32 {
		return errors.New("no UIDs are left")
	}
	for _, k := range m.Keywords {
		if problem := keywordProblem(k); problem != "" {
			return fmt.Errorf("keyword %q: %s", k, problem)
		}
	}
	from := t.spool.pos()
	c, err := t.compose(m, body, uid, false)
	if errors.Is(err, errOwnFirst) {
		if err := t.spool.cut(from); err != nil {
			return err
		}
		c, err = t.compose(m, again{body, io.NewSectionReader(body, 0, body.Size())}, uid, true)
	}
	if err != nil {
		return err
	}
	if c.own.base != nil {
		t.baseAt = c.ownAt + int64(len("X-IMAPbase: "))
	}
	t.records = append(t.records, record{from: from, end: t.spool.pos(), uidAt: c.uidAt, asked: m.UID, uid: uid, flags: c.own.flags, keywords: m.Keywords})
	t.next = max(t.next, uid+1)
	t.use(m.Keywords)
	return nil
}

// again is a body that is read a second time: its own WriteTo may give it only once.
type again struct {
	formats.Body
	section *io.SectionReader
}

func (a again) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, a.section) }

// compose writes a message to the end of the spool.
func (t *tx) compose(m formats.Message, body formats.Body, uid formats.UID, ownFirst bool) (*composer, error) {
	c := &composer{out: t.spool, date: m.InternalDate, size: body.Size(), ownFirst: ownFirst}
	if c.date.IsZero() {
		c.date = time.Now()
	}
	c.own = ownFields{uid: uid, flags: m.Flags & (formats.SystemFlags | formats.Recent), keywords: m.Keywords, pad: padding}
	if t.fresh && len(t.records) == 0 {
		c.own.base, c.own.baseRoom = &t.first, baseRoom
	}
	if _, err := body.WriteTo(c); err != nil {
		return c, err
	}
	return c, c.finish()
}

// use remembers keywords for X-IMAPbase.
func (t *tx) use(keywords []string) {
	t.added = formats.AddKeywords(t.added, keywords)
}

// SetFlags notes a change.
func (t *tx) SetFlags(uids formats.Ranges, change formats.FlagChange) error {
	for _, k := range change.Keywords {
		if problem := keywordProblem(k); problem != "" && change.Op != formats.RemoveFlags {
			return t.box.fail("store flags", 0, 0, fmt.Errorf("keyword %q: %s", k, problem))
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if change.Op != formats.RemoveFlags {
		t.use(change.Keywords)
	}
	t.changes = append(t.changes, flagging{slices.Clone(uids), change})
	return nil
}

// Expunge notes messages to remove.
func (t *tx) Expunge(uids formats.Ranges) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range uids {
		t.gone.AddRange(r.First, r.Last)
	}
	return nil
}

// Raise notes a UIDNEXT, and which messages are \Recent no more. Modseqs of elsewhere are not kept.
func (t *tx) Raise(next formats.UID, _ formats.ModSeq, firstRecent formats.UID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.raise, t.claim = max(t.raise, next), max(t.claim, firstRecent)
	return nil
}

// ClaimRecent is done at commit.
func (t *tx) ClaimRecent() { t.all = true }

// KeepModSeqs is done at commit.
func (t *tx) KeepModSeqs() { t.keep = true }

// Update runs fn and commits what it asked for.
func (b *Mailbox) Update(ctx context.Context, fn func(formats.Tx) error) (formats.Committed, error) {
	return b.update(ctx, func(t *tx) error { return fn(t) })
}

func (b *Mailbox) update(ctx context.Context, fn func(*tx) error) (formats.Committed, error) {
	if b.store.readOnly() {
		return formats.Committed{}, b.fail("update", 0, 0, formats.ErrReadOnly)
	}
	if d := b.store.opts.Dialect; d.quoteMark() != nil {
		return formats.Committed{}, b.fail("update", 0, 0, fmt.Errorf("%w: %s is a dialect for reading; mail is written unquoted, with Content-Length", formats.ErrReadOnly, d))
	}
	until := b.store.opts.Locks.until()
	one := b.store.writer(b)
	one.Lock()
	patience := time.Until(until)
	defer one.Unlock()
	start, err := b.current(ctx)
	if err != nil {
		return formats.Committed{}, err
	}
	defer start.release()
	t := &tx{box: b, start: start, fresh: len(start.entries) == 0, next: start.next, patience: patience}
	done, err := t.run(ctx, fn)
	if t.spool != nil {
		done.Leftover = errors.Join(done.Leftover, b.fail("remove spool", 0, 0, t.spool.discard()))
	}
	if err == nil {
		// With no file locked, not even the spool, which may be the mailbox by now: a reader holds the mutex that this
		// takes while it waits for the lock.
		err = b.forgetSnapshot()
	}
	return done, err
}

func (t *tx) run(ctx context.Context, fn func(*tx) error) (formats.Committed, error) {
	if err := fn(t); err != nil {
		return formats.Committed{}, err
	}
	if !t.changesFile(t.start) && !t.wantsIndex() {
		return formats.Committed{}, nil
	}
	done, err := t.commit(ctx)
	return done, t.box.fail("update", 0, 0, err)
}

// readOnly tells that the store is a source.
func (s *Store) readOnly() bool { return s.opts.FS != nil && s.opts.FS.ReadOnly }

// writer is the mutex of a mailbox in this process.
func (s *Store) writer(b *Mailbox) *sync.Mutex {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.writing[b.storage]
	if m == nil {
		m = &sync.Mutex{}
		s.writing[b.storage] = m
	}
	return m
}

// commit locks the mailbox and writes in the cheapest way that is all or nothing.
func (t *tx) commit(ctx context.Context) (done formats.Committed, err error) {
	if t.spool != nil {
		if err := t.spool.flush(); err != nil {
			return done, err
		}
	}
	l, err := t.box.lock(ctx, time.Now().Add(t.patience))
	if err != nil {
		return done, err
	}
	var now *snapshot
	defer func() { // first the lock: a reader holds a snapshot's mutex while it waits for the lock
		if lerr := l.release(); lerr != nil { // what is done is done
			done.Leftover = errors.Join(done.Leftover, t.box.fail("unlock", 0, 0, lerr))
		}
		if now != t.start {
			now.release()
		}
	}()
	if err := t.box.recover(l); err != nil {
		return done, err
	}
	if err := t.box.sweep(); err != nil {
		return done, err
	}
	if now, err = t.now(ctx); err != nil {
		return done, err
	}
	c := &committer{tx: t, l: l, now: now}
	done.Modified = c.leaveChanged()
	if err := c.plan(ctx); err != nil {
		return done, err
	}
	if c.all && now.firstRecent <= c.base.last {
		c.claim = c.base.last + 1
		done.Recent.AddRange(now.firstRecent, c.base.last)
	}
	written := c.changesFile(c.now)
	if c.unmoved = !written; written {
		err = c.write(ctx)
		done.Leftover = t.box.fail("clean up", 0, 0, c.leftover)
		if err != nil {
			return done, err
		}
	}
	if done.HighestModSeq, err = c.commitIndex(ctx); err != nil && written { // what is done is done
		done.Leftover = errors.Join(done.Leftover, t.box.fail("write index", 0, 0, err))
	} else if err != nil {
		return done, err
	}
	for _, r := range t.records {
		done.UIDs.Add(r.asked)
	}
	return done, nil
}

// now reads the locked file again, unless nothing changed: then it is t.start, not retained once more.
func (t *tx) now(ctx context.Context) (*snapshot, error) {
	id, log, err := t.box.state()
	if err != nil {
		return nil, err
	}
	if sameContent(id, t.start.id) && log == t.start.indexID && t.start.size == id.Size {
		return t.start, nil
	}
	f, err := t.box.dir.Open(t.box.file)
	if err != nil {
		return nil, err
	}
	s, err := t.box.loadLocked(ctx, f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

// forgetSnapshot makes the next reader look at the file again.
func (b *Mailbox) forgetSnapshot() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.snap
	b.snap = nil
	return s.release()
}

// fold is how keywords are compared.
func fold(keyword string) string { return strings.ToLower(keyword) }

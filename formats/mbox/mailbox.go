package mbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"sync"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// Mailbox is one mbox file.
type Mailbox struct {
	store   *Store
	name    string
	dir     *disk.Dir // where the file is
	file    string    // its name there
	storage string    // its path below the root, "INBOX" for INBOX

	mu     sync.Mutex // guards what follows
	snap   *snapshot
	closed bool
}

// Name is the name it was opened with.
func (b *Mailbox) Name() string { return b.name }

// Close gives the file back, unless bodies still use it.
func (b *Mailbox) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	err := b.snap.release()
	return errors.Join(err, b.dir.Close())
}

func (b *Mailbox) fail(op string, uid formats.UID, at int64, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	path := filepath.Join(b.dir.Path(), b.file)
	if pe, ok := errors.AsType[*fs.PathError](err); ok && filepath.Clean(pe.Path) == path {
		path = ""
	}
	return &formats.Error{Op: op, Mailbox: b.name, UID: uid, Path: path, Offset: at, Err: err}
}

// current gives the mailbox as it is now. The caller releases it.
func (b *Mailbox) current(ctx context.Context) (*snapshot, error) {
	until := b.store.opts.Locks.until()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, b.fail("read", 0, 0, fs.ErrClosed)
	}
	id, indexID, err := b.state()
	if err != nil {
		return nil, b.fail("read", 0, 0, err)
	}
	if b.snap == nil || !sameContent(b.snap.id, id) || b.snap.indexID != indexID {
		fresh, err := b.look(ctx, until, id)
		if err != nil {
			return nil, b.fail("read", 0, 0, err)
		}
		b.snap.release()
		b.snap = fresh
	}
	return b.snap.retain(), nil
}

// look reads the file, or only the index if nothing else has changed.
func (b *Mailbox) look(ctx context.Context, until time.Time, id disk.ID) (*snapshot, error) {
	if b.snap != nil && sameContent(b.snap.id, id) {
		if s, err := b.reindexed(); s != nil || err != nil {
			return s, err
		}
	}
	return b.load(ctx, until)
}

// forBody is current without a look at the index, which says nothing of bodies.
func (b *Mailbox) forBody(ctx context.Context) (*snapshot, error) {
	b.mu.Lock()
	s := b.snap
	if st, err := b.dir.Stat(b.file); s != nil && !b.closed && err == nil && sameContent(s.id, st.ID) {
		defer b.mu.Unlock()
		return s.retain(), nil
	}
	b.mu.Unlock()
	return b.current(ctx)
}

// state tells what current depends on.
func (b *Mailbox) state() (file, log disk.ID, err error) {
	st, err := b.dir.Stat(b.file)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", formats.ErrNoMailbox, err)
	}
	if err != nil {
		return disk.ID{}, disk.ID{}, err
	}
	dir := b.store.indexDir(b)
	if dir == nil {
		return st.ID, disk.ID{}, nil
	}
	defer dir.Close()
	if lst, err := dir.Stat(index.Prefix + ".log"); err == nil {
		log = lst.ID
	}
	return st.ID, log, nil
}

func (b *Mailbox) load(ctx context.Context, until time.Time) (*snapshot, error) {
	f, err := b.dir.Open(b.file)
	if err != nil {
		return nil, err
	}
	wait, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	if err := f.Lock(wait, false); err != nil {
		f.Close()
		return nil, err
	}
	s, err := b.loadLocked(ctx, f)
	if err != nil || s.file != f {
		return s, errors.Join(err, f.Close())
	}
	return s, f.Unlock()
}

// loadLocked reads a file that is locked. The snapshot owns it, unless it has another one that holds what this one is to
// hold.
func (b *Mailbox) loadLocked(ctx context.Context, f *disk.File) (s *snapshot, err error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	_, whole, err := b.unfinishedRewrite(st)
	if err != nil {
		return nil, err
	}
	if whole != nil {
		defer func() {
			if err != nil {
				whole.Close()
			}
		}()
		if st, err = whole.Stat(); err != nil {
			return nil, err
		}
		f = whole
	}
	in, undone, err := b.unfinishedAppend(f, st)
	if err != nil {
		return nil, err
	}
	var state *index.State
	var wished formats.Ranges
	var logID disk.ID
	if dir := b.store.indexDir(b); dir != nil {
		defer dir.Close()
		if st, err := dir.Stat(index.Prefix + ".log"); err == nil {
			logID = st.ID
		}
		state, wished = readIndex(dir)
	}
	l := newLoader(f, st, b.store.opts.Dialect, b.store.zone(), state)
	l.wished = wished
	if undone {
		l.s.size, l.before = in.Size, &in
	}
	if s, err = l.load(ctx); err != nil {
		return nil, err
	}
	s.indexID = logID
	return s, nil
}

// Status counts the messages.
func (b *Mailbox) Status(ctx context.Context) (formats.Status, error) {
	s, err := b.numbered(ctx)
	if err != nil {
		return formats.Status{}, err
	}
	defer s.release()
	return s.status(), nil
}

// Messages gives every message. Sizes cost nothing but for quoted dialects; virtual sizes mean reading all bodies.
func (b *Mailbox) Messages(ctx context.Context, q formats.Query) iter.Seq2[formats.Message, error] {
	return func(yield func(formats.Message, error) bool) {
		s, err := b.numbered(ctx)
		if err != nil {
			yield(formats.Message{}, err)
			return
		}
		defer s.release()
		for i := range s.entries {
			if err := ctx.Err(); err != nil {
				yield(formats.Message{}, err)
				return
			}
			m := s.message(i, q.Want)
			if err := b.sizes(ctx, s, i, q.Want, &m); err != nil {
				err = b.fail("read", m.UID, s.entries[i].from, err)
				if !yield(m, err) {
					return
				}
				continue
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

func (s *snapshot) message(i int, want formats.Want) formats.Message {
	e := &s.entries[i]
	m := formats.Message{UID: e.uid, Flags: e.flags, Keywords: s.keySets[e.keys]}
	if e.uid >= s.firstRecent {
		m.Flags |= formats.Recent
	}
	if s.state != nil {
		if at, ok := s.state.Find(e.uid); ok {
			m.ModSeq = s.state.ModSeq(at)
		}
	}
	m.InternalDate = time.Unix(e.date, 0).UTC()
	m.Size, m.VirtualSize = e.size(), -1
	m.DerivedGUID = true
	if want&formats.WantGUID != 0 {
		m.GUID = e.guid()
	}
	return m
}

// sizes fills what only a look at the body tells.
func (b *Mailbox) sizes(ctx context.Context, s *snapshot, i int, want formats.Want, m *formats.Message) error {
	quoted := s.dialect.quoteMark() != nil && want&formats.WantSize != 0
	if !quoted && want&formats.WantVirtualSize == 0 {
		return nil
	}
	one := *m
	body, err := b.Body(ctx, &one)
	if err != nil {
		return err
	}
	defer body.Close()
	m.Size = body.Size()
	if want&formats.WantVirtualSize == 0 {
		return nil
	}
	var bare bareLines
	if _, err := body.WriteTo(&bare); err != nil {
		return err
	}
	m.VirtualSize = m.Size + bare.n
	return nil
}

// bareLines counts LFs without CR before them.
type bareLines struct {
	n    int64
	last byte
}

func (c *bareLines) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		before := c.last
		if i > 0 {
			before = rest[i-1]
		}
		if before != '\r' {
			c.n++
		}
		c.last = '\n'
		rest = rest[i+1:]
	}
	if len(p) > 0 {
		c.last = p[len(p)-1]
	}
	return len(p), nil
}

// Body opens a message. It stays readable when the file is changed meanwhile, as long as the message is in it.
func (b *Mailbox) Body(ctx context.Context, m *formats.Message) (formats.Body, error) {
	body := &body{box: b, uid: m.UID, guid: m.GUID}
	if err := body.locate(ctx, nil); err != nil {
		return nil, err
	}
	e := body.entry
	m.GUID, m.DerivedGUID = e.guid(), true
	m.InternalDate = time.Unix(e.date, 0).UTC()
	m.Size = body.parts.size()
	return body, nil
}

// body is one message.
type body struct {
	box   *Mailbox
	uid   formats.UID
	guid  string // "" not known
	snap  *snapshot
	entry *entry
	parts spans
	stale bool  // parts are not those of snap
	gone  error // the message was expunged
}

// locate finds the parts of the message in the file as it is now, and runs then (nil for nothing) before the lock is
// given back.
func (m *body) locate(ctx context.Context, then func() error) error {
	for {
		s, err := m.box.forBody(ctx)
		if err != nil {
			return err
		}
		m.snap.release()
		m.snap, m.stale = s, true
		i, ok := s.find(m.uid)
		if !ok || m.guid != "" && s.entries[i].guid() != m.guid {
			m.gone = m.box.fail("read", m.uid, 0, formats.ErrNoMessage)
			return m.gone
		}
		m.entry = &s.entries[i]
		m.guid = m.entry.guid()
		err = s.read(ctx, m.box.store.opts.Locks.until(), func() error {
			m.parts, err = messageSpans(s.file, m.entry, s.dialect, s.zone)
			m.stale = err != nil
			if err != nil || then == nil {
				return err
			}
			return then()
		})
		if !errors.Is(err, errStale) {
			return m.box.fail("read", m.uid, m.entry.from, err)
		}
	}
}

// use runs fn with the file locked and the parts right.
func (m *body) use(fn func() error) error {
	switch {
	case m.snap == nil:
		return fs.ErrClosed
	case m.gone != nil:
		return m.gone
	}
	ctx := context.Background() // a body has none; no lock is waited for longer than the options say
	if m.stale {
		return m.locate(ctx, fn)
	}
	err := m.snap.read(ctx, m.box.store.opts.Locks.until(), fn)
	if errors.Is(err, errStale) {
		return m.locate(ctx, fn)
	}
	return err
}

// Size is that of the message without hidden fields and quoting.
func (m *body) Size() int64 { return m.parts.size() }

func (m *body) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	var end error
	err = m.use(func() error {
		n, end = m.parts.readAt(p, off, m.snap.file)
		if end == io.EOF {
			return nil
		}
		return end
	})
	if err == nil {
		err = end
	}
	return n, err
}

func (m *body) WriteTo(w io.Writer) (n int64, err error) {
	err = m.use(func() error {
		n, err = m.parts.copyTo(w, m.snap.file)
		return err
	})
	return n, err
}

// Close gives the file back.
func (m *body) Close() error {
	s := m.snap
	m.snap = nil
	return s.release()
}

// Lost says that a damaged index may have had flags that were not yet written to the file.
func (b *Mailbox) Lost() error {
	if !b.store.readOnly() {
		return nil
	}
	dir := b.store.indexDir(b)
	if dir == nil {
		return nil
	}
	defer dir.Close()
	if err := index.Damage(dir, index.Prefix); err != nil {
		return fmt.Errorf("flags and keywords that only Dovecot's index has: %w", err)
	}
	return nil
}

// Fingerprint is made of inode, size and times of the file, and of the log of Dovecot's index, in which flags may lie
// that are not yet in the file.
func (b *Mailbox) Fingerprint(ctx context.Context) (string, error) {
	id, log, err := b.state()
	if err != nil {
		return "", b.fail("stat", 0, 0, err)
	}
	if now := time.Now(); !id.Settled(now) || !log.Settled(now) {
		return "", nil
	}
	return fmt.Sprintf("mbox %x.%x.%d.%d.%d/%x.%d.%d", id.Dev, id.Ino, id.Size, id.MTime.Nano(), id.CTime.Nano(),
		log.Ino, log.Size, log.CTime.Nano()), nil
}

var _ formats.Salvaged = (*Mailbox)(nil)

// Watch names the file, and the folder of Dovecot's index, in which flags may change alone.
func (b *Mailbox) Watch(add func(d *disk.Dir, name string) error) error {
	err := add(b.dir, b.file)
	dir := b.store.indexDir(b)
	if dir == nil {
		return err
	}
	defer dir.Close()
	return errors.Join(err, add(dir, ""))
}

// Side is the folder of Dovecot's index files.
func (b *Mailbox) Side() (*disk.Dir, fs.FileMode, error) {
	dir := b.store.indexDir(b)
	if dir == nil {
		return nil, 0, fs.ErrNotExist
	}
	return dir, 0o600, nil
}

// StillNamed looks where the name leads.
func (b *Mailbox) StillNamed(ctx context.Context) bool {
	dir, file, err := b.store.locate(ctx, b.name)
	if err != nil {
		return false
	}
	defer dir.Close()
	return file == b.file && dir.Same(b.dir)
}

var _ formats.Renamable = (*Mailbox)(nil)

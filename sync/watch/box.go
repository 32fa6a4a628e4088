package watch

import (
	"container/list"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dovetail/formats"
)

// ErrReplaced: the mailbox that was open is no more; another one may have its name.
var ErrReplaced = errors.New("the mailbox was deleted or made anew")

// Box is one mailbox that sessions have open. Its methods may be called from several goroutines.
type Box struct {
	formats.Mailbox // for reading bodies; changes go through Update

	hub     *Hub
	key     key
	uses    int    // guarded by hub.mu
	release func() // gives the store back

	leftAt  time.Time     // guarded by hub.mu, as what follows: when its last session went
	leftIn  *list.Element // its place among those that linger; nil while somebody has it open
	leftLen int           // the messages that it is counted with there

	now   atomic.Pointer[Snapshot]
	cache cache

	mu    sync.Mutex   // guards what follows
	mark  string       // fingerprint of what the newest snapshot shows; "" unknown
	view  formats.View // that the newest snapshot shows; nil where the format has none
	words *words
	seen  formats.UID // the highest UID that was shown
	over  error       // why there will be no newer snapshot

	claiming sync.RWMutex // one claims at a time, while nobody commits messages that he is to claim himself
	claimed  formats.UID  // guarded by claiming: below it nothing is \Recent any more; only where the format does not keep that
	claims   claims

	wake    sync.Mutex
	changed chan struct{} // closed at the next change
	called  map[*func()]bool
	waiting int
	watched func() // ends the notifications; nil while nobody waits
}

// Snapshot is the newest state that is known.
func (b *Box) Snapshot() *Snapshot { return b.now.Load() }

// Refresh takes over what others have changed on disk, and gives the newest state. After ErrReplaced the snapshot stays
// as it was.
func (b *Box) Refresh(ctx context.Context) (*Snapshot, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over != nil {
		return b.now.Load(), b.over
	}
	err := b.look(ctx)
	if errors.Is(err, formats.ErrNoMailbox) || errors.Is(err, ErrReplaced) {
		b.over, err = ErrReplaced, ErrReplaced
		b.announce()
	}
	return b.now.Load(), err
}

// look brings the snapshot up to date, with as little reading as the format allows.
func (b *Box) look(ctx context.Context) error {
	v, ok := b.Mailbox.(formats.Viewer)
	if !ok {
		return b.lookAtAll(ctx)
	}
	is, err := v.View(ctx)
	switch {
	case err != nil:
		return err
	case is == nil:
		b.view = nil
		return b.lookAtAll(ctx)
	case is == b.view:
		return nil
	}
	was, err := b.begin(is.Status())
	if err != nil {
		return err
	}
	b.show(is.Status(), was, b.take(is, was))
	b.view, b.mark = is, ""
	return nil
}

// lookAtAll reads every message unless the fingerprint tells that nothing changed. It is taken before reading: what comes
// between the two is read again the next time.
func (b *Box) lookAtAll(ctx context.Context) error {
	mark := b.fingerprint(ctx)
	if mark != "" && mark == b.mark {
		return nil
	}
	b.mark = ""
	err := b.read(ctx)
	if err == nil {
		b.mark = mark
	}
	return err
}

func (b *Box) fingerprint(ctx context.Context) string {
	f, ok := b.Mailbox.(formats.Fingerprinter)
	if !ok {
		return ""
	}
	mark, err := f.Fingerprint(ctx)
	if err != nil {
		return ""
	}
	return mark
}

// begin gives the snapshot that a new one is to be made from.
func (b *Box) begin(st formats.Status) (*Snapshot, error) {
	was := b.now.Load()
	if was == nil {
		return newSnapshot(st, nil, nil), nil
	}
	if st.UIDValidity != was.Status.UIDValidity {
		return nil, ErrReplaced
	}
	b.words.drop(was)
	return was, nil
}

// read makes a snapshot of what is on disk now.
func (b *Box) read(ctx context.Context) error {
	st, err := b.Mailbox.Status(ctx)
	if err != nil {
		return err
	}
	was, err := b.begin(st)
	if err != nil {
		return err
	}
	build := builder{old: was, seen: b.seen}
	for m, err := range b.Mailbox.Messages(ctx, formats.Query{}) {
		if err != nil {
			if _, one := formats.Damaged(err); !one {
				return err
			}
		}
		if !st.KeepsModSeqs {
			m.ModSeq = 0 // it is the mailbox's, and would change with every change of any message
		}
		if m.UID != 0 {
			build.add(record{UID: m.UID, bits: b.words.number(m.Keywords)<<8 | uint32(m.Flags&formats.SystemFlags), ModSeq: m.ModSeq}, m.VirtualSize)
		}
	}
	b.words.last = nil // the slice may be another one the next time
	b.show(st, was, build.finish())
	return nil
}

// take makes chunks of a view: the old ones where it is the same as the view before.
func (b *Box) take(is formats.View, was *Snapshot) []*chunk {
	if len(was.chunks) == 0 && b.seen == 0 {
		return b.takeAll(is)
	}
	build := builder{old: was, seen: b.seen}
	i, j := 0, 0
	for at := range max(len(was.chunks), 1) {
		iEnd, jEnd := is.Len(), 0
		if b.view != nil {
			jEnd = b.view.Len()
		}
		if at+1 < len(was.chunks) {
			next := was.chunks[at+1].first()
			iEnd, _ = is.Find(next)
			if b.view != nil {
				jEnd, _ = b.view.Find(next)
			}
		}
		if b.view != nil && at < len(was.chunks) && iEnd-i == jEnd-j && is.Same(i, b.view, j, iEnd-i) {
			build.keep(at)
		} else if c := b.remake(is, i, iEnd, was, at); c != nil {
			build.replace(at, c)
		} else {
			b.copyRecords(&build, is, i, iEnd)
		}
		i, j = iEnd, jEnd
	}
	b.words.last = nil // the slice may be another one the next time
	return build.finish()
}

// takeAll makes chunks of a view when there was nothing before.
func (b *Box) takeAll(is formats.View) (chunks []*chunk) {
	list := borrow()
	defer lists.Put(list)
	for i := 0; i < is.Len(); i += chunkSize {
		n := min(chunkSize, is.Len()-i)
		is.Records(list[:n], i, b.words.number)
		c := newChunk(n)
		for k := range n {
			r := &list[k]
			c.records[k] = record{r.UID, r.Keywords<<8 | uint32(r.Flags), r.ModSeq}
			if size := sizeOf(r.VirtualSize); size != 0 {
				c.sizes[k].Store(size)
			}
		}
		chunks = append(chunks, c)
	}
	b.words.last = nil // the slice may be another one the next time
	return chunks
}

// lists are for records of views, which would need much room on the stack of each session.
var lists = sync.Pool{New: func() any { return new([chunkSize]formats.Record) }}

func borrow() *[chunkSize]formats.Record { return lists.Get().(*[chunkSize]formats.Record) }

// remake makes the chunk that is at that place anew out of the messages of a view from place i to end, if they are the
// same ones; else it gives nil. What is known of their sizes stays.
func (b *Box) remake(v formats.View, i, end int, was *Snapshot, at int) *chunk {
	if at >= len(was.chunks) || end-i != len(was.chunks[at].records) || end-i > chunkSize {
		return nil
	}
	old := was.chunks[at]
	list := borrow()
	defer lists.Put(list)
	v.Records(list[:end-i], i, b.words.number)
	c := &chunk{make([]record, end-i), old.sizes}
	for k := range c.records {
		r := &list[k]
		if r.UID != old.records[k].UID {
			return nil
		}
		c.records[k] = record{r.UID, r.Keywords<<8 | uint32(r.Flags), r.ModSeq}
		if size := sizeOf(r.VirtualSize); size != 0 && c.sizes[k].Load() == 0 {
			c.sizes[k].Store(size)
		}
	}
	if slices.Equal(c.records, old.records) {
		return old
	}
	return c
}

// copyRecords adds the messages of a view from place i to end.
func (b *Box) copyRecords(build *builder, v formats.View, i, end int) {
	some := borrow()
	defer lists.Put(some)
	for i < end {
		list := some[:min(len(some), end-i)]
		v.Records(list, i, b.words.number)
		for k := range list {
			r := &list[k]
			build.add(record{r.UID, r.Keywords<<8 | uint32(r.Flags), r.ModSeq}, r.VirtualSize)
		}
		i += len(list)
	}
}

// show makes the chunks the newest snapshot and wakes who waits, if anything is different.
func (b *Box) show(st formats.Status, was *Snapshot, chunks []*chunk) {
	is := newSnapshot(st, chunks, nil)
	is.sets, is.words = b.words.sets, b.words.all
	st.Messages = is.n
	is.Status = st
	b.seen = max(b.seen, is.lastUID())
	if b.now.Load() != nil && was.Status == st && slices.Equal(was.chunks, chunks) {
		return
	}
	b.now.Store(is)
	b.announce()
}

// Update changes the mailbox, and shows it to all sessions before it returns.
func (b *Box) Update(ctx context.Context, fn func(formats.Tx) error) (formats.Committed, error) {
	c, err := b.Mailbox.Update(ctx, fn)
	b.shown(ctx, err)
	return c, err
}

// shown takes over what this process did. What was asked for is done and durable even when it cannot be read now: the
// next refresh will show it.
func (b *Box) shown(ctx context.Context, failed error) {
	_, err := b.Refresh(context.WithoutCancel(ctx))
	if failed == nil && err != nil && !errors.Is(err, ErrReplaced) {
		b.mu.Lock()
		b.mark = "" // the next refresh reads everything
		b.mu.Unlock()
	}
}

// Close gives the Box back; the mailbox is closed with its last session.
func (b *Box) Close() error { return b.hub.close(b) }

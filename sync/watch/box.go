package watch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"dovetail/formats"
)

// ErrReplaced: the mailbox that was open is no more; another one may have its name.
var ErrReplaced = errors.New("the mailbox was deleted or made anew")

// Box is one mailbox that sessions have open. Its methods may be called from several goroutines.
type Box struct {
	formats.Mailbox // for reading bodies; changes go through Update

	hub  *Hub
	key  key
	uses int // guarded by hub.mu

	now atomic.Pointer[Snapshot]

	mu    sync.Mutex // guards what follows
	mark  string     // fingerprint of what the newest snapshot shows; "" unknown
	words *words
	seen  formats.UID // the highest UID that was shown
	over  error       // why there will be no newer snapshot

	wake    sync.Mutex
	changed chan struct{} // closed at the next change
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
	mark := b.fingerprint(ctx)
	if mark != "" && mark == b.mark {
		return b.now.Load(), nil
	}
	err := b.read(ctx)
	if err != nil {
		b.mark = ""
		if errors.Is(err, formats.ErrNoMailbox) || errors.Is(err, ErrReplaced) {
			b.over = ErrReplaced
			b.announce()
			return b.now.Load(), ErrReplaced
		}
		return b.now.Load(), err
	}
	b.mark = mark
	return b.now.Load(), nil
}

// fingerprint is taken before reading: what comes between the two is read again the next time.
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

// read makes a snapshot of what is on disk now.
func (b *Box) read(ctx context.Context) error {
	st, err := b.Mailbox.Status(ctx)
	if err != nil {
		return err
	}
	was := b.now.Load()
	if was == nil {
		was = newSnapshot(st, nil, nil)
	} else if st.UIDValidity != was.Status.UIDValidity {
		return ErrReplaced
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
			build.add(Record{UID: m.UID, bits: b.words.number(m.Keywords)<<8 | uint32(m.Flags&formats.SystemFlags), ModSeq: m.ModSeq})
		}
	}
	b.words.last = nil // the slice may be another one the next time
	b.show(st, was, build.finish())
	return nil
}

// show makes the chunks the newest snapshot and wakes who waits, if anything is different.
func (b *Box) show(st formats.Status, was *Snapshot, chunks []chunk) {
	is := newSnapshot(st, chunks, b.words.sets)
	st.Messages = is.n
	is.Status = st
	b.seen = max(b.seen, is.lastUID())
	if b.now.Load() != nil && was.Status == st && sameChunks(was.chunks, chunks) {
		return
	}
	b.now.Store(is)
	b.announce()
}

func sameChunks(a, b []chunk) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !sameChunk(a[i], b[i]) {
			return false
		}
	}
	return true
}

// Update changes the mailbox, and shows it to all sessions before it returns.
func (b *Box) Update(ctx context.Context, fn func(formats.Tx) error) (formats.Committed, error) {
	c, err := b.Mailbox.Update(ctx, fn)
	if _, fresh := b.Refresh(context.WithoutCancel(ctx)); err == nil && fresh != nil && !errors.Is(fresh, ErrReplaced) {
		// What was asked for is done and durable; the next refresh will show it.
		b.forget()
	}
	return c, err
}

// forget makes the next refresh read everything.
func (b *Box) forget() {
	b.mu.Lock()
	b.mark = ""
	b.mu.Unlock()
}

// Close gives the Box back; the mailbox is closed with its last session.
func (b *Box) Close() error { return b.hub.close(b) }

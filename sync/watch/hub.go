package watch

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"dovetail/formats"
)

// Hub holds the mailboxes that sessions of one process have open.
type Hub struct {
	// Hold, if it is set before the first Open, keeps a store open until the function that it gives is called: the
	// session that has opened a store may end before others that have one of its mailboxes open.
	Hold func(formats.Store) (release func())

	// Linger, if it is set before the first Open, is how long a mailbox stays open behind its last session, as long as
	// there are not many of them and it can tell whether its name is still its own (formats.Renamable): clients come back, to the same mailbox or to another session.
	Linger time.Duration

	// Deaf, if it is set before the first Open, is told why the kernel cannot tell of the files of a mailbox, which are
	// then looked at by the clock alone: once, until it can again.
	Deaf func(error)

	every time.Duration
	deaf  atomic.Bool // Deaf was told

	mu    sync.Mutex
	boxes map[key]*Box
	left  leftovers

	seed    maphash.Seed
	opening [64]sync.Mutex // one Open at a time of each mailbox, chosen by its key

	notes notifier
}

// key is the same for two mailboxes exactly when they are one.
type key struct {
	store any // the place on disk, or the Store itself where that is not known
	name  string
}

func keyOf(store formats.Store, name string) key {
	k := key{store, name}
	if p, ok := store.(formats.Placer); ok {
		if place := p.Place(); place != "" {
			k.store = place
		}
	}
	return k
}

// usually is how often files are looked at although nobody says that they changed: Dovecot's mailbox_idle_check_interval.
const usually = 30 * time.Second

// NewHub makes a hub. every is how often the files of mailboxes that somebody attends to are looked at even without a
// notification; 0: every 30 seconds.
func NewHub(every time.Duration) *Hub {
	if every <= 0 {
		every = usually
	}
	return &Hub{every: every, boxes: map[key]*Box{}, seed: maphash.MakeSeed()}
}

// Open gives the Box of a mailbox, in the state that is on disk now. Every Open needs a Close. The store must stay open
// until the last Close of that mailbox, by whomever it was opened; that is what Hold is for.
func (h *Hub) Open(ctx context.Context, store formats.Store, name string) (*Box, error) {
	k := keyOf(store, name)
	opening := &h.opening[maphash.Comparable(h.seed, k)%uint64(len(h.opening))]
	opening.Lock()
	defer opening.Unlock()
	h.mu.Lock()
	b := h.boxes[k]
	if b != nil {
		h.left.take(b)
		b.uses++
	}
	h.mu.Unlock()
	if b != nil {
		_, err := b.Refresh(ctx)
		if r, ok := b.Mailbox.(formats.Renamable); ok && err == nil && !r.StillNamed(ctx) {
			err = ErrReplaced // those who have it open go on; whoever comes now wants what has the name now
		}
		if err == nil {
			return b, nil
		}
		h.drop(b)
		if err != ErrReplaced {
			h.close(b)
			return nil, err
		}
		h.close(b)
	}
	return h.open(ctx, store, k)
}

func (h *Hub) open(ctx context.Context, store formats.Store, k key) (*Box, error) {
	release := func() {}
	if h.Hold != nil {
		release = h.Hold(store)
	}
	m, err := store.Open(ctx, k.name)
	if err != nil {
		release()
		return nil, err
	}
	b := &Box{Mailbox: m, hub: h, key: k, uses: 1, release: release, words: newWords()}
	_, err = b.Refresh(ctx)
	if err == nil && b.Snapshot().Status.UIDValidity == 0 && settle(ctx, m) {
		b = &Box{Mailbox: m, hub: h, key: k, uses: 1, release: release, words: newWords()}
		_, err = b.Refresh(ctx)
	}
	if err != nil {
		m.Close()
		release()
		return nil, err
	}
	h.mu.Lock()
	h.boxes[k] = b
	h.mu.Unlock()
	return b, nil
}

// settle has a mailbox store its UIDs that has given them for this run only: what a client is told of them must hold for
// the next one, too. A file that another program has made is such a mailbox until it is opened. It is false if the
// mailbox cannot be written.
func settle(ctx context.Context, m formats.Mailbox) bool {
	_, err := m.Update(ctx, func(formats.Tx) error { return nil })
	return err == nil
}

// drop makes the next Open of that name open another Box.
func (h *Hub) drop(b *Box) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.boxes[b.key] == b {
		delete(h.boxes, b.key)
	}
}

func (h *Hub) close(b *Box) error {
	h.mu.Lock()
	b.uses--
	var over []*Box
	switch {
	case b.uses > 0:
	case h.Linger > 0 && h.boxes[b.key] == b && b.lingers():
		over = h.left.put(b, h.Linger, h.expire)
	default:
		over = []*Box{b}
	}
	h.forget(over)
	h.mu.Unlock()
	return finish(over)
}

// lingers tells whether a mailbox may stay open: who comes back must find out that another one has its name.
func (b *Box) lingers() bool {
	_, ok := b.Mailbox.(formats.Renamable)
	return ok
}

// forget has the boxes found no more; h.mu is held.
func (h *Hub) forget(over []*Box) {
	for _, b := range over {
		if h.boxes[b.key] == b {
			delete(h.boxes, b.key)
		}
	}
}

// expire closes what nobody came back to.
func (h *Hub) expire() {
	h.mu.Lock()
	over := h.left.old(h.Linger, h.expire)
	h.forget(over)
	h.mu.Unlock()
	finish(over)
}

// Close closes what nobody has open but the hub. It may be used again.
func (h *Hub) Close() error {
	h.mu.Lock()
	over := h.left.all()
	h.forget(over)
	h.mu.Unlock()
	return finish(over)
}

func finish(over []*Box) error {
	var errs []error
	for _, b := range over {
		b.closeParsed()
		if r, ok := b.Mailbox.(formats.Rememberer); ok {
			r.Remember(context.Background())
		}
		errs = append(errs, b.Mailbox.Close())
		b.release()
	}
	return errors.Join(errs...)
}

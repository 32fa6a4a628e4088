package namespace

import (
	"context"
	"sync"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/location"
	"dovetail/formats/mbox"
	"dovetail/formats/mdbox"
)

// Stores are the stores that a process has open. Sessions of one user share one; it is closed when nobody holds it any
// more. The zero value is empty; it may be used by several goroutines.
type Stores struct {
	// Fault is that of the files of all stores: see disk.FS. It is for tests, and set before the first use.
	Fault func(op disk.Op, path string) error

	// Mended, set before the first use, is told what a store has mended by itself; nil: damage is an error.
	Mended func(text string)

	mu   sync.Mutex
	of   map[storeKey]*shared
	open map[formats.Store]*shared
}

// storeKey is equal for two users of a place who write to it alike.
type storeKey struct {
	where    string
	own      bool
	uid, gid int
	rotation mdbox.Rotation
	locks    mbox.Locks
}

// shared is one store with who holds it.
type shared struct {
	key   storeKey
	store formats.Store // set under opening
	holds int           // guarded by Stores.mu

	opening  sync.Mutex
	creating sync.Mutex // of mailboxes that are made by themselves
}

// lock is for one session of a store at a time.
func (p *Stores) lock(store formats.Store) (unlock func()) {
	p.mu.Lock()
	s := p.open[store]
	p.mu.Unlock()
	s.creating.Lock()
	return s.creating.Unlock
}

// get opens a store, or gives the one that is open, making its root. rotation and locks are as in location.Options.
func (p *Stores) get(ctx context.Context, where location.Location, fs *disk.FS, rotation mdbox.Rotation, locks mbox.Locks) (formats.Store, error) {
	key := storeKey{where.String(), fs.Own, fs.UID, fs.GID, rotation, locks}
	p.mu.Lock()
	s := p.of[key]
	if s == nil {
		if p.of == nil {
			p.of, p.open = map[storeKey]*shared{}, map[formats.Store]*shared{}
		}
		s = &shared{key: key}
		p.of[key] = s
	}
	s.holds++
	p.mu.Unlock()

	s.opening.Lock()
	defer s.opening.Unlock()
	fs.Fault = p.Fault
	store, err := location.Open(ctx, where, location.Options{FS: fs, Create: true, Rotation: rotation, Locks: locks, Mended: p.Mended})
	switch {
	case err != nil:
		p.release(s)
		return nil, err
	case s.store == nil:
		p.mu.Lock()
		s.store, p.open[store] = store, s
		p.mu.Unlock()
		return store, nil
	case samePlace(s.store, store):
		return s.store, store.Close()
	}
	p.succeed(s, store)
	return store, nil
}

// samePlace tells whether two stores, opened by the same path one after the other, have the same files.
func samePlace(was, is formats.Store) bool {
	a, ok1 := was.(formats.Placer)
	b, ok2 := is.(formats.Placer)
	return !ok1 || !ok2 || a.Place() == b.Place()
}

// succeed puts a store in the place of one whose folders were removed and made anew: who holds that one goes on with it,
// and everybody who comes gets this one. One hold goes over to it.
func (p *Stores) succeed(was *shared, store formats.Store) {
	p.mu.Lock()
	is := &shared{key: was.key, store: store, holds: 1}
	p.of[is.key], p.open[store] = is, is
	p.mu.Unlock()
	p.release(was)
}

// release takes one hold off.
func (p *Stores) release(s *shared) error {
	p.mu.Lock()
	s.holds--
	last := s.holds == 0
	if last {
		if p.of[s.key] == s {
			delete(p.of, s.key)
		}
		delete(p.open, s.store)
	}
	p.mu.Unlock()
	if !last || s.store == nil {
		return nil
	}
	return s.store.Close()
}

// Hold keeps a store open until the function that it gives is called, once. It is for who uses a store longer than the
// session that opened it, such as a mailbox that other sessions have open too (watch.Hub.Hold). A store that is not of
// these is left to its owner.
func (p *Stores) Hold(store formats.Store) (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.open[store]
	if s == nil {
		return func() {}
	}
	s.holds++
	return func() { p.release(s) }
}

// put gives back what get gave.
func (p *Stores) put(store formats.Store) error {
	p.mu.Lock()
	s := p.open[store]
	p.mu.Unlock()
	if s == nil {
		return nil
	}
	return p.release(s)
}

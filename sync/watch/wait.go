package watch

import (
	"context"
	"errors"
	"time"
)

// announce wakes everybody who waits.
func (b *Box) announce() {
	b.wake.Lock()
	defer b.wake.Unlock()
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
	for fn := range b.called {
		(*fn)()
	}
}

// Call has fn called at each change from now on, until the function that it gives was called. fn must not wait, and not
// use the Box; it may come a last time while the end is asked for.
func (b *Box) Call(fn func()) (end func()) {
	b.wake.Lock()
	defer b.wake.Unlock()
	if b.called == nil {
		b.called = map[*func()]bool{}
	}
	key := &fn
	b.called[key] = true
	return func() {
		b.wake.Lock()
		defer b.wake.Unlock()
		delete(b.called, key)
	}
}

// Changed gives a channel that is closed when there is a newer snapshot than the one that Snapshot gives after this
// call, or the mailbox is over. Changes by others than sessions are noticed only between Attend and its end.
func (b *Box) Changed() <-chan struct{} {
	b.wake.Lock()
	defer b.wake.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.changed
}

// Attend has the files watched until the function that it gives is called, once.
func (b *Box) Attend() (end func()) {
	b.wake.Lock()
	defer b.wake.Unlock()
	if b.waiting++; b.waiting == 1 {
		b.watched = b.hub.watch(b)
	}
	return func() {
		b.wake.Lock()
		b.waiting--
		var stop func()
		if b.waiting == 0 {
			stop, b.watched = b.watched, nil
		}
		b.wake.Unlock()
		if stop != nil {
			stop()
		}
	}
}

// soon is how long after a notification the files are looked at once more: a format may let a moment pass before it looks
// for what others did in the same moment as ourselves.
const soon = 1200 * time.Millisecond

// follow refreshes a box whenever its files are said to have changed, and now and then without that, until the context
// ends. It is the one goroutine of a box that is attended.
func (b *Box) follow(ctx context.Context, w *watcher, every time.Duration) {
	next := time.NewTimer(every)
	defer next.Stop()
	for {
		if _, err := b.Refresh(ctx); errors.Is(err, ErrReplaced) {
			return
		}
		select {
		case <-w.touched:
			next.Reset(min(soon, every))
			if w.lost.Swap(false) {
				b.hub.listen(w, b.Mailbox)
			}
		case <-next.C:
			next.Reset(every)
			if w.deaf != nil {
				b.hub.listen(w, b.Mailbox) // there may be room now
			}
		case <-ctx.Done():
			return
		}
	}
}

package auth

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// failureTick is how often failures that wait are looked at.
const failureTick = 500 * time.Millisecond

// delays holds back refusals. They are let go together, every half second those that are due in random order, so that
// neither the time nor the order of replies tells what was wrong.
type delays struct {
	mu      sync.Mutex // guards what follows
	waiting []*held
	ticking bool
	closed  bool
}

type held struct {
	due  time.Time
	done chan struct{}
}

// wait returns when a refusal may be told: after the delay, or when the context or the service ends.
func (d *delays) wait(ctx context.Context, delay time.Duration) {
	if delay <= 0 {
		return
	}
	h := &held{time.Now().Add(delay), make(chan struct{})}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	d.waiting = append(d.waiting, h)
	if !d.ticking {
		d.ticking = true
		time.AfterFunc(failureTick, d.tick)
	}
	d.mu.Unlock()
	select {
	case <-h.done:
	case <-ctx.Done():
	}
}

// waitRandom is wait with up to a half of the delay more, so that not everybody comes back at once.
func (d *delays) waitRandom(ctx context.Context, delay time.Duration) {
	if delay > 1 {
		d.wait(ctx, delay+rand.N(delay/2))
	}
}

// tick lets go what is due and comes back while anything waits.
func (d *delays) tick() {
	d.mu.Lock()
	now := time.Now()
	var due, rest []*held
	for _, h := range d.waiting {
		if h.due.After(now) {
			rest = append(rest, h)
		} else {
			due = append(due, h)
		}
	}
	d.waiting = rest
	if d.ticking = len(rest) > 0; d.ticking {
		time.AfterFunc(failureTick, d.tick)
	}
	d.mu.Unlock()
	release(due)
}

func release(list []*held) {
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for _, h := range list {
		close(h.done)
	}
}

// close lets go of everything; nothing waits any more.
func (d *delays) close() {
	d.mu.Lock()
	list := d.waiting
	d.waiting, d.closed = nil, true
	d.mu.Unlock()
	release(list)
}

// sleep waits for a time, or for the end of the context.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

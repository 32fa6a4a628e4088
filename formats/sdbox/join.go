package sdbox

import (
	"context"
	"sync"

	"dovetail/formats"
)

// joining are transactions that wait for the lock and only add messages. Whoever gets the lock first commits all of them
// as one: their names are made durable together, and so are their records, so that many sessions that save messages at
// the same time do not wait for the disk one behind the other.
type joining struct {
	mu      sync.Mutex // guards waiting
	waiting []*joined
}

// joined is one of them. What follows t is guarded by Mailbox.update.
type joined struct {
	t        *tx
	ctx      context.Context
	finished bool
	done     formats.Committed
	err      error
}

// adds tells whether the transaction adds messages under the next UIDs and does nothing else.
func (t *tx) adds() bool {
	if len(t.saved) == 0 || !t.None() {
		return false
	}
	for i := range t.saved {
		if t.saved[i].UID != 0 {
			return false
		}
	}
	return true
}

// join commits a transaction that adds messages, maybe with others. The files' content is durable already.
func (b *Mailbox) join(ctx context.Context, t *tx) (formats.Committed, error) {
	j := &joined{t: t, ctx: ctx}
	b.joining.mu.Lock()
	b.joining.waiting = append(b.joining.waiting, j)
	b.joining.mu.Unlock()
	b.update.Lock()
	defer b.update.Unlock()
	if !j.finished {
		b.joining.mu.Lock()
		all := b.joining.waiting
		b.joining.waiting = nil
		b.joining.mu.Unlock()
		b.commitAll(all)
	}
	return j.done, j.err
}

// commitAll commits them together, or if that fails each for itself, so that nobody suffers from another's mistake.
func (b *Mailbox) commitAll(all []*joined) {
	first := all[0]
	if len(all) > 1 {
		together := &tx{b: b, now: first.t.now, mode: first.t.mode, together: true}
		for _, j := range all {
			together.saved = append(together.saved, j.t.saved...)
			together.swept = together.swept || j.t.swept
		}
		if done, err := together.commit(first.ctx); err == nil {
			share(all, done)
			return
		}
	}
	for _, j := range all {
		j.done, j.err = j.t.commit(j.ctx)
		j.finished = true
	}
}

// share gives each its part of what was done.
func share(all []*joined, done formats.Committed) {
	uids := make([]formats.UID, 0, done.UIDs.Len())
	for uid := range done.UIDs.All() {
		uids = append(uids, uid)
	}
	for _, j := range all {
		j.done = formats.Committed{HighestModSeq: done.HighestModSeq}
		for _, uid := range uids[:len(j.t.saved)] {
			j.done.UIDs.Add(uid)
		}
		uids = uids[len(j.t.saved):]
		j.finished = true
	}
}

package tree

import (
	"context"
	"sync"

	"dovetail/formats"
)

// Group commits transactions that only add messages. Whoever gets the lock first commits all that wait for it as one:
// their messages are made durable together, and so are their records, so that many sessions that save messages at the
// same time do not wait for the disk one behind the other. The functions are set before the first Commit.
type Group[T any] struct {
	Lock  sync.Locker
	One   func(context.Context, T) (formats.Committed, error)
	All   func(context.Context, []T) (formats.Committed, error) // all of it or nothing; any may be tried again by One
	Added func(T) int                                           // how many messages

	mu      sync.Mutex // guards waiting
	waiting []*waiting[T]
}

// waiting is one of them. What follows tx is guarded by Group.Lock.
type waiting[T any] struct {
	ctx      context.Context
	tx       T
	finished bool
	done     formats.Committed
	err      error
}

// Commit commits a transaction, maybe with others.
func (g *Group[T]) Commit(ctx context.Context, tx T) (formats.Committed, error) {
	w := &waiting[T]{ctx: ctx, tx: tx}
	g.mu.Lock()
	g.waiting = append(g.waiting, w)
	g.mu.Unlock()
	g.Lock.Lock()
	defer g.Lock.Unlock()
	if !w.finished {
		g.mu.Lock()
		all := g.waiting
		g.waiting = nil
		g.mu.Unlock()
		g.commit(all)
	}
	return w.done, w.err
}

// Waiting tells how many wait for the lock.
func (g *Group[T]) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

// commit commits them together, or if that fails each for itself, so that nobody suffers from another's mistake.
func (g *Group[T]) commit(all []*waiting[T]) {
	if len(all) > 1 {
		txs := make([]T, len(all))
		for i, w := range all {
			txs[i] = w.tx
		}
		if done, err := g.All(all[0].ctx, txs); err == nil {
			g.share(all, done)
			return
		}
	}
	for _, w := range all {
		w.done, w.err = g.One(w.ctx, w.tx)
		w.finished = true
	}
}

// share gives each its part of what was done.
func (g *Group[T]) share(all []*waiting[T], done formats.Committed) {
	uids := make([]formats.UID, 0, done.UIDs.Len())
	for uid := range done.UIDs.All() {
		uids = append(uids, uid)
	}
	for i, w := range all {
		w.done = formats.Committed{HighestModSeq: done.HighestModSeq}
		if i == 0 {
			w.done.Leftover = done.Leftover
		}
		n := g.Added(w.tx)
		for _, uid := range uids[:n] {
			w.done.UIDs.Add(uid)
		}
		uids = uids[n:]
		w.finished = true
	}
}

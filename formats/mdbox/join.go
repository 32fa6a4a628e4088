package mdbox

import (
	"context"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
)

// adds tells whether the transaction adds messages under the next UIDs and does nothing else, and they are so small that
// they wait in memory.
func (t *tx) adds() bool {
	if len(t.saved) == 0 || !t.None() {
		return false
	}
	for i := range t.saved {
		if t.saved[i].UID != 0 {
			return false
		}
	}
	return len(t.spools) == 0 || len(t.spools) == 1 && t.spools[0].f == nil
}

// group commits transactions that only add messages.
func (b *Mailbox) group() *tree.Group[*tx] {
	return &tree.Group[*tx]{
		Lock:  &b.update,
		One:   func(ctx context.Context, t *tx) (formats.Committed, error) { return t.commit(ctx) },
		All:   b.commitAll,
		Added: func(t *tx) int { return len(t.saved) },
	}
}

// commitAll commits copies of the transactions, whose messages follow each other in as few spools as they fit in.
func (b *Mailbox) commitAll(ctx context.Context, all []*tx) (formats.Committed, error) {
	together := &tx{b: b, now: all[0].now}
	defer together.close()
	for _, t := range all {
		if err := together.take(ctx, t); err != nil {
			return formats.Committed{}, err
		}
	}
	return together.commit(ctx)
}

// take adds copies of the messages of another transaction.
func (t *tx) take(ctx context.Context, from *tx) (err error) {
	var into *spool
	var start int64
	if len(from.spools) > 0 {
		if into, err = t.spool(ctx, from.spools[0].size()); err == nil {
			start, err = into.take(from.spools[0])
		}
	}
	for _, s := range from.saved {
		if s.spool != nil && into != nil {
			s.spool, s.offset = into, s.offset-s.spool.header+start
		}
		t.saved = append(t.saved, s)
	}
	return err
}

package sdbox

import (
	"context"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
)

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

// group commits transactions that only add messages. The files' content is durable already.
func (b *Mailbox) group() *tree.Group[*tx] {
	return &tree.Group[*tx]{
		Lock:  b.update,
		One:   func(ctx context.Context, t *tx) (formats.Committed, error) { return t.commit(ctx) },
		All:   b.commitAll,
		Added: func(t *tx) int { return len(t.saved) },
	}
}

func (b *Mailbox) commitAll(ctx context.Context, all []*tx) (formats.Committed, error) {
	together := &tx{b: b, now: all[0].now, mode: all[0].mode, together: true}
	for _, t := range all {
		together.saved = append(together.saved, t.saved...)
		together.swept = together.swept || t.swept
	}
	return together.commit(ctx)
}

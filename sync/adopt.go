package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"dovetail/formats"
)

// errTargetHasMail sets a mailbox aside whose copy in the target nobody remembers to have made.
var errTargetHasMail = errors.New("the target's mailbox holds mail that did not come from here")

// nextRemoveOwn is the way on from errTargetHasMail.
const nextRemoveOwn = "look at the target's mailbox; move its mail away, or rename it, or let the source overwrite it (--remove-own)"

// compare loads both sides and finds what they have in common.
func (w *work) compare(ctx context.Context) (*compare, error) {
	var wantSrc, wantDst formats.Want
	if w.status.Volatile {
		wantSrc = wantGUIDs
	}
	if !w.fresh && !w.known {
		wantSrc = wantGUIDs | wantLooks
	}
	if !w.fresh && (!w.known || len(w.task.entry.planned) > 0) {
		wantDst = w.identities()
	}
	src, err := load(ctx, w.src, wantSrc, w.sets)
	if err != nil {
		return nil, err
	}
	dst, err := load(ctx, w.dst, wantDst, w.sets)
	if err != nil {
		return nil, err
	}
	c := &compare{src: src, dst: dst, limits: w.limits, removeOwn: w.o.RemoveOwn, fresh: w.fresh}
	c.hold = hold(w.sets, src, dst, w.limits)
	switch {
	case w.known:
		c.pairs = w.task.entry.remembered(src, dst)
	case !w.fresh:
		same := !src.status.Volatile && src.status.UIDValidity == dst.status.UIDValidity
		c.pairs = recognised(src, dst, same)
		if !same {
			if err := w.confirm(ctx, c); err != nil {
				return nil, err
			}
		}
		if err := w.mayAdopt(c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// identities is what load must hash of the target to recognise messages. GUIDs that nobody chose are no use.
func (m *mirror) identities() formats.Want {
	if m.limits.NoGUID {
		return wantLooks
	}
	return wantGUIDs | wantLooks
}

// confirm compares the bodies of pairs that were found by date and size alone, and drops those that differ: mail that
// came in bulk often has one date, and mail of programs one size.
func (w *work) confirm(ctx context.Context, c *compare) error {
	var failed error
	c.pairs = slices.DeleteFunc(c.pairs, func(p pair) bool {
		s, _ := c.src.find(p.src)
		d, _ := c.dst.find(p.dst)
		if failed != nil || c.src.guids != nil && c.dst.guids != nil && c.src.guids[s] != 0 && c.src.guids[s] == c.dst.guids[d] {
			return false
		}
		if failed = ctx.Err(); failed != nil {
			return false
		}
		sm, dm := c.src.message(c.src.recs[s], w.sets), c.dst.message(c.dst.recs[d], w.sets)
		a, err := bodyDigest(ctx, w.src, &sm, w.limits.HiddenHeaders, w.limits.FinalNewline)
		if err != nil {
			return true
		}
		b, err := bodyDigest(ctx, w.dst, &dm, nil, false)
		return err != nil || a != b
	})
	return failed
}

// mayAdopt refuses a mailbox of the target that nobody remembers to have filled, when something in it could be lost:
// messages that the source does not have, or flags that differ and may be newer.
func (w *work) mayAdopt(c *compare) error {
	e := w.task.entry
	if e != nil && e.dstUIDValidity == w.there.UIDValidity {
		// The source renewed its mailbox. We made this copy: what it lost since goes, and what is left was delivered there.
		c.pairs = append(c.pairs, e.others(c.dst, c.pairs)...)
		sortBySource(c.pairs)
		return nil
	}
	if w.o.RemoveOwn {
		return nil
	}
	if own := len(c.dst.recs) - len(c.pairs); own > 0 {
		return fmt.Errorf("%w: %d of its %d messages are not in the source", errTargetHasMail, own, len(c.dst.recs))
	}
	differ := 0
	for _, pr := range c.pairs {
		s, _ := c.src.find(pr.src)
		d, _ := c.dst.find(pr.dst)
		if c.hold.look(c.src.recs[s]) != c.dst.recs[d].look {
			differ++
		}
	}
	if differ > 0 {
		return fmt.Errorf("%w: %d of its messages have other flags than in the source, perhaps newer ones", errTargetHasMail, differ)
	}
	return nil
}

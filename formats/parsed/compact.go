package parsed

import (
	"cmp"
	"io"
	"slices"

	"dovetail/formats"
)

// minStale is how much must be stale before a file is written anew.
const minStale = 256 << 10

func (c *Cache) compact(keep func(formats.UID) bool) {
	if keep != nil {
		for block := range c.at {
			for i := range formats.UID(64) {
				if uid := block*64 + i; c.at.get(uid).length > 0 && !keep(uid) {
					c.drop(uid)
				}
			}
		}
	}
	if c.stale < minStale || c.stale < c.end/2 || !c.writes || c.broken {
		return
	}
	if ok, err := c.f.TryLock(true); !ok || err != nil || !c.named() {
		return
	}
	known := c.end
	if c.scan(); c.end != known {
		return // others are at work; it is their turn to do this
	}
	c.replace(c.copyLive)
}

// copyLive writes the records that are not stale, in their order.
func (c *Cache) copyLive(w io.Writer) error {
	r := Reader{c: c}
	out := make([]byte, 0, maxPending)
	for _, p := range c.live() {
		b := r.bytes(int64(p.offset)-recordStart, int(p.length)+recordStart)
		if b == nil {
			continue
		}
		if out = append(out, b...); len(out) >= maxPending {
			if _, err := w.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
	}
	_, err := w.Write(out)
	return err
}

// live gives the places of all records in the file, in its order.
func (c *Cache) live() (all []place) {
	for _, block := range c.at {
		for _, p := range block {
			if p.cost() > 0 {
				all = append(all, p)
			}
		}
	}
	slices.SortFunc(all, func(a, b place) int { return cmp.Compare(a.offset, b.offset) })
	return all
}

package watch

import "dovetail/formats"

// Changes is what is different in a newer snapshot.
type Changes struct {
	// Expunged messages, by their sequence numbers in the older snapshot, ascending, and their UIDs.
	Expunged     []uint32
	ExpungedUIDs formats.Ranges

	// Flags: messages whose flags, keywords or modseq are different, by their sequence numbers in the newer one.
	Flags []uint32

	// Added is how many new messages there are, all of them at the end of the newer one.
	Added uint32
}

// None tells that there are no changes.
func (c *Changes) None() bool { return len(c.Expunged) == 0 && len(c.Flags) == 0 && c.Added == 0 }

// Diff compares two snapshots of a Box.
func Diff(older, newer *Snapshot) Changes {
	var c Changes
	if older == newer {
		return c
	}
	a, b := cursor{s: older}, cursor{s: newer}
	for !a.done() && !b.done() {
		if a.k == 0 && b.k == 0 && a.chunk() == b.chunk() {
			a.skip()
			b.skip()
			continue
		}
		was, is := a.record(), b.record()
		switch {
		case was.UID < is.UID:
			c.expunged(&a)
		case was.UID > is.UID: // cannot be: new ones are at the end
			b.next()
		default:
			if was != is {
				c.Flags = append(c.Flags, b.seq())
			}
			a.next()
			b.next()
		}
	}
	for !a.done() {
		c.expunged(&a)
	}
	if !b.done() {
		c.Added = newer.n - b.seq() + 1
	}
	return c
}

func (c *Changes) expunged(a *cursor) {
	c.Expunged = append(c.Expunged, a.seq())
	c.ExpungedUIDs.Add(a.record().UID)
	a.next()
}

// cursor is a place in a snapshot.
type cursor struct {
	s    *Snapshot
	i, k int // chunk, and record in it
}

func (c *cursor) done() bool       { return c.i == len(c.s.chunks) }
func (c *cursor) chunk() *chunk    { return c.s.chunks[c.i] }
func (c *cursor) record() record   { return c.s.chunks[c.i].records[c.k] }
func (c *cursor) uid() formats.UID { return c.s.chunks[c.i].records[c.k].UID }
func (c *cursor) seq() uint32      { return c.s.starts[c.i] + uint32(c.k) + 1 }
func (c *cursor) skip()            { c.i, c.k = c.i+1, 0 }

func (c *cursor) next() {
	if c.k++; c.k == len(c.s.chunks[c.i].records) {
		c.skip()
	}
}

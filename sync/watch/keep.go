package watch

import "sort"

// Keeping gives s with the messages of an older snapshot that are gone in s, as they were there: what a session shows
// that may not be told of expunged messages yet. It is s itself when none is gone.
func (s *Snapshot) Keeping(older *Snapshot) *Snapshot {
	if s == older || !s.lacks(older) {
		return s
	}
	k := keeper{}
	a, b := cursor{s: older}, cursor{s: s}
	for !a.done() && !b.done() {
		if a.k == 0 && b.k == 0 && a.chunk() == b.chunk() {
			k.cut()
			k.chunks = append(k.chunks, b.chunk())
			a.skip()
			b.skip()
			continue
		}
		switch was, is := a.record(), b.record(); {
		case was.UID < is.UID:
			k.add(&a)
			a.next()
		case was.UID == is.UID:
			k.add(&b)
			a.next()
			b.next()
		default:
			k.add(&b)
			b.next()
		}
	}
	for ; !a.done(); a.next() {
		k.add(&a)
	}
	for ; !b.done(); b.next() {
		k.add(&b)
	}
	k.cut()
	kept := newSnapshot(s.Status, k.chunks, s)
	kept.Status.Messages = kept.n
	return kept
}

// lacks tells whether a message of an older snapshot is gone.
func (s *Snapshot) lacks(older *Snapshot) bool {
	a, b := cursor{s: older}, cursor{s: s}
	for !a.done() && !b.done() {
		if a.k == 0 && b.k == 0 && a.chunk() == b.chunk() {
			a.skip()
			b.skip()
			continue
		}
		was, is := a.uid(), b.uid()
		if was < is {
			return true
		}
		if was == is {
			a.next()
		}
		b.next()
	}
	return !a.done()
}

// keeper puts chunks together.
type keeper struct {
	chunks []*chunk
	run    *chunk
	n      int // records of run
}

func (k *keeper) add(c *cursor) {
	if k.run == nil {
		k.run = newChunk(chunkSize)
	}
	k.run.records[k.n] = c.record()
	k.run.sizes[k.n].Store(c.chunk().sizes[c.k].Load())
	if k.n++; k.n == chunkSize {
		k.cut()
	}
}

func (k *keeper) cut() {
	if k.n > 0 {
		k.chunks = append(k.chunks, k.run.start(k.n))
		k.run, k.n = nil, 0
	}
}

// start is the beginning of a chunk.
func (c *chunk) start(n int) *chunk { return &chunk{c.records[:n:n], c.sizes[:n:n]} }

// First gives the snapshot with its first n messages only: what a session shows that is not to be told of new ones yet.
func (s *Snapshot) First(n uint32) *Snapshot {
	if n >= s.n {
		return s
	}
	i := sort.Search(len(s.starts), func(i int) bool { return s.starts[i] >= n })
	chunks := append([]*chunk(nil), s.chunks[:i]...)
	if i > 0 {
		chunks[i-1] = chunks[i-1].start(min(int(n-s.starts[i-1]), len(chunks[i-1].records)))
	}
	first := newSnapshot(s.Status, chunks, s)
	first.Status.Messages = n
	return first
}

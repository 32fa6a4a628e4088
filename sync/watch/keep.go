package watch

import "sort"

// Keeping gives s with the messages of an older snapshot that are gone in s, as they were there: what a session shows
// that may not be told of expunged messages yet. It is s itself when none is gone.
func (s *Snapshot) Keeping(older *Snapshot) *Snapshot {
	if s == older {
		return s
	}
	k := keeper{}
	a, b := cursor{s: older}, cursor{s: s}
	for !a.done() && !b.done() {
		if a.k == 0 && b.k == 0 && sameChunk(a.chunk(), b.chunk()) {
			k.cut()
			k.chunks = append(k.chunks, b.chunk())
			a.skip()
			b.skip()
			continue
		}
		switch was, is := a.record(), b.record(); {
		case was.UID < is.UID:
			k.add(was)
			k.kept = true
			a.next()
		case was.UID == is.UID:
			k.add(is)
			a.next()
			b.next()
		default:
			k.add(is)
			b.next()
		}
	}
	for ; !a.done(); a.next() {
		k.add(a.record())
		k.kept = true
	}
	if !k.kept {
		return s
	}
	for ; !b.done(); b.next() {
		k.add(b.record())
	}
	k.cut()
	kept := newSnapshot(s.Status, k.chunks, s.sets)
	kept.Status.Messages = kept.n
	return kept
}

// keeper puts chunks together.
type keeper struct {
	chunks []chunk
	run    chunk
	kept   bool
}

func (k *keeper) add(r Record) {
	if k.run == nil {
		k.run = make(chunk, 0, chunkSize)
	}
	if k.run = append(k.run, r); len(k.run) == chunkSize {
		k.cut()
	}
}

func (k *keeper) cut() {
	if len(k.run) > 0 {
		k.chunks = append(k.chunks, k.run)
		k.run = nil
	}
}

// First gives the snapshot with its first n messages only: what a session shows that is not to be told of new ones yet.
func (s *Snapshot) First(n uint32) *Snapshot {
	if n >= s.n {
		return s
	}
	i := sort.Search(len(s.starts), func(i int) bool { return s.starts[i] >= n })
	chunks := append([]chunk(nil), s.chunks[:i]...)
	if i > 0 {
		if rest := n - s.starts[i-1]; rest < uint32(len(chunks[i-1])) {
			chunks[i-1] = chunks[i-1][:rest:rest]
		}
	}
	first := newSnapshot(s.Status, chunks, s.sets)
	first.Status.Messages = n
	return first
}

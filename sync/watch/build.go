package watch

import (
	"slices"
	"strings"
	"unsafe"

	"dovetail/formats"
)

// words numbers the sets of keywords that messages have. It is guarded by its Box.
type words struct {
	sets [][]string
	of   map[string]uint32
	all  []string // keywords of all sets, also of those that were dropped
	has  map[string]bool

	weight, limit int // bytes of sets; of which the ones that nobody has are dropped at that many

	last       *string // the set that was asked for last, which often is the next one, too
	lastLen    int
	lastNumber uint32
}

func newWords() *words {
	return &words{sets: [][]string{nil}, of: map[string]uint32{"": 0}, has: map[string]bool{}, limit: lightWords}
}

// lightWords is how many bytes of sets are held without asking whether a message still has them: a client that gives a
// message one set after the other would fill the memory.
const lightWords = 4 << 20

// maxSets is how many fit beside the flags. A mailbox with more different combinations shows the rest without keywords.
const maxSets = 1 << 24

func (w *words) number(set []string) uint32 {
	if len(set) == 0 {
		return 0
	}
	if first := unsafe.SliceData(set); first == w.last && len(set) == w.lastLen {
		return w.lastNumber
	}
	sorted := slices.Sorted(slices.Values(set))
	key := strings.Join(sorted, "\x00")
	n, ok := w.of[key]
	if !ok && len(w.sets) < maxSets {
		n = uint32(len(w.sets))
		w.sets = append(w.sets, slices.Clone(set))
		w.of[key] = n
		w.weight += weightOf(key, set)
		w.meet(set)
	}
	w.last, w.lastLen, w.lastNumber = unsafe.SliceData(set), len(set), n
	return n
}

// meet notes keywords that were in no set before, in any case.
func (w *words) meet(set []string) {
	for _, k := range set {
		if folded := strings.ToLower(k); !w.has[folded] {
			w.has[folded] = true
			w.all = append(w.all, k)
		}
	}
}

func weightOf(key string, set []string) int { return 2*len(key) + 16*len(set) }

// drop forgets the sets that no message of a snapshot has, if there are many. A number is not given twice: older
// snapshots have their own list of sets.
func (w *words) drop(now *Snapshot) {
	if w.weight < w.limit {
		return
	}
	kept := &words{sets: make([][]string, len(w.sets)), of: map[string]uint32{"": 0}}
	for _, c := range now.chunks {
		for _, r := range c.records {
			n := r.bits >> 8
			if n == 0 || kept.sets[n] != nil {
				continue
			}
			set := w.sets[n]
			key := strings.Join(slices.Sorted(slices.Values(set)), "\x00")
			kept.sets[n], kept.of[key] = set, n
			kept.weight += weightOf(key, set)
		}
	}
	w.sets, w.of, w.weight, w.last = kept.sets, kept.of, kept.weight, nil
	w.limit = max(lightWords, 2*w.weight)
}

// builder makes a snapshot of the messages that it is given in order, out of the chunks of an older one where they are
// the same.
type builder struct {
	old     *Snapshot
	seen    formats.UID // no message at or below it is new
	at      int         // the chunk of old that new records are compared with
	place   int         // in it: records before that one are below what comes
	differs bool        // what came for it is not what it holds
	pending []record    // what came for it, once something was different
	sizes   []uint32    // of pending, as in a chunk
	begun   bool        // some of what came is in chunks already
	instead *chunk      // of the one in old; nil: itself
	chunks  []*chunk
}

// was is the chunk that new records are compared with; nil if there is none.
func (b *builder) was() *chunk {
	if b.at < len(b.old.chunks) {
		return b.old.chunks[b.at]
	}
	return nil
}

// keep takes over a chunk of old as it is, with nothing of it given by add.
func (b *builder) keep(at int) {
	for b.at < at {
		b.flush()
		b.at++
	}
	b.place = len(b.old.chunks[at].records)
}

// replace is keep for a chunk with the same messages.
func (b *builder) replace(at int, c *chunk) {
	b.keep(at)
	b.instead = c
}

// add takes the next message; size is -1 where it is not known.
func (b *builder) add(r record, size int64) {
	for b.at < len(b.old.chunks)-1 && r.UID >= b.old.chunks[b.at+1].first() {
		b.flush()
		b.at++
	}
	was := b.was()
	from := b.place
	for was != nil && b.place < len(was.records) && was.records[b.place].UID < r.UID {
		b.place++ // it is gone
	}
	if b.place > from {
		b.diverge(was, from)
	}
	known := was != nil && b.place < len(was.records) && was.records[b.place].UID == r.UID
	switch {
	case known && !b.differs && was.records[b.place] == r:
		b.place++
		return
	case known:
		b.diverge(was, b.place)
		b.push(r, max(was.sizes[b.place].Load(), sizeOf(size)))
		b.place++
	case r.UID > b.seen: // else below what was seen already: hidden
		b.diverge(was, b.place)
		b.push(r, sizeOf(size))
	}
}

// sizeOf is a size as chunks keep it.
func sizeOf(size int64) uint32 {
	if size < 0 || size >= 1<<32-1 {
		return 0
	}
	return uint32(size) + 1
}

func (b *builder) push(r record, size uint32) {
	if len(b.pending) == 2*chunkSize {
		b.cut()
	}
	b.pending, b.sizes = append(b.pending, r), append(b.sizes, size)
}

// diverge begins to collect what came: so far it was the first n records of the chunk.
func (b *builder) diverge(was *chunk, n int) {
	if b.differs {
		return
	}
	b.differs = true
	if b.instead != nil {
		was = b.instead
	}
	for k := range n {
		b.push(was.records[k], was.sizes[k].Load())
	}
}

// flush makes chunks of what came for one of the old ones.
func (b *builder) flush() {
	was := b.was()
	if was != nil {
		if b.place < len(was.records) {
			b.diverge(was, b.place)
		}
		switch {
		case b.differs:
		case b.instead != nil:
			b.chunks = append(b.chunks, b.instead)
		default:
			b.chunks = append(b.chunks, was)
		}
	}
	for len(b.pending) > 0 {
		b.cut()
	}
	b.place, b.differs, b.begun, b.instead = 0, false, false, nil
}

// cut makes a chunk of the first records that came: the old one when it is full and stayed the same.
func (b *builder) cut() {
	if was := b.was(); was != nil && !b.begun {
		n := len(was.records)
		if n >= chunkSize/2 && len(b.pending) > n && slices.Equal(b.pending[:n], was.records) {
			b.chunks = append(b.chunks, was)
			b.drop(n)
			return
		}
	}
	c := newChunk(min(len(b.pending), chunkSize))
	copy(c.records, b.pending)
	for k := range c.sizes {
		c.sizes[k].Store(b.sizes[k])
	}
	b.chunks = append(b.chunks, c)
	b.drop(len(c.records))
}

// drop forgets the first n records that came: they are in a chunk.
func (b *builder) drop(n int) {
	b.begun = true
	b.pending = b.pending[:copy(b.pending, b.pending[n:])]
	b.sizes = b.sizes[:copy(b.sizes, b.sizes[n:])]
}

// finish gives the chunks. What of the old ones was not reached is gone.
func (b *builder) finish() []*chunk {
	b.flush()
	return b.chunks
}

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

	last       *string // the set that was asked for last, which often is the next one, too
	lastLen    int
	lastNumber uint32
}

func newWords() *words { return &words{sets: [][]string{nil}, of: map[string]uint32{"": 0}} }

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
	}
	w.last, w.lastLen, w.lastNumber = unsafe.SliceData(set), len(set), n
	return n
}

// builder makes a snapshot of the messages that it is given in order, out of the chunks of an older one where they are
// the same.
type builder struct {
	old     *Snapshot
	seen    formats.UID // no message at or below it is new
	at      int         // the chunk of old that new records are compared with
	same    int         // so many of its records came as they were
	pending []Record    // what came for it, once something was different
	differs bool
	chunks  []chunk
}

func (b *builder) add(r Record) {
	for b.at < len(b.old.chunks)-1 && r.UID >= b.old.chunks[b.at+1][0].UID {
		b.flush()
		b.at++
	}
	var was chunk
	if b.at < len(b.old.chunks) {
		was = b.old.chunks[b.at]
	}
	if !b.differs && b.same < len(was) && was[b.same] == r {
		b.same++
		return
	}
	if r.UID <= b.seen {
		if _, known := b.old.Seq(r.UID); !known {
			return // below what was seen already: hidden
		}
	}
	b.diverge(was)
	b.pending = append(b.pending, r)
}

func (b *builder) diverge(was chunk) {
	if !b.differs {
		b.differs = true
		b.pending = append(b.pending[:0], was[:b.same]...)
	}
}

// flush makes chunks of what came for one of the old ones.
func (b *builder) flush() {
	var was chunk
	if b.at < len(b.old.chunks) {
		was = b.old.chunks[b.at]
	}
	if !b.differs && b.same == len(was) {
		if len(was) > 0 {
			b.chunks = append(b.chunks, was)
		}
	} else {
		b.diverge(was)
		b.split(was)
	}
	b.same, b.differs, b.pending = 0, false, b.pending[:0]
}

// split keeps an old chunk that is full and stayed the same, and cuts the rest.
func (b *builder) split(was chunk) {
	rest := b.pending
	if len(was) >= chunkSize/2 && len(rest) > len(was) && slices.Equal(rest[:len(was)], was) {
		b.chunks = append(b.chunks, was)
		rest = rest[len(was):]
	}
	for len(rest) > 0 {
		n := min(len(rest), chunkSize)
		b.chunks = append(b.chunks, slices.Clone(rest[:n]))
		rest = rest[n:]
	}
}

// finish gives the chunks. What of the old ones was not reached is gone.
func (b *builder) finish() []chunk {
	b.flush()
	return b.chunks
}

package search

import (
	"math/bits"
	"math/rand/v2"
)

// numbering gives numbers to message IDs (see parsed.HashID).
type numbering struct {
	slots []numbered
	used  int
	odd   uint64 // random: nobody can make IDs that all want the same slot
}

// numbered is a message ID with its number; 0 none.
type numbered struct {
	id uint64
	n  int32
}

// newNumbering has room for as many messages.
func newNumbering(messages int) numbering {
	size := 64
	for size < 2*messages {
		size *= 2
	}
	return numbering{slots: make([]numbered, size), odd: rand.Uint64() | 1}
}

// of gives the place of an ID's number, which is 0 as long as nobody has set it. It must be set before the next call.
func (t *numbering) of(id uint64) *int32 {
	if 4*t.used > 3*len(t.slots) {
		old := t.slots
		t.slots, t.used = make([]numbered, 2*len(old)), 0
		for _, s := range old {
			if s.n != 0 {
				*t.of(s.id) = s.n
			}
		}
	}
	for i := id * t.odd >> (64 - bits.Len(uint(len(t.slots)-1))); ; i++ {
		s := &t.slots[i&uint64(len(t.slots)-1)]
		if s.n == 0 {
			s.id = id
			t.used++
			return &s.n
		}
		if s.id == id {
			return &s.n
		}
	}
}

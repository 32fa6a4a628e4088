package imapwire

import (
	"math"
	"strconv"
)

// Range is the numbers from First to Last, both included; Star is "*", the largest that is in use. First may be greater
// than Last when one of them is Star; "4:2" comes as 2 to 4.
type Range struct{ First, Last uint32 }

// Star stands for "*".
const Star = 0

// Set is sequence numbers or UIDs as the client wrote them, in its order (sequence-set, RFC 9051 section 9). Saved is
// "$", the result of an earlier SEARCH (RFC 5182).
type Set struct {
	Ranges []Range
	Saved  bool
}

// Resolve gives the ranges with "*" replaced and the ends in order. last is the largest number in use, 0 if there is
// none; a range of "*" is then left out.
func (s Set) Resolve(last uint32) []Range {
	resolved := make([]Range, 0, len(s.Ranges))
	for _, r := range s.Ranges {
		if r.First == Star {
			r.First = last
		}
		if r.Last == Star {
			r.Last = last
		}
		if r.First == 0 || r.Last == 0 {
			continue
		}
		resolved = append(resolved, Range{min(r.First, r.Last), max(r.First, r.Last)})
	}
	return resolved
}

// Contains tells whether n is in the set, when last is the largest number in use.
func (s Set) Contains(n, last uint32) bool {
	for _, r := range s.Ranges {
		if r.First == Star {
			r.First = last
		}
		if r.Last == Star {
			r.Last = last
		}
		if min(r.First, r.Last) <= n && n <= max(r.First, r.Last) && n != 0 {
			return true
		}
	}
	return false
}

// Append writes the set as it goes over the wire.
func (s Set) Append(dst []byte) []byte {
	if s.Saved {
		return append(dst, '$')
	}
	for i, r := range s.Ranges {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendNumber(dst, r.First)
		if r.Last != r.First {
			dst = appendNumber(append(dst, ':'), r.Last)
		}
	}
	return dst
}

func (s Set) String() string { return string(s.Append(nil)) }

func appendNumber(dst []byte, n uint32) []byte {
	if n == Star {
		return append(dst, '*')
	}
	return strconv.AppendUint(dst, uint64(n), 10)
}

// set reads "1,3:5,7:*" or "$". "*" alone is the range of Star to Star.
func (d *Decoder) set(what string) Set {
	var s Set
	if d.accept('$') {
		s.Saved = true
		return s
	}
	for d.err == nil {
		r := Range{First: d.setNumber(what)}
		r.Last = r.First
		if d.accept(':') {
			r.Last = d.setNumber(what)
		}
		if r.First > r.Last && r.Last != Star {
			r.First, r.Last = r.Last, r.First
		}
		s.Ranges = append(s.Ranges, r)
		if !d.accept(',') {
			break
		}
	}
	return s
}

// setNumber reads a number that is not 0, or "*".
func (d *Decoder) setNumber(what string) uint32 {
	if d.accept('*') {
		return Star
	}
	b := d.peek()
	if d.err != nil {
		return 0
	}
	if b < '1' || b > '9' {
		d.fail("Invalid %s", what)
		return 0
	}
	var n uint64
	for ; b >= '0' && b <= '9' && d.err == nil; b = d.peek() {
		if n = n*10 + uint64(b-'0'); n > math.MaxUint32 {
			d.fail("Invalid %s", what)
			return 0
		}
		d.skip()
	}
	return uint32(n)
}

const (
	messageSet = "messageset" // Dovecot's word
	uidSet     = "UID set"
)

package search

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// placed is a message's place among those that are sorted, with a piece of what it is sorted by.
type placed struct {
	piece uint64
	of    uint32
}

// inOrder gives the places of n messages in the order of the criteria; those that are the same in all stay as they are.
func inOrder(list []criterion, n int) []placed {
	order := make([]placed, n)
	for i := range order {
		order[i].of = uint32(i)
	}
	o := orderer{list: list, other: make([]placed, n)}
	o.sort(order, 0, 0)
	return order
}

// orderer sorts by one piece of eight bytes after the other: the first time all messages, then those that are the same so
// far. Comparing numbers is much faster than comparing texts, which mostly differ early, or not at all.
type orderer struct {
	list  []criterion
	other []placed // as large as what is sorted
}

// few messages are compared with each other as a whole.
const few = 24

// sort sorts messages that are the same in the criteria before number k and in the first bytes of the text of that one.
func (o *orderer) sort(order []placed, k, from int) {
	for {
		if k == len(o.list) {
			return
		}
		if len(order) <= few {
			slices.SortFunc(order, func(a, b placed) int { return o.compare(a.of, b.of, k) })
			return
		}
		c := &o.list[k]
		same := true
		for i := range order {
			order[i].piece = c.piece(order[i].of, from)
			same = same && order[i].piece == order[0].piece
		}
		if !same {
			break
		}
		k, from = c.next(order[0].piece, k, from)
	}
	byPiece(order, o.other)
	for start := 0; start < len(order); {
		end := start + 1
		for end < len(order) && order[end].piece == order[start].piece {
			end++
		}
		if end-start > 1 {
			next, at := o.list[k].next(order[start].piece, k, from)
			o.sort(order[start:end], next, at)
		}
		start = end
	}
}

// compare compares two messages by the criteria from number k on, and by their places.
func (o *orderer) compare(a, b uint32, k int) int {
	for i := k; i < len(o.list); i++ {
		if n := o.list[i].compare(a, b); n != 0 {
			return n
		}
	}
	return cmp.Compare(a, b)
}

func (c *criterion) compare(a, b uint32) (n int) {
	if c.numbers != nil {
		n = cmp.Compare(c.numbers[a], c.numbers[b])
	} else {
		n = bytes.Compare(c.texts.at(a), c.texts.at(b))
	}
	if c.reverse {
		return -n
	}
	return n
}

// pieceLength is how many bytes of a text a piece has.
const pieceLength = 7

// piece gives a number, or the bytes of a text behind the first ones and how many there are, 255 if more: pieces are in the
// order of what they are pieces of.
func (c *criterion) piece(i uint32, from int) (n uint64) {
	if c.numbers != nil {
		n = uint64(c.numbers[i]) ^ 1<<63
	} else {
		text := c.texts.at(i)
		if text = text[min(from, len(text)):]; len(text) > pieceLength {
			n = binary.BigEndian.Uint64(text) | 0xff
		} else {
			for _, b := range text {
				n = n<<8 | uint64(b)
			}
			n = n<<(8*uint(pieceLength+1-len(text))) | uint64(len(text))
		}
	}
	if c.reverse {
		return ^n
	}
	return n
}

// next tells where messages with the same piece may differ.
func (c *criterion) next(piece uint64, k, from int) (int, int) {
	if c.reverse {
		piece = ^piece
	}
	if c.numbers == nil && piece&0xff == 0xff {
		return k, from + pieceLength
	}
	return k + 1, 0
}

// radixFrom is from how many messages on sorting byte by byte is faster than comparing.
const radixFrom = 512

// byPiece sorts by piece; what is the same stays in its order. other has as much room.
func byPiece(order, other []placed) {
	if len(order) < radixFrom {
		slices.SortFunc(order, func(a, b placed) int { return cmp.Or(cmp.Compare(a.piece, b.piece), cmp.Compare(a.of, b.of)) })
		return
	}
	var counts [8][256]uint32
	sorted := true
	for i := range order {
		p := order[i].piece
		sorted = sorted && (i == 0 || order[i-1].piece <= p)
		for d := range counts {
			counts[d][byte(p>>(8*d))]++
		}
	}
	if sorted {
		return
	}
	from, to := order, other[:len(order)]
	for d := range counts {
		count := &counts[d]
		if count[byte(order[0].piece>>(8*d))] == uint32(len(order)) {
			continue // all have the same byte there
		}
		at := uint32(0)
		for i, n := range count {
			count[i] = at
			at += n
		}
		for _, p := range from {
			b := byte(p.piece >> (8 * d))
			to[count[b]] = p
			count[b]++
		}
		from, to = to, from
	}
	if &from[0] != &order[0] {
		copy(order, from)
	}
}

package search

import (
	"cmp"
	"slices"

	"dovetail/formats/imapwire"
)

// merge puts ranges in order and joins those that touch; empty ones go.
func merge(list []imapwire.Range) []imapwire.Range {
	list = slices.DeleteFunc(list, func(r imapwire.Range) bool { return r.First > r.Last })
	slices.SortFunc(list, func(a, b imapwire.Range) int { return cmp.Compare(a.First, b.First) })
	out := list[:0]
	for _, r := range list {
		if n := len(out); n > 0 && uint64(r.First) <= uint64(out[n-1].Last)+1 {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}

func within(list []imapwire.Range, n uint32) bool {
	i, _ := slices.BinarySearchFunc(list, n, func(r imapwire.Range, n uint32) int { return cmp.Compare(r.Last, n) })
	return i < len(list) && list[i].First <= n
}

// bounds gives sequence numbers outside of which nothing can match.
func (k *key) bounds(n uint32) (first, last uint32) {
	switch k.op {
	case imapwire.SearchSeqs:
		if len(k.ranges) == 0 {
			return 1, 0
		}
		return max(1, k.ranges[0].First), min(n, k.ranges[len(k.ranges)-1].Last)
	case imapwire.SearchAnd:
		first, last = 1, n
		for i := range k.keys {
			f, l := k.keys[i].bounds(n)
			first, last = max(first, f), min(last, l)
		}
		return first, last
	case imapwire.SearchOr:
		first, last = n+1, 0
		for i := range k.keys {
			f, l := k.keys[i].bounds(n)
			first, last = min(first, f), max(last, l)
		}
		return first, last
	}
	return 1, n
}

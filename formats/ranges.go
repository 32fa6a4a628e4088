package formats

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Range is a run of UIDs, both ends included.
type Range struct{ First, Last UID }

// Ranges is a set of UIDs: sorted, disjoint, not touching runs. The zero value is the empty set.
type Ranges []Range

// RangesOf makes a set of UIDs in any order.
func RangesOf(uids ...UID) Ranges {
	var r Ranges
	for _, uid := range slices.Sorted(slices.Values(uids)) {
		r.Add(uid)
	}
	return r
}

// Add puts a UID in the set; ascending additions are fast.
func (r *Ranges) Add(uid UID) { r.AddRange(uid, uid) }

// AddRange puts first to last in the set.
func (r *Ranges) AddRange(first, last UID) {
	s := *r
	n := len(s)
	switch {
	case n == 0 || first > s[n-1].Last && first-s[n-1].Last > 1:
		*r = append(s, Range{first, last})
		return
	case first >= s[n-1].First: // it goes on with the last run
		s[n-1].Last = max(s[n-1].Last, last)
		return
	}
	// The first run that touches or lies behind the new one.
	i, _ := slices.BinarySearchFunc(s, first, func(run Range, first UID) int {
		if run.Last < first && first-run.Last > 1 {
			return -1
		}
		return 1
	})
	j := i
	for j < len(s) && (s[j].First <= last || s[j].First-last == 1) {
		first, last = min(first, s[j].First), max(last, s[j].Last)
		j++
	}
	*r = slices.Replace(s, i, j, Range{first, last})
}

// Contains tells whether uid is in the set.
func (r Ranges) Contains(uid UID) bool {
	_, found := slices.BinarySearchFunc(r, uid, func(run Range, uid UID) int {
		switch {
		case run.Last < uid:
			return -1
		case run.First > uid:
			return 1
		}
		return 0
	})
	return found
}

// Len is the number of UIDs.
func (r Ranges) Len() int {
	n := 0
	for _, run := range r {
		n += int(run.Last-run.First) + 1
	}
	return n
}

// All gives the UIDs in ascending order.
func (r Ranges) All() iter.Seq[UID] {
	return func(yield func(UID) bool) {
		for _, run := range r {
			for uid := run.First; ; uid++ {
				if !yield(uid) {
					return
				}
				if uid == run.Last {
					break
				}
			}
		}
	}
}

// String is the IMAP sequence-set form: "1:3,7".
func (r Ranges) String() string {
	var b strings.Builder
	for i, run := range r {
		if i > 0 {
			b.WriteByte(',')
		}
		if run.First == run.Last {
			fmt.Fprintf(&b, "%d", run.First)
		} else {
			fmt.Fprintf(&b, "%d:%d", run.First, run.Last)
		}
	}
	return b.String()
}

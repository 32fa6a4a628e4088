package sync

import (
	"cmp"
	"iter"
	"slices"

	"dovetail/formats"
)

// pair says that a message of the source is that of the target. src 0: the message is ours, but gone from the source.
type pair struct{ src, dst uint32 }

func sortBySource(pairs []pair) {
	slices.SortFunc(pairs, func(a, b pair) int { return firstOf(cmp.Compare(a.src, b.src), cmp.Compare(a.dst, b.dst)) })
}

func sortByTarget(pairs []pair) {
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.dst, b.dst) })
}

// runsOf is the compact form of pairs sorted by target.
func runsOf(pairs []pair) []run {
	var runs []run
	for _, p := range pairs {
		if n := len(runs) - 1; n >= 0 && p.dst == runs[n].dst+runs[n].n && p.src == runs[n].at(runs[n].n).src {
			runs[n].n++
			continue
		}
		runs = append(runs, run{p.src, p.dst, 1})
	}
	return runs
}

func countRuns(runs []run) int {
	n := 0
	for _, r := range runs {
		n += int(r.n)
	}
	return n
}

// remembered finds the messages that an entry tells of: which message of the target came from which of the source.
// Those that the target no longer has are left out. If there are planned ones, dst must be loaded with all hashes.
func (e *entry) remembered(src, dst *state) []pair {
	source := func(uid uint32) uint32 {
		if _, ok := src.find(uid); !ok {
			return 0
		}
		return uid
	}
	if e.volatile {
		source = e.byIdent(src)
	}
	var pairs []pair
	for p := range e.ours(dst) {
		pairs = append(pairs, pair{source(p.src), p.dst})
	}
	sortBySource(pairs)
	return pairs
}

// ours gives the messages of the target that an entry tells of and that are still there, with their source UIDs as
// stored. What was only planned counts when it bears its mark.
func (e *entry) ours(dst *state) iter.Seq[pair] {
	return func(yield func(pair) bool) {
		for _, r := range e.pairs {
			for i := range r.n {
				if _, ok := dst.find(r.dst + i); ok && !yield(r.at(i)) {
					return
				}
			}
		}
		marks := e.marks
		for _, r := range e.planned {
			for i := range r.n {
				d, ok := dst.find(r.dst + i)
				if ok && dst.marked(d, marks[i]) && !yield(r.at(i)) {
					return
				}
			}
			marks = marks[r.n:]
		}
	}
}

// others are our messages in the target that are in no pair: the source no longer has them.
func (e *entry) others(dst *state, pairs []pair) []pair {
	var taken formats.Ranges
	for _, p := range pairs {
		taken.Add(formats.UID(p.dst))
	}
	var out []pair
	for p := range e.ours(dst) {
		if !taken.Contains(formats.UID(p.dst)) {
			out = append(out, pair{0, p.dst})
		}
	}
	return out
}

// at gives the pair in place i of a run. Messages that the source no longer had when the run was made have no UID there.
func (r run) at(i uint32) pair {
	if r.src == 0 {
		return pair{0, r.dst + i}
	}
	return pair{r.src + i, r.dst + i}
}

// byIdent recognises the messages of a source whose UIDs are not lasting by GUID, and equal ones in their order. The
// function it gives turns a place among the idents into a UID, 0 when the message is gone.
func (e *entry) byIdent(src *state) func(ordinal uint32) uint32 {
	places := placesOf(src.guids, nil)
	return func(ordinal uint32) uint32 {
		if ordinal == 0 || int(ordinal) > len(e.idents) {
			return 0
		}
		if i, ok := places.take(e.idents[ordinal-1]); ok {
			return src.recs[i].uid
		}
		return 0
	}
}

// places finds records by hash: 16 bytes for each, where a map would need many times that.
type places []hashPlace

type hashPlace struct {
	hash  uint64
	at    uint32
	taken uint32 // in the first place of a hash: how many with that hash have been given
}

// placesOf sorts the places of hashes, without those that are out.
func placesOf(hashes []uint64, out []bool) places {
	p := make(places, 0, len(hashes))
	for i, h := range hashes {
		if out == nil || !out[i] {
			p = append(p, hashPlace{hash: h, at: uint32(i)})
		}
	}
	slices.SortFunc(p, func(a, b hashPlace) int { return firstOf(cmp.Compare(a.hash, b.hash), cmp.Compare(a.at, b.at)) })
	return p
}

// take gives each place of a hash once, in their order.
func (p places) take(hash uint64) (at int, ok bool) {
	first, ok := slices.BinarySearchFunc(p, hash, func(h hashPlace, hash uint64) int { return cmp.Compare(h.hash, hash) })
	if !ok {
		return 0, false
	}
	i := first + int(p[first].taken)
	if i >= len(p) || p[i].hash != hash {
		return 0, false
	}
	p[first].taken++
	return int(p[i].at), true
}

// sameMessage compares a record of each side by GUID where both have one (load leaves them out where the target cannot
// hold chosen ones), else by date and size.
func sameMessage(src *state, s int, dst *state, d int) bool {
	if src.guids != nil && dst.guids != nil && src.guids[s] != 0 && dst.guids[d] != 0 {
		return src.guids[s] == dst.guids[d]
	}
	return src.looks != nil && dst.looks != nil && src.looks[s] == dst.looks[d]
}

// recognised finds the same messages in two mailboxes that no note tells about. Where UIDs can be compared only equal
// ones are the same; else the order decides between messages that look the same.
func recognised(src, dst *state, comparable bool) []pair {
	var pairs []pair
	if comparable {
		for d, r := range dst.recs {
			if s, ok := src.find(r.uid); ok && sameMessage(src, s, dst, d) {
				pairs = append(pairs, pair{r.uid, r.uid})
			}
		}
		return pairs
	}
	taken := make([]bool, len(dst.recs))
	used := make([]bool, len(src.recs))
	match := func(a, b []uint64) {
		left := placesOf(b, taken)
		for s, id := range a {
			if used[s] || id == 0 {
				continue
			}
			if d, ok := left.take(id); ok {
				pairs = append(pairs, pair{src.recs[s].uid, dst.recs[d].uid})
				taken[d], used[s] = true, true
			}
		}
	}
	if src.guids != nil && dst.guids != nil {
		match(src.guids, dst.guids)
		decided(used, src.guids)
		decided(taken, dst.guids)
	}
	match(src.looks, dst.looks)
	sortBySource(pairs)
	return pairs
}

// decided keeps messages with a GUID out of the comparison by date and size.
func decided(done []bool, guids []uint64) {
	for i, id := range guids {
		done[i] = done[i] || id != 0
	}
}

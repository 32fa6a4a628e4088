package sync

import (
	"cmp"
	"slices"
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
		if n := len(runs) - 1; n >= 0 && p.src == runs[n].src+runs[n].n && p.dst == runs[n].dst+runs[n].n {
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
// Those that the target no longer has are left out. What was only planned counts when the target has a message of that
// UID that looks as the source's one does, for which both sides must be loaded with all hashes.
func (e *entry) remembered(src, dst *state) []pair {
	var pairs []pair
	if e.volatile {
		pairs = e.byIdent(src, dst)
	} else {
		pairs = e.byUID(src, dst)
	}
	sortBySource(pairs)
	return pairs
}

func (e *entry) byUID(src, dst *state) []pair {
	pairs := make([]pair, 0, countRuns(e.pairs))
	for _, r := range e.pairs {
		for i := range r.n {
			p := pair{r.src + i, r.dst + i}
			if _, ok := dst.find(p.dst); !ok {
				continue
			}
			if _, ok := src.find(p.src); !ok {
				p.src = 0
			}
			pairs = append(pairs, p)
		}
	}
	for _, r := range e.planned {
		for i := range r.n {
			p := pair{r.src + i, r.dst + i}
			d, inTarget := dst.find(p.dst)
			s, inSource := src.find(p.src)
			if inTarget && inSource && sameMessage(src, s, dst, d) {
				pairs = append(pairs, p)
			}
		}
	}
	return uniqueTargets(pairs)
}

// byIdent recognises the messages of a source whose UIDs are not lasting: by GUID, and equal ones in their order.
func (e *entry) byIdent(src, dst *state) []pair {
	places := map[uint64][]uint32{} // source UIDs by GUID, in order; only for GUIDs the entry tells of
	for _, id := range e.idents {
		places[id] = nil
	}
	for i, r := range src.recs {
		if list, ok := places[src.guids[i]]; ok {
			places[src.guids[i]] = append(list, r.uid)
		}
	}
	var pairs []pair
	each := func(runs []run, planned bool) {
		for _, r := range runs {
			for i := range r.n {
				ordinal, uid := r.src+i, r.dst+i
				d, ok := dst.find(uid)
				if !ok || int(ordinal) > len(e.idents) {
					continue
				}
				p := pair{dst: uid}
				if ordinal == 0 { // about to be expunged when the run was cut off
					pairs = append(pairs, p)
					continue
				}
				id := e.idents[ordinal-1]
				if list := places[id]; len(list) > 0 {
					p.src, places[id] = list[0], list[1:]
				}
				if s, _ := src.find(p.src); planned && (p.src == 0 || !sameMessage(src, s, dst, d)) {
					continue
				}
				pairs = append(pairs, p)
			}
		}
	}
	each(e.pairs, false)
	each(e.planned, true)
	return uniqueTargets(pairs)
}

// uniqueTargets drops the second claim on a message of the target: planned ones may have become known ones.
func uniqueTargets(pairs []pair) []pair {
	sortByTarget(pairs)
	return slices.CompactFunc(pairs, func(a, b pair) bool { return a.dst == b.dst })
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
		places := map[uint64][]int{}
		for d, id := range b {
			if id != 0 && !taken[d] {
				places[id] = append(places[id], d)
			}
		}
		for s, id := range a {
			if list := places[id]; !used[s] && len(list) > 0 {
				pairs = append(pairs, pair{src.recs[s].uid, dst.recs[list[0]].uid})
				taken[list[0]], used[s], places[id] = true, true, list[1:]
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

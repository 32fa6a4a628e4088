package sync

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"dovetail/formats"
)

// holding says which keywords of a mailbox the target gets.
type holding struct {
	sets   *keywordSets
	held   []uint32            // by set: the set without what cannot be held
	reason map[string]string   // by folded keyword: why it cannot be held
	lost   map[uint32][]string // by set: its keywords that cannot be held
}

// hold decides for all sets. Of too many different keywords those in the target stay, then come the most used ones.
func hold(sets *keywordSets, src, dst *state, limits formats.Limits) *holding {
	h := &holding{sets: sets, reason: map[string]string{}, lost: map[uint32][]string{}}
	known := len(sets.names)
	if limits.KeywordProblem != nil {
		for _, names := range sets.names {
			for _, name := range names {
				if why := limits.KeywordProblem(name); why != "" {
					h.reason[strings.ToLower(name)] = why
				}
			}
		}
	}
	if limits.MaxKeywords > 0 {
		h.dropRare(src, dst, limits.MaxKeywords)
	}
	for set := range known {
		h.held = append(h.held, h.without(uint32(set)))
	}
	return h
}

// dropRare gives a reason to every keyword beyond the number that the target can hold.
func (h *holding) dropRare(src, dst *state, most int) {
	uses, there := map[string]int{}, map[string]bool{}
	for set, n := range countSets(src, len(h.sets.names)) {
		for _, name := range h.sets.names[set] {
			uses[strings.ToLower(name)] += n
		}
	}
	for set, n := range countSets(dst, len(h.sets.names)) {
		for _, name := range h.sets.names[set] {
			if n > 0 {
				there[strings.ToLower(name)] = true
			}
		}
	}
	var wanted []string
	for name, n := range uses {
		if n > 0 && h.reason[name] == "" && !there[name] {
			wanted = append(wanted, name)
		}
	}
	slices.SortFunc(wanted, func(a, b string) int { return firstOf(cmp.Compare(uses[b], uses[a]), cmp.Compare(a, b)) })
	for i, name := range wanted {
		if len(there)+i >= most {
			h.reason[name] = fmt.Sprintf("the target holds %d different keywords in one mailbox", most)
		}
	}
}

func countSets(s *state, sets int) []int {
	counts := make([]int, sets)
	for _, r := range s.recs {
		counts[r.set()]++
	}
	return counts
}

func (h *holding) without(set uint32) uint32 {
	var keep []string
	for _, name := range h.sets.names[set] {
		if h.reason[strings.ToLower(name)] != "" {
			h.lost[set] = append(h.lost[set], name)
		} else {
			keep = append(keep, name)
		}
	}
	if len(h.lost[set]) == 0 {
		return set
	}
	return h.sets.index(keep)
}

// names are the keywords that a message of this set gets in the target.
func (h *holding) names(set uint32) []string { return h.sets.names[h.held[set]] }

// look is how a record of the source should look in the target.
func (h *holding) look(r record) uint32 { return h.held[r.set()]<<8 | uint32(r.flags()) }

// announce lists the keywords that a message loses.
func (h *holding) announce(f *findings, mailbox string, r record) {
	for _, name := range h.lost[r.set()] {
		f.lose(mailbox, lostKeyword, name, h.reason[strings.ToLower(name)], formats.UID(r.uid))
	}
}

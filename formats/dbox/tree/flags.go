package tree

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"dovetail/formats"
	"dovetail/formats/index"
)

// FlagSteps are the changes of flags in a transaction.
type FlagSteps struct {
	steps    []flagStep
	Modified formats.Ranges // that Write has left out for FlagChange.UnchangedSince
}

type flagStep struct {
	uids   formats.Ranges
	change formats.FlagChange
}

// Add adds a step.
func (t *FlagSteps) Add(uids formats.Ranges, change formats.FlagChange) {
	t.steps = append(t.steps, flagStep{slices.Clone(uids), change})
}

// None is true before the first step.
func (t *FlagSteps) None() bool { return len(t.steps) == 0 }

// Fold applies the steps to a message that is appended in the same transaction.
func (t *FlagSteps) Fold(uid formats.UID, m *formats.Message) {
	for _, s := range t.steps {
		if s.uids.Contains(uid) {
			m.Flags, m.Keywords = s.change.Apply(m.Flags, m.Keywords)
		}
	}
}

// Write writes what the steps change all in all: one change for each message, and none for a message that ends as it
// began, so that it gets no new modseq and wakes no client.
func (t *FlagSteps) Write(ix *index.Tx) {
	if len(t.steps) == 0 {
		return
	}
	st := ix.State()
	first, end := t.touched(st)
	now := make([]flagState, end-first)
	sets := newKeywordSets(st)
	for n, s := range t.steps {
		for _, r := range s.uids {
			i, _ := st.Find(r.First)
			for ; i < end && st.UID(i) <= r.Last; i++ {
				if since := s.change.UnchangedSince; since != 0 && st.ModSeq(i) > since {
					t.Modified.Add(st.UID(i))
					continue
				}
				f := &now[i-first]
				if !f.touched {
					f.touched, f.flags, f.keywords = true, st.Flags(i)&formats.SystemFlags, sets.of(i)
				}
				f.flags, _ = formats.FlagChange{Op: s.change.Op, Flags: s.change.Flags}.Apply(f.flags, nil)
				f.keywords = sets.after(f.keywords, n, &t.steps[n].change)
				f.modseq = max(f.modseq, s.change.ModSeq)
			}
		}
	}
	w := flagWriter{ix: ix, sets: sets, flags: map[flagDiff]*formats.Ranges{}}
	for i := range now {
		if now[i].touched {
			w.message(st, first+i, &now[i])
		}
	}
	w.write()
}

// touched gives the places between which all messages of the steps lie: mostly there is but one.
func (t *FlagSteps) touched(st *index.State) (first, end int) {
	first = st.Len()
	for _, s := range t.steps {
		if len(s.uids) == 0 {
			continue
		}
		from, _ := st.Find(s.uids[0].First)
		last, ok := st.Find(s.uids[len(s.uids)-1].Last)
		if ok {
			last++
		}
		first, end = min(first, from), max(end, last)
	}
	return first, max(first, end)
}

// flagState is how a message stands in the middle of a transaction.
type flagState struct {
	touched  bool
	flags    formats.Flags
	keywords int32 // number of the set
	modseq   formats.ModSeq
}

// keywordSets numbers the sets of keywords that messages have and get: there are few, however many messages.
type keywordSets struct {
	st      *index.State
	ext     *index.Extension // of the keywords; nil without any
	sets    [][]string
	numbers map[string]int32   // by the bits in the index
	changed map[[2]int32]int32 // by set and step

	lastBits []byte // of the message before
	last     int32
	memo     [2]int32 // what was asked of changed last
	memoized int32
}

func newKeywordSets(st *index.State) *keywordSets {
	return &keywordSets{st: st, ext: st.Ext("keywords"), sets: [][]string{nil}, numbers: map[string]int32{}, changed: map[[2]int32]int32{}, memo: [2]int32{-1, -1}}
}

// of gives the number of the set that the i-th message has.
func (k *keywordSets) of(i int) int32 {
	if k.ext == nil {
		return 0
	}
	bits := k.st.Data(i, k.ext)
	if bytes.Equal(bits, k.lastBits) {
		return k.last
	}
	n, ok := k.numbers[string(bits)]
	if !ok {
		n = k.add(k.st.KeywordsOf(i))
		k.numbers[string(bits)] = n
	}
	k.lastBits, k.last = bits, n
	return n
}

func (k *keywordSets) add(set []string) int32 {
	for n, other := range k.sets {
		if slices.Equal(set, other) {
			return int32(n)
		}
		if n == 64 {
			break // the same set twice does no harm
		}
	}
	k.sets = append(k.sets, set)
	return int32(len(k.sets) - 1)
}

// after gives the set that a step makes of one.
func (k *keywordSets) after(set int32, step int, change *formats.FlagChange) int32 {
	if len(change.Keywords) == 0 && change.Op != formats.ReplaceFlags {
		return set
	}
	at := [2]int32{set, int32(step)}
	if at == k.memo {
		return k.memoized
	}
	n, ok := k.changed[at]
	if !ok {
		_, names := change.Apply(0, k.sets[set])
		n = k.add(names)
		k.changed[at] = n
	}
	k.memo, k.memoized = at, n
	return n
}

type flagDiff struct{ add, remove formats.Flags }

// flagWriter sorts messages by what is to be done with them.
type flagWriter struct {
	ix          *index.Tx
	sets        *keywordSets
	flags       map[flagDiff]*formats.Ranges
	add, remove keywordChanges

	lastDiff  flagDiff // of the message before
	lastFlags *formats.Ranges
	from, to  int32 // its sets of keywords
	lastLists []*formats.Ranges
}

// keywordChanges says which messages get or lose a keyword, in the order in which they come: the mailbox lists its
// keywords as they were used first.
type keywordChanges struct {
	names []string
	uids  map[string]*formats.Ranges
}

func (c *keywordChanges) list(name string) *formats.Ranges {
	if c.uids == nil {
		c.uids = map[string]*formats.Ranges{}
	}
	if c.uids[name] == nil {
		c.names = append(c.names, name)
	}
	return list(c.uids, name)
}

func (w *flagWriter) message(st *index.State, i int, f *flagState) {
	uid, had, hadKeywords := st.UID(i), st.Flags(i)&formats.SystemFlags, w.sets.of(i)
	lists := w.lists(hadKeywords, f.keywords)
	if f.flags == had && len(lists) == 0 {
		return
	}
	if f.flags != had {
		if d := (flagDiff{f.flags &^ had, had &^ f.flags}); d != w.lastDiff || w.lastFlags == nil {
			w.lastDiff, w.lastFlags = d, list(w.flags, d)
		}
		w.lastFlags.Add(uid)
	}
	for _, l := range lists {
		l.Add(uid)
	}
	if f.modseq != 0 {
		w.ix.SetModSeq(uid, f.modseq)
	}
}

// lists gives the lists of messages to which one belongs whose keywords change so.
func (w *flagWriter) lists(from, to int32) []*formats.Ranges {
	switch {
	case from == to:
		return nil
	case from == w.from && to == w.to:
		return w.lastLists
	}
	w.from, w.to, w.lastLists = from, to, w.lastLists[:0]
	had, has := w.sets.sets[from], w.sets.sets[to]
	for _, k := range formats.WithoutKeywords(has, had) {
		w.lastLists = append(w.lastLists, w.add.list(k))
	}
	for _, k := range formats.WithoutKeywords(had, has) {
		w.lastLists = append(w.lastLists, w.remove.list(k))
	}
	return w.lastLists
}

func list[K comparable](by map[K]*formats.Ranges, key K) *formats.Ranges {
	r := by[key]
	if r == nil {
		r = new(formats.Ranges)
		by[key] = r
	}
	return r
}

func (w *flagWriter) write() {
	diffs := slices.SortedFunc(maps.Keys(w.flags), func(a, b flagDiff) int {
		return cmp.Or(cmp.Compare(a.add, b.add), cmp.Compare(a.remove, b.remove))
	})
	for _, d := range diffs {
		w.ix.UpdateFlags(*w.flags[d], d.add, d.remove)
	}
	for _, k := range w.remove.names {
		w.ix.RemoveKeyword(k, *w.remove.uids[k])
	}
	for _, k := range w.add.names {
		w.ix.AddKeyword(k, *w.add.uids[k])
	}
}

// KeywordProblem says why a keyword cannot be kept, or "": the index holds any name up to the length of a log record's
// field; IMAP cannot speak of an empty one.
func KeywordProblem(keyword string) string {
	switch {
	case keyword == "":
		return "a keyword has no name"
	case len(keyword) > 255:
		return "a keyword is longer than 255 bytes"
	}
	return ""
}

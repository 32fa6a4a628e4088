package tree

import (
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
	for _, s := range t.steps {
		for _, r := range s.uids {
			i, _ := st.Find(r.First)
			for ; i < end && st.UID(i) <= r.Last; i++ {
				if since := s.change.UnchangedSince; since != 0 && st.ModSeq(i) > since {
					t.Modified.Add(st.UID(i))
					continue
				}
				now[i-first].apply(st, i, s.change)
			}
		}
	}
	w := flagWriter{ix: ix, flags: map[flagDiff]*formats.Ranges{}}
	for i, f := range now {
		if f.touched {
			w.message(st, first+i, f)
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
	keywords []string
	modseq   formats.ModSeq
}

func (f *flagState) apply(st *index.State, i int, change formats.FlagChange) {
	if !f.touched {
		f.touched, f.flags, f.keywords = true, st.Flags(i)&formats.SystemFlags, st.KeywordsOf(i)
	}
	f.flags, f.keywords = change.Apply(f.flags, f.keywords)
	f.modseq = max(f.modseq, change.ModSeq)
}

type flagDiff struct{ add, remove formats.Flags }

// flagWriter sorts messages by what is to be done with them.
type flagWriter struct {
	ix          *index.Tx
	flags       map[flagDiff]*formats.Ranges
	add, remove keywordChanges
}

// keywordChanges says which messages get or lose a keyword, in the order in which they come: the mailbox lists its
// keywords as they were used first.
type keywordChanges struct {
	names []string
	uids  map[string]*formats.Ranges
}

func (c *keywordChanges) note(name string, uid formats.UID) {
	if c.uids == nil {
		c.uids = map[string]*formats.Ranges{}
	}
	if c.uids[name] == nil {
		c.names = append(c.names, name)
	}
	note(c.uids, name, uid)
}

func (w *flagWriter) message(st *index.State, i int, f flagState) {
	uid, had, hadKeywords := st.UID(i), st.Flags(i)&formats.SystemFlags, st.KeywordsOf(i)
	if f.flags == had && formats.SameKeywords(f.keywords, hadKeywords) {
		return
	}
	if f.flags != had {
		note(w.flags, flagDiff{f.flags &^ had, had &^ f.flags}, uid)
	}
	for _, k := range formats.WithoutKeywords(f.keywords, hadKeywords) {
		w.add.note(k, uid)
	}
	for _, k := range formats.WithoutKeywords(hadKeywords, f.keywords) {
		w.remove.note(k, uid)
	}
	if f.modseq != 0 {
		w.ix.SetModSeq(uid, f.modseq)
	}
}

func note[K comparable](by map[K]*formats.Ranges, key K, uid formats.UID) {
	r := by[key]
	if r == nil {
		r = new(formats.Ranges)
		by[key] = r
	}
	r.Add(uid)
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

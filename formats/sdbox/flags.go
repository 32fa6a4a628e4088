package sdbox

import (
	"maps"
	"slices"

	"dovetail/formats"
	"dovetail/formats/index"
)

// flag writes the flag changes. Messages that have the flags already are left alone, so that a change which changes
// nothing gives no new modseq and wakes no client.
func (t *tx) flag(ix *index.Tx, appended formats.Ranges) {
	st := ix.State()
	var touched formats.Ranges // an earlier step changed them: what the state says of them is no longer true
	for _, s := range t.steps {
		w := flagWriter{ix: ix, st: st, change: s.change}
		for _, r := range s.uids {
			i, _ := st.Find(r.First)
			for ; i < st.Len() && st.UID(i) <= r.Last; i++ {
				w.message(i, touched.Contains(st.UID(i)))
			}
		}
		for uid := range appended.All() {
			if s.uids.Contains(uid) {
				w.always.Add(uid)
			}
		}
		w.write()
		for _, r := range s.uids {
			touched.AddRange(r.First, r.Last)
		}
	}
}

// flagWriter sorts the messages of one step by what there is to do.
type flagWriter struct {
	ix     *index.Tx
	st     *index.State
	change formats.FlagChange

	always  formats.Ranges            // everything in change, whatever they have
	flags   formats.Ranges            // system flags only
	add     map[string]formats.Ranges // keywords
	remove  map[string]formats.Ranges
	changed formats.Ranges
}

func (w *flagWriter) message(i int, unsure bool) {
	uid := w.st.UID(i)
	if unsure {
		w.always.Add(uid)
		return
	}
	had, hadKeywords := w.st.Flags(i)&formats.SystemFlags, w.st.KeywordsOf(i)
	flags, keywords := w.change.Apply(had, hadKeywords)
	if flags == had && formats.SameKeywords(keywords, hadKeywords) {
		return
	}
	w.changed.Add(uid)
	if flags != had {
		w.flags.Add(uid)
	}
	w.add = collect(w.add, keywords, hadKeywords, uid)
	w.remove = collect(w.remove, hadKeywords, keywords, uid)
}

// collect notes uid under each keyword that is in one but not in other.
func collect(by map[string]formats.Ranges, one, other []string, uid formats.UID) map[string]formats.Ranges {
	for _, k := range one {
		if formats.HasKeyword(other, k) {
			continue
		}
		if by == nil {
			by = map[string]formats.Ranges{}
		}
		r := by[k]
		r.Add(uid)
		by[k] = r
	}
	return by
}

func (w *flagWriter) write() {
	add, remove := w.change.Flags&formats.SystemFlags, formats.Flags(0)
	switch w.change.Op {
	case formats.RemoveFlags:
		add, remove = 0, add
	case formats.ReplaceFlags:
		remove = formats.SystemFlags &^ add
	}
	both := w.flags
	for _, r := range w.always {
		both.AddRange(r.First, r.Last)
	}
	if len(both) > 0 && add|remove != 0 {
		w.ix.UpdateFlags(both, add, remove)
	}
	w.writeKeywords()
	if w.change.ModSeq == 0 {
		return
	}
	for _, r := range w.always {
		w.changed.AddRange(r.First, r.Last)
	}
	for uid := range w.changed.All() {
		w.ix.SetModSeq(uid, w.change.ModSeq)
	}
}

func (w *flagWriter) writeKeywords() {
	if len(w.always) > 0 && w.change.Op == formats.ReplaceFlags {
		w.ix.ClearKeywords(w.always)
	}
	for _, k := range slices.Sorted(maps.Keys(w.remove)) {
		w.ix.RemoveKeyword(k, w.remove[k])
	}
	for _, k := range slices.Sorted(maps.Keys(w.add)) {
		w.ix.AddKeyword(k, w.add[k])
	}
	if len(w.always) == 0 {
		return
	}
	for _, k := range w.change.Keywords {
		if w.change.Op == formats.RemoveFlags {
			w.ix.RemoveKeyword(k, w.always)
		} else {
			w.ix.AddKeyword(k, w.always)
		}
	}
}

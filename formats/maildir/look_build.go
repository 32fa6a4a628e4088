package maildir

import (
	"slices"

	"dovetail/formats/index"
)

// build makes the view. Places stay as they are unless messages are gone or had no UID of their own.
func (l *looker) build(idx *index.State, gone int) *view {
	old := l.old
	old.nameAll()
	copied := *old
	v := &copied
	v.recalled = false
	v.text, v.sizes = old.text.loaded(), nil
	v.entries = slices.Grow(slices.Clone(old.entries), len(l.added))
	v.stamps, v.tail, v.counts, v.settled = l.now, l.tail, false, false
	if l.readCur {
		v.unsure, v.readAt = false, l.now.at
	}
	v.indexSeen, v.index = idx, nil
	if old.index != nil {
		v.index = idx
	}
	v.uidNext = max(v.header.UIDNext, v.tail.last+1)
	if v.index != nil {
		v.uidNext = max(v.uidNext, v.index.NextUID)
	}
	for _, r := range l.renamed {
		l.rename(v, &v.entries[r.place], r)
	}
	l.remean(v, idx)
	waiting, known := l.compact(v, gone)
	named := 0
	if known {
		named = len(waiting)
	}
	for _, f := range l.added {
		var e entry
		l.rename(v, &e, f)
		waiting = append(waiting, e)
	}
	if !l.place(v, waiting, named) {
		return nil
	}
	old.forgetNames()
	return v
}

// rename gives a message the name that its file has now.
func (l *looker) rename(v *view, e *entry, f foundFile) {
	e.name, e.nameLen, e.where = v.text.add([]byte(f.name)), uint8(len(f.name)), f.in
	v.looked++
	if e.uid != 0 {
		v.mean(e)
	}
}

// remeanBlock is how many records of the index are compared at once.
const remeanBlock = 256

// remean gives meaning again to messages whose records in the index changed.
func (l *looker) remean(v *view, idx *index.State) {
	was := l.old.index
	if v.index == nil || idx == was {
		return
	}
	for i := 0; i < idx.Len(); {
		n := min(remeanBlock, idx.Len()-i)
		j, ok := was.Find(idx.UID(i))
		if !ok || !idx.Same(i, was, j, n) {
			from, _ := v.findPlace(idx.UID(i))
			for k := from; k < len(v.entries) && v.entries[k].uid <= idx.UID(i+n-1); k++ {
				v.mean(&v.entries[k])
			}
		}
		i += n
	}
	i := 0
	for j := range was.Len() { // what the index forgot
		for i < idx.Len() && idx.UID(i) < was.UID(j) {
			i++
		}
		if i == idx.Len() || idx.UID(i) != was.UID(j) {
			if k, ok := v.findPlace(was.UID(j)); ok {
				v.mean(&v.entries[k])
			}
		}
	}
}

// compact takes out the messages that are gone, and those that have no record, whose UIDs were for the time being: it
// gives them, and whether names knows the places at the end that they had.
func (l *looker) compact(v *view, gone int) (waiting []entry, known bool) {
	v.names = l.old.names
	v.names.v = v
	if gone == 0 {
		n := len(v.entries)
		for n > 0 && !v.entries[n-1].listed {
			n--
		}
		if len(v.entries)-n == v.unlisted { // none, or all of them at the end
			waiting = slices.Clone(v.entries[n:])
			v.entries = v.entries[:n]
			return forgetUIDs(waiting), true
		}
	}
	kept, now := v.entries[:0], make([]uint32, len(v.entries))
	for i := range v.entries {
		e := v.entries[i]
		switch {
		case l.isGone(i):
			if e.listed {
				v.dead++
			}
		case !e.listed:
			waiting = append(waiting, e)
		default:
			kept = append(kept, e)
			now[i] = uint32(len(kept))
		}
	}
	v.entries = kept
	v.names = v.names.moved(v, now, len(kept)+len(waiting)+len(l.added))
	return forgetUIDs(waiting), false
}

func forgetUIDs(waiting []entry) []entry {
	for i := range waiting {
		waiting[i].uid = 0
	}
	return waiting
}

// place gives UIDs to messages without one: those of their records, then new ones. The first named of them have their
// places in names already.
func (l *looker) place(v *view, waiting []entry, named int) bool {
	if len(waiting) == 0 {
		v.unlisted, v.first = 0, v.uidNext
		return len(l.records) == 0
	}
	of := make(map[string]int, len(waiting))
	for i := range waiting {
		of[string(baseName(v.name(&waiting[i])))] = i
	}
	for _, r := range l.records {
		i, ok := of[r.base]
		if !ok || waiting[i].uid != 0 {
			return false // for a file that is not there, or that has a record
		}
		e := &waiting[i]
		e.uid, e.listed = r.uid, true
		if r.ext != "" {
			e.ext, e.extLen = v.text.add([]byte(r.ext)), uint16(len(r.ext))
		}
	}
	first := len(v.entries)
	v.entries = append(v.entries, waiting...)
	for i := first + named; i < len(v.entries); i++ {
		v.names.put(i)
	}
	if (&scanner{Mailbox: l.Mailbox, v: v}).numberUnlisted() != nil {
		return false
	}
	v.sortByUID(v.names)
	for i := first; i < len(v.entries); i++ {
		v.mean(&v.entries[i])
	}
	return true
}

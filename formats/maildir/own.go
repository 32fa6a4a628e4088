package maildir

import "dovetail/formats"

// ownChanges are what a transaction did to the files, for the view: to read a folder of 100,000 names because of one that
// we changed ourselves would cost a hundred times what the change does.
type ownChanges struct {
	base    *view // what was there just before; nil: not known
	renamed []ownName
	gone    []formats.UID
}

// ownName is the name that a message in cur/ got.
type ownName struct {
	uid  formats.UID
	name string
}

// begin notes the view that flag changes and expunges go by.
func (o *ownChanges) begin(t *tx, v *view) {
	o.base = nil
	if len(t.appends) == 0 {
		o.base = v
	}
}

// inStep gives the view if it shows what is there now.
func (b *Mailbox) inStep() *view {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen == nil || !b.seen.lookable() {
		return nil
	}
	if now, err := b.stamp(); err != nil || !now.sameFolders(b.seen.stamps) {
		return nil
	}
	return b.seen
}

// takeOwn brings the view up to date with what a transaction did, without reading cur/ again. When that does not work
// out, the next look does it. The list is locked.
func (b *Mailbox) takeOwn(t *tx) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := t.own.base
	if v == nil || v != b.seen || !v.lookable() || t.table != v.keywords {
		return
	}
	now, err := b.stamp()
	idx := b.indexState()
	if err != nil || !v.goesWith(idx) {
		return
	}
	// What else is new in new/ and in the list the next look finds.
	now.fresh, now.list, now.keywords = v.stamps.fresh, v.stamps.list, v.stamps.keywords
	l := looker{Mailbox: b, old: v, now: now, tail: v.tail, own: true}
	l.expect(t)
	if len(l.added) > 0 && !l.readRecords() {
		return
	}
	is := l.build(idx, len(t.own.gone))
	if is == nil {
		v.forgetNames()
		return
	}
	is.unsure = true
	is.settled = v.settled && idx != nil && !idx.HasWishes()
	b.seen = is
}

// expect takes the changes of a transaction for what was found in the folders.
func (l *looker) expect(t *tx) {
	l.marked = make([]uint64, (len(l.old.entries)+63)/64)
	for i := range l.marked {
		l.marked[i] = 1<<64 - 1
	}
	for _, uid := range t.own.gone {
		if place, ok := l.old.findPlace(uid); ok {
			l.marked[place/64] &^= 1 << (place % 64)
		}
	}
	for _, r := range t.own.renamed {
		if place, ok := l.old.findPlace(r.uid); ok {
			l.renamed = append(l.renamed, foundFile{place, r.name, inCur})
		}
	}
	for i := range t.appends {
		f := foundFile{-1, t.appends[i].name, inCur}
		if t.appends[i].recent {
			f.in = inNew
		}
		l.added = append(l.added, f)
	}
}

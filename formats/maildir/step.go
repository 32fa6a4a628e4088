package maildir

import (
	"cmp"
	"context"
	"slices"

	"dovetail/formats"
	"dovetail/formats/index"
)

// An index that is there is kept in step with the files: it has the same messages with the same flags, so that its log
// tells when each was changed and which are gone (RFC 7162). Two things bring it out of step. Programs that know nothing of
// it change the files: then it is told. And Dovecot notes what its clients want in the log first and changes the files
// later (index.Wish): then that is done. Either happens with the list locked, as Dovecot has it locked while it syncs
// (2.3, maildir-sync.c, maildir_sync_context), so the files rest but for programs that lock nothing.

// inStepWithIndex tells whether there is nothing to do of that kind; mu is held.
func (b *Mailbox) inStepWithIndex(v *view) bool {
	if v.index == nil || v.settled {
		return true
	}
	if b.indexHeld == nil && v.index.HasWishes() && v.index != b.indexSafe {
		if list, err := b.index.Wishes(); err == nil && len(list) > 0 {
			return false
		}
		b.indexSafe = v.index
	}
	l := v.behind(v.index)
	v.settled = l.none()
	return v.settled
}

// settleIndex brings the index in step. The list's lock is held.
func (b *Mailbox) settleIndex(ctx context.Context, lock *held) error {
	if !b.store.keepsIndex() {
		return nil
	}
	b.mu.Lock()
	v, err := b.catchUp(ctx)
	done := err != nil || b.inStepWithIndex(v)
	x := b.index
	b.mu.Unlock()
	if done {
		return err
	}
	err = b.updateIndex(ctx, x, func(itx *index.Tx) error {
		if err := b.fulfil(ctx, lock, itx); err != nil {
			return err
		}
		v, l, err := b.compare(ctx, itx)
		if err != nil {
			return err
		}
		v.tell(itx, l)
		if itx.State().HasWishes() {
			itx.SyncTail()
		}
		if itx.State().KeepsModSeqs() {
			itx.Sync()
		}
		itx.Lazy()
		return nil
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		if v, err = b.catchUp(ctx); err == nil {
			v.settled = true // as far as can be
		}
	}
	return err
}

// fulfil does to the files what others have noted in the log.
func (b *Mailbox) fulfil(ctx context.Context, lock *held, itx *index.Tx) error {
	wishes, err := itx.Wishes()
	if err != nil || len(wishes) == 0 {
		return nil // what cannot be read is for whoever wrote it
	}
	t := &tx{b: b, validity: itx.State().UIDValidity}
	for _, w := range wishes {
		if w.Expunge {
			t.Expunge(w.UIDs)
			continue
		}
		for _, c := range changesOf(w, itx.State()) {
			t.SetFlags(w.UIDs, c)
		}
	}
	if err := t.commitKeywords(); err != nil {
		return err
	}
	return t.commitChanges(ctx, lock)
}

// changesOf says the same as a wish.
func changesOf(w index.Wish, st *index.State) (list []formats.FlagChange) {
	if w.Add != 0 {
		list = append(list, formats.FlagChange{Op: formats.AddFlags, Flags: w.Add})
	}
	if w.Remove != 0 {
		list = append(list, formats.FlagChange{Op: formats.RemoveFlags, Flags: w.Remove})
	}
	if w.Keyword != "" {
		op := formats.AddFlags
		if w.RemoveKeyword {
			op = formats.RemoveFlags
		}
		list = append(list, formats.FlagChange{Op: op, Keywords: []string{w.Keyword}})
	}
	if w.ClearKeywords {
		list = append(list, formats.FlagChange{Op: formats.RemoveFlags, Keywords: st.Keywords})
	}
	return list
}

// compare looks what the index lacks. That a message is gone, or other than it was, is believed only after all names were
// read at once: an index that was told so cannot take it back.
func (b *Mailbox) compare(ctx context.Context, itx *index.Tx) (*view, *lag, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, err := b.catchUp(ctx)
	if err != nil {
		return nil, nil, err
	}
	v = v.recorded()
	l := v.behind(itx.State())
	if !l.sure() {
		if v, l, err = b.compareAll(ctx, itx); err != nil {
			return nil, nil, err
		}
	}
	if len(l.back) == 0 {
		return v, l, nil
	}
	if err := b.renew(ctx, v, l, itx.NextUID()); err != nil {
		return nil, nil, err
	}
	return b.compareAll(ctx, itx)
}

func (b *Mailbox) compareAll(ctx context.Context, itx *index.Tx) (*view, *lag, error) {
	v, err := b.scan(ctx)
	if err != nil {
		return nil, nil, err
	}
	b.seen = v
	v = v.recorded()
	return v, v.behind(itx.State()), nil
}

// recorded is the view without messages whose UIDs are for the time being: neither clients nor the index may know these.
func (v *view) recorded() *view {
	if v.unlisted == 0 || !v.hasList {
		return v
	}
	return v.listedOnly()
}

// renew gives new UIDs to messages that came back after the index was told that they are gone: clients believe that, and
// UIDs are used once. Dovecot does the same (2.3, maildir-sync-index.c, maildir_handle_uid_insertion), but warns of each
// record that it finds twice, so the list is written anew without the old ones.
func (b *Mailbox) renew(ctx context.Context, v *view, l *lag, next formats.UID) error {
	h, err := b.newHeader(ctx, v)
	if err != nil {
		return err
	}
	renewed := *v
	renewed.entries = slices.Clone(v.entries)
	next = max(next, h.UIDNext)
	for _, i := range l.back {
		renewed.entries[i].uid = next
		next++
	}
	slices.SortFunc(renewed.entries, func(x, y entry) int { return cmp.Compare(x.uid, y.uid) })
	h.UIDNext = next
	return b.writeList(&renewed, h)
}

// lag is what an index lacks.
type lag struct {
	gone    []formats.UID // messages that it has and that have no file
	back    []int         // places of files whose messages it had and lost
	added   []int         // places of files that it does not know
	changed []int         // places of files with other flags or keywords
}

func (l *lag) none() bool { return l.sure() && len(l.added) == 0 }

// sure tells that nothing but new files was found.
func (l *lag) sure() bool { return len(l.gone)+len(l.back)+len(l.changed) == 0 }

// behind compares the files with an index that belongs to the list.
func (v *view) behind(st *index.State) *lag {
	l := &lag{}
	same := sameSets{v: v}
	at := 0
	for j, m := range st.All() {
		for ; at < len(v.entries) && v.entries[at].uid < m.UID; at++ {
			l.back = append(l.back, at)
		}
		if at == len(v.entries) || v.entries[at].uid > m.UID {
			l.gone = append(l.gone, st.UID(j))
			continue
		}
		e := &v.entries[at]
		if m.Flags&index.Dirty == 0 && (e.flags&formats.SystemFlags != m.Flags&formats.SystemFlags || !same.as(e.set, m.Keywords)) {
			l.changed = append(l.changed, at)
		}
		at++
	}
	for ; at < len(v.entries); at++ {
		if v.entries[at].uid < st.NextUID {
			l.back = append(l.back, at)
		} else {
			l.added = append(l.added, at)
		}
	}
	return l
}

// sameSets compares sets of keywords, each pair of them once in a row: messages share them.
type sameSets struct {
	v    *view
	set  uint32
	name *string
	same bool
}

func (s *sameSets) as(set uint32, keywords []string) bool {
	if len(keywords) == 0 {
		return len(s.v.sets[set]) == 0
	}
	if s.name != &keywords[0] || s.set != set {
		s.set, s.name = set, &keywords[0]
		s.same = formats.SameKeywords(s.v.sets[set], keywords)
	}
	return s.same
}

// tell writes what the index lacks. Of messages that are new to it those that do not lie in new/ were seen by somebody, and
// so were all before them (2.3, maildir-sync-index.c, maildir_sync_index).
func (v *view) tell(itx *index.Tx, l *lag) {
	recent := itx.State().FirstRecent
	for _, i := range l.added {
		e := &v.entries[i]
		if _, err := itx.Append(index.Message{UID: e.uid, Flags: e.flags & formats.SystemFlags, Keywords: v.sets[e.set]}); err != nil {
			break // cannot be: they ascend from its next UID on
		}
		if e.where != inNew && e.uid >= recent {
			recent = e.uid + 1
		}
	}
	if v.uidNext > itx.NextUID() {
		itx.RaiseNextUID(v.uidNext)
	}
	if recent != itx.State().FirstRecent {
		itx.SetFirstRecent(recent)
	}
	for _, i := range l.changed {
		v.tellFlags(itx, &v.entries[i])
	}
	for _, uid := range l.gone {
		itx.Expunge(uid, formats.GUID{})
	}
}

func (v *view) tellFlags(itx *index.Tx, e *entry) {
	at, _ := itx.State().Find(e.uid)
	one, had, keywords := formats.RangesOf(e.uid), itx.State().KeywordsOf(at), v.sets[e.set]
	itx.UpdateFlags(one, e.flags&formats.SystemFlags, formats.SystemFlags&^e.flags)
	for _, k := range had {
		if !formats.HasKeyword(keywords, k) {
			itx.RemoveKeyword(k, one)
		}
	}
	for _, k := range keywords {
		if !formats.HasKeyword(had, k) {
			itx.AddKeyword(k, one)
		}
	}
}

// Expunged looks into the log of the index, which knows what others did to the files, too, when there is one.
func (b *Mailbox) Expunged(ctx context.Context, since formats.ModSeq) (uids formats.Ranges, complete bool, err error) {
	v, err := b.outline(ctx)
	if err != nil || v.index == nil {
		return nil, false, err
	}
	return index.Expunged(b.indexFolder(), index.Prefix, since)
}

var _ formats.Historian = (*Mailbox)(nil)

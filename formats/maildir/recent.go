package maildir

import (
	"context"
	"slices"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// Messages that nobody has seen lie in new/, and leave it when somebody claims them (Raise). One that is saved with flags
// has no place there: its name would have them. That it is \Recent all the same only an index can say, which is made for
// it, as with Dovecot (2.3, maildir-save.c and mail-index's first_recent_uid).

// firstRecent: without an index, the messages at the end that lie in new/. With one, messages that it does not know
// count so.
func (v *view) firstRecent() formats.UID {
	first := v.uidNext
	for i := len(v.entries) - 1; i >= 0 && v.entries[i].where == inNew; i-- {
		first = v.entries[i].uid
	}
	if v.index == nil {
		return first
	}
	if first < v.index.NextUID {
		return v.index.FirstRecent
	}
	if v.index.FirstRecent < v.index.NextUID && !v.anyBetween(v.index.NextUID, first) {
		return v.index.FirstRecent
	}
	return first
}

func (v *view) anyBetween(from, to formats.UID) bool {
	for i := range v.entries {
		if uid := v.entries[i].uid; uid >= from && uid < to {
			return true
		}
	}
	return false
}

// keepRecent notes that messages of the transaction are \Recent though they have flags, and so are all behind the first
// of them. It is called before they are there; the lock is held.
func (t *tx) keepRecent(ctx context.Context) error {
	flagged := slices.ContainsFunc(t.appends, func(p pending) bool { return p.unseen && !p.recent })
	if !flagged || t.recent != 0 || !t.b.store.keepsIndex() {
		return nil
	}
	v := t.own.base
	if v == nil {
		var err error
		t.b.mu.Lock()
		v, err = t.b.catchUp(ctx)
		t.b.mu.Unlock()
		if err != nil {
			return err
		}
	}
	if t.recent = v.firstRecent(); t.recent > t.lastBefore {
		i := slices.IndexFunc(t.appends, func(p pending) bool { return p.unseen })
		t.recent = t.appends[i].uid
	}
	return nil
}

// claimRecent takes what is \Recent. itx is nil where there is no index.
func (t *tx) claimRecent(ctx context.Context, itx *index.Tx) error {
	b := t.b
	b.mu.Lock()
	v, err := b.catchUp(ctx)
	b.mu.Unlock()
	if err != nil {
		return err
	}
	first, next := v.firstRecent(), v.uidNext
	if itx != nil {
		first, next = itx.State().FirstRecent, itx.NextUID()
	}
	if first < next {
		t.taken.AddRange(first, next-1)
	}
	t.recent, t.claims = next, true
	return nil
}

// claimed are the messages in new/ that are to leave it because somebody has seen that they are there.
func (t *tx) claimed(v *view) (uids formats.Ranges) {
	if !t.claims || t.b.store.opts.Lists.courier() {
		return nil
	}
	for i := range v.entries {
		if e := &v.entries[i]; e.where == inNew && e.uid < t.recent && !e.bad {
			uids.Add(e.uid)
		}
	}
	return uids
}

// move brings listed messages to cur/, and to new/ those that are \Recent.
func (t *tx) move(lock *held) error {
	var used [2]bool
	for i := range t.appends {
		p := &t.appends[i]
		into, n := t.b.cur, 0
		if p.recent {
			into, n = t.b.fresh, 1
		}
		if err := t.b.tmp.Rename(p.name, into, p.name); err != nil {
			return t.b.err("append", p.uid, "", err)
		}
		used[n] = true
		if err := lock.alive(); err != nil {
			return t.b.err("lock", 0, "", err)
		}
	}
	for n, d := range []*disk.Dir{t.b.cur, t.b.fresh} {
		if used[n] {
			if err := t.b.syncDir(d); err != nil {
				return err
			}
		}
	}
	return nil
}

package maildir

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"slices"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// deadShare: the list is rewritten when this part of its records, in per cent, have no file any more
// (Dovecot 2.3, maildir-uidlist.c, UIDLIST_COMPRESS_PERCENTAGE).
const deadShare = 25

// commitChanges applies flag changes and expunges to the files. The lock is held.
func (t *tx) commitChanges(ctx context.Context, lock *held) error {
	if len(t.changes) == 0 && len(t.expunges) == 0 && !t.claims {
		return nil
	}
	b := t.b
	b.mu.Lock()
	v, err := b.catchUp(ctx)
	b.mu.Unlock()
	if err != nil {
		return err
	}
	t.own.begin(t, v)
	var used [3]bool
	removed := 0
	claimed := t.claimed(v)
	for i := range v.placesOf(t.touched(claimed)) {
		e := v.entries[i] // a copy: where it is may change under us
		gone := t.expunges.Contains(e.uid)
		if gone {
			err = t.remove(ctx, v, &e)
			removed++
			t.own.gone = append(t.own.gone, e.uid)
		} else {
			err = t.reflag(ctx, v, &e, claimed.Contains(e.uid), &used)
		}
		if err != nil && !errors.Is(err, formats.ErrNoMessage) {
			return err
		}
		used[e.where] = used[e.where] || gone
		if err := lock.alive(); err != nil {
			return b.err("lock", 0, "", err)
		}
	}
	for w, dirty := range used {
		if dirty && !t.claimsOnly() {
			if err := b.syncDir(b.folderAt(where(w))); err != nil {
				return err
			}
		}
	}
	if removed > 0 && (v.dead+removed)*100 >= deadShare*(v.dead+len(v.entries)) {
		t.leftover = errors.Join(t.leftover, t.compress(ctx))
	}
	return nil
}

// leaveChanged takes the messages out of conditional changes that were changed since.
func (t *tx) leaveChanged(itx *index.Tx) {
	if itx == nil {
		return
	}
	st := itx.State()
	for i := range t.changes {
		c := &t.changes[i]
		if c.change.UnchangedSince == 0 {
			continue
		}
		var left formats.Ranges
		for _, r := range c.uids {
			at, _ := st.Find(r.First)
			for ; at < st.Len() && st.UID(at) <= r.Last; at++ {
				if st.ModSeq(at) > c.change.UnchangedSince {
					t.modified.Add(st.UID(at))
				} else {
					left.Add(st.UID(at))
				}
			}
		}
		c.uids = left
	}
}

// touched are the UIDs of everything that is to be changed.
func (t *tx) touched(claimed formats.Ranges) formats.Ranges {
	all := slices.Clone(t.expunges)
	for _, r := range claimed {
		all.AddRange(r.First, r.Last)
	}
	for _, c := range t.changes {
		for _, r := range c.uids {
			all.AddRange(r.First, r.Last)
		}
	}
	return all
}

// placesOf gives the places of the messages in a set of UIDs.
func (v *view) placesOf(uids formats.Ranges) iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, r := range uids {
			i, _ := v.findPlace(r.First)
			for ; i < len(v.entries) && v.entries[i].uid <= r.Last; i++ {
				if !yield(i) {
					return
				}
			}
		}
	}
}

// rescan reads the mailbox for a list that is to be written anew, and gives the header for it.
func (b *Mailbox) rescan(ctx context.Context) (*view, listHeader, error) {
	b.mu.Lock()
	v, err := b.scan(ctx)
	b.mu.Unlock()
	if err != nil {
		return nil, listHeader{}, err
	}
	h, err := b.newHeader(ctx, v)
	return v, h, err
}

// compress rewrites the list without dead records.
func (t *tx) compress(ctx context.Context) error {
	b := t.b
	v, h, err := b.rescan(ctx)
	if err != nil {
		return err
	}
	return b.writeList(v, h)
}

func (t *tx) remove(ctx context.Context, v *view, e *entry) error {
	return t.b.withFile(ctx, &v, &e, func(d *disk.Dir, name string) error { return d.Remove(name) })
}

// reflag renames a message's file to its new flags; nothing is done when they are the same. A message that gets flags
// leaves new/, as one does that was claimed.
func (t *tx) reflag(ctx context.Context, v *view, e *entry, claimed bool, used *[3]bool) error {
	changed := slices.ContainsFunc(t.changes, func(c flagChange) bool { return c.uids.Contains(e.uid) })
	if !changed && !claimed || e.bad {
		return nil
	}
	b := t.b
	return b.withFile(ctx, &v, &e, func(d *disk.Dir, name string) error {
		oldFlags, oldKeys := parseInfo([]byte(name))
		flags, keys := t.apply(e.uid, oldFlags, oldKeys)
		if same := flags == oldFlags && keys == oldKeys; !same {
			used[e.where], used[inCur] = true, true
		} else if !claimed || d != b.fresh { // a claim that is lost in a crash is made again
			_, err := d.Stat(name)
			return err
		}
		to := string(withInfo(nil, []byte(name), flags, keys))
		err := d.RenameNew(name, b.cur, to)
		if errors.Is(err, fs.ErrExist) {
			return b.err("set flags", e.uid, "", err)
		}
		if err == nil {
			t.own.renamed = append(t.own.renamed, ownName{e.uid, to})
		}
		return err
	})
}

// apply gives a message's flags and letters after all changes.
func (t *tx) apply(uid formats.UID, flags formats.Flags, keys letters) (formats.Flags, letters) {
	for i := range t.changes {
		c := &t.changes[i]
		if !c.uids.Contains(uid) {
			continue
		}
		flags, _ = formats.FlagChange{Op: c.change.Op, Flags: c.change.Flags}.Apply(flags, nil)
		mask := letters(0)
		for _, name := range c.change.Keywords {
			if n := t.table.index(name); n >= 0 {
				mask |= 1 << n
			}
		}
		switch c.change.Op {
		case formats.AddFlags:
			keys |= mask
		case formats.RemoveFlags:
			keys &^= mask
		case formats.ReplaceFlags:
			keys = mask
		}
	}
	return flags, keys
}

// commitRaise writes UIDNEXT into the header of the list if no record says as much.
func (t *tx) commitRaise(ctx context.Context) error {
	if t.uidNext <= t.b.list.next() {
		return nil
	}
	b := t.b
	v, h, err := b.rescan(ctx)
	if err != nil {
		return err
	}
	h.UIDNext = max(h.UIDNext, t.uidNext)
	return b.writeList(v, h)
}

package maildir

import (
	"context"
	"errors"
	"io/fs"

	"dovetail/formats"
	"dovetail/formats/index"
)

// Keywords beyond 26 and modseqs live only in dovecot.index. It is written when there is something of the kind to keep,
// or when messages change that an index knows already; otherwise Dovecot makes its index from the files when it wants
// one. Dovecot takes an index of ours for its own as long as it has the list's UIDVALIDITY and UIDs: it compares flags and
// letters with the file names and leaves keywords without a letter alone (2.3, maildir-sync-index.c,
// maildir_sync_mail_keywords).

// keepsIndex tells whether the store may have index files.
func (s *Store) keepsIndex() bool { return s.opts.Index != "MEMORY" && !s.opts.Lists.courier() }

// needsIndex tells whether the transaction holds what only an index can.
func (t *tx) needsIndex() bool {
	if t.modseqs || t.highest > 1 || t.recent != 0 && t.recent < t.b.list.next() {
		return true
	}
	for i := range t.appends {
		p := &t.appends[i]
		if p.modseq > 1 || t.beyondLetters(p.keywords) {
			return true
		}
	}
	for _, c := range t.changes {
		if c.change.ModSeq > 1 || c.change.Op != formats.RemoveFlags && t.beyondLetters(c.change.Keywords) {
			return true
		}
	}
	return false
}

func (t *tx) beyondLetters(keywords []string) bool {
	for _, name := range keywords {
		if t.table.index(name) < 0 {
			return true
		}
	}
	return false
}

// commitIndex comes last: what it adds is lost when the process dies before it, never wrong. The list's lock is held,
// which comes before the index's.
func (t *tx) commitIndex(ctx context.Context) (formats.ModSeq, error) {
	b := t.b
	if !b.store.keepsIndex() {
		return 0, nil
	}
	var err error
	x := t.openIndex()
	switch {
	case x == nil && !t.needsIndex():
		return 0, nil
	case x == nil:
		if x, err = t.createIndex(ctx); errors.Is(err, fs.ErrExist) { // Dovecot was faster
			if x = t.openIndex(); x != nil {
				err = t.updateIndex(ctx, x)
			}
		}
	case t.needsIndex() || len(t.changes) > 0 || t.recent > x.Snapshot().FirstRecent && x.Snapshot().FirstRecent < x.Snapshot().NextUID:
		err = t.updateIndex(ctx, x)
	}
	if err == nil && t.modseqs && !x.Snapshot().KeepsModSeqs() {
		err = x.Update(ctx, func(itx *index.Tx) error { itx.KeepModSeqs(); itx.Sync(); return nil })
	}
	if err != nil {
		return 0, b.err("write index", 0, "", err)
	}
	return x.Snapshot().HighestModSeq(), nil
}

// openIndex gives the index that belongs to the list; nil when there is none. One without a UIDVALIDITY was just made by
// Dovecot and belongs to any list.
func (t *tx) openIndex() *index.Index {
	b := t.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if st := b.indexState(); st != nil && (st.UIDValidity == t.validity || st.UIDValidity == 0) {
		return b.index
	}
	return nil
}

// putAside renames index files that are damaged or belong to another list: Dovecot would throw them away.
func (b *Mailbox) putAside() error {
	if b.index != nil {
		b.index.Close()
		b.index = nil
	}
	for _, end := range []string{".log", ".log.2", ""} {
		name := index.Prefix + end
		if err := b.indexDir.Rename(name, b.indexDir, name+".void"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// createIndex makes an index of everything in the mailbox.
func (t *tx) createIndex(ctx context.Context) (*index.Index, error) {
	b := t.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.indexDir == nil {
		d, err := b.store.index.MakeDir(b.folder.dir, 0o700)
		if err != nil {
			return nil, err
		}
		b.indexDir = d
	}
	if err := b.putAside(); err != nil {
		return nil, err
	}
	v, err := b.scan(ctx)
	if err != nil {
		return nil, err
	}
	n := index.New{UIDValidity: v.header.UIDValidity, NextUID: v.uidNext, FirstRecent: v.firstRecent(), HighestModSeq: t.highest}
	if t.recent != 0 {
		n.FirstRecent = t.recent
	}
	extra := t.extraOf()
	for i := range v.entries {
		n.Messages = append(n.Messages, t.indexMessage(v, &v.entries[i], extra))
	}
	b.index, err = index.Create(ctx, b.indexDir, index.Prefix, n)
	return b.index, err
}

// extraOf finds this transaction's appends by UID.
func (t *tx) extraOf() map[formats.UID]*pending {
	m := make(map[formats.UID]*pending, len(t.appends))
	for i := range t.appends {
		m[t.appends[i].uid] = &t.appends[i]
	}
	return m
}

// indexMessage is a message's record with all its keywords.
func (t *tx) indexMessage(v *view, e *entry, extra map[formats.UID]*pending) index.Message {
	m := index.Message{UID: e.uid, Flags: e.flags, Keywords: v.sets[e.set]}
	if p := extra[e.uid]; p != nil {
		m.Keywords, m.ModSeq = p.keywords, p.modseq
	}
	for i := range t.changes {
		if c := &t.changes[i]; c.uids.Contains(e.uid) {
			_, m.Keywords = c.change.Apply(0, m.Keywords)
			m.ModSeq = max(m.ModSeq, c.change.ModSeq)
		}
	}
	return m
}

// updateIndex adds this transaction to an index. When the index lags behind the list, what it lacks is added, too.
func (t *tx) updateIndex(ctx context.Context, x *index.Index) error {
	var v *view
	b, last := t.b, t.lastBefore
	if len(t.appends) == 0 {
		last = b.list.last
	}
	if x.Snapshot().NextUID <= last {
		b.mu.Lock()
		var err error
		v, err = b.catchUp(ctx)
		b.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return x.Update(ctx, func(itx *index.Tx) error {
		if itx.State().UIDValidity == 0 {
			itx.SetUIDValidity(t.validity)
		}
		if err := t.indexAppends(itx, v); err != nil {
			return err
		}
		t.indexChanges(itx)
		if t.highest > 1 {
			itx.RaiseModSeq(t.highest)
		}
		if t.uidNext != 0 {
			itx.RaiseNextUID(t.uidNext)
		}
		if t.recent != 0 {
			itx.SetFirstRecent(t.recent)
		}
		itx.Sync()
		return nil
	})
}

// indexAppends adds records of what the index does not know; v is nil when that can only be this transaction's appends.
func (t *tx) indexAppends(itx *index.Tx, v *view) error {
	known := itx.State().NextUID
	if v != nil {
		extra := t.extraOf()
		for i := range v.entries {
			if e := &v.entries[i]; e.uid >= known {
				if _, err := itx.Append(t.indexMessage(v, e, extra)); err != nil {
					return err
				}
			}
		}
	}
	for i := range t.appends {
		p := &t.appends[i]
		if p.uid < known { // Dovecot was faster
			t.addBeyondLetters(itx, p.keywords, formats.RangesOf(p.uid))
			continue
		}
		if v != nil {
			continue
		}
		m := index.Message{UID: p.uid, Flags: p.flags, Keywords: p.keywords, ModSeq: p.modseq}
		if _, err := itx.Append(m); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) addBeyondLetters(itx *index.Tx, keywords []string, uids formats.Ranges) {
	for _, name := range keywords {
		if t.table.index(name) < 0 {
			itx.AddKeyword(name, uids)
		}
	}
}

// indexChanges repeats the flag changes, which the files have by now, so that sessions see them at once and keywords
// without a letter are changed at all.
func (t *tx) indexChanges(itx *index.Tx) {
	for _, c := range t.changes {
		flags := c.change.Flags & formats.SystemFlags
		switch c.change.Op {
		case formats.AddFlags:
			itx.UpdateFlags(c.uids, flags, 0)
			for _, name := range c.change.Keywords {
				itx.AddKeyword(name, c.uids)
			}
		case formats.RemoveFlags:
			itx.UpdateFlags(c.uids, 0, flags)
			for _, name := range c.change.Keywords {
				itx.RemoveKeyword(name, c.uids)
			}
		case formats.ReplaceFlags:
			itx.UpdateFlags(c.uids, flags, formats.SystemFlags&^flags)
			for _, name := range formats.WithoutKeywords(itx.State().Keywords, c.change.Keywords) {
				itx.RemoveKeyword(name, c.uids)
			}
			for _, name := range c.change.Keywords {
				itx.AddKeyword(name, c.uids)
			}
		}
		if c.change.ModSeq > 1 {
			for uid := range c.uids.All() {
				itx.SetModSeq(uid, c.change.ModSeq)
			}
		}
	}
}

// createEmptyIndex keeps the highest modseq of a mailbox that is being made.
func (b *Mailbox) createEmptyIndex(ctx context.Context, h listHeader, like formats.Status) error {
	if like.HighestModSeq <= 1 || !b.store.keepsIndex() {
		return nil
	}
	if b.store.index != nil {
		d, err := b.store.index.MakeDir(b.folder.dir, 0o700)
		if err != nil {
			return err
		}
		defer d.Close()
		b.indexDir = d
	}
	x, err := index.Create(ctx, b.indexDir, index.Prefix, index.New{UIDValidity: h.UIDValidity, NextUID: h.UIDNext, HighestModSeq: like.HighestModSeq})
	if errors.Is(err, fs.ErrExist) {
		return nil // of a Create that died
	}
	if err != nil {
		return err
	}
	return x.Close()
}

package maildir

import (
	"context"
	"errors"
	"io/fs"

	"dovetail/formats"
	"dovetail/formats/index"
)

// Keywords beyond 26, modseqs, and which of the messages in cur/ are \Recent live only in dovecot.index. It is made when
// there is something of the kind to keep; otherwise Dovecot makes its own from the files when it wants one. From then on it
// is kept in step with the files, see step.go. Dovecot takes an index of ours for its own as long as it has the list's
// UIDVALIDITY and UIDs: it compares flags and letters with the file names and leaves keywords without a letter alone (2.3,
// maildir-sync-index.c, maildir_sync_mail_keywords).

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

// commitIndexed changes the files, and tells the index of it. Where there is one its lock is held meanwhile: whoever looks
// sees the files and the index from before, or those from after. What the index gets is lost when the process dies before,
// never wrong. The list's lock is held, which comes before the index's.
func (t *tx) commitIndexed(ctx context.Context, lock *held, files func(*index.Tx) error) (highest formats.ModSeq, err error) {
	b := t.b
	if !b.store.keepsIndex() || t.withoutIndex {
		return 0, files(nil)
	}
	x := t.openIndex()
	if x != nil {
		err = b.updateIndex(ctx, x, func(itx *index.Tx) error {
			if err := files(itx); err != nil {
				return err
			}
			return t.record(itx)
		})
	} else if err = files(nil); err == nil && t.needsIndex() {
		if x, err = t.createIndex(ctx); errors.Is(err, fs.ErrExist) { // Dovecot was faster
			x, err = t.joinIndex(ctx, lock)
		}
	}
	if err == nil && x != nil && t.modseqs && !x.Snapshot().KeepsModSeqs() {
		err = x.Update(ctx, func(itx *index.Tx) error { itx.KeepModSeqs(); itx.Sync(); return nil })
	}
	if err != nil || x == nil {
		return 0, err
	}
	return x.Snapshot().HighestModSeq(), nil
}

// updateIndex runs fn in a transaction of the index. Readers of the mailbox do not wait for it meanwhile.
func (b *Mailbox) updateIndex(ctx context.Context, x *index.Index, fn func(*index.Tx) error) error {
	b.holdIndex(x.Snapshot())
	defer b.holdIndex(nil)
	inside := false
	err := x.Update(ctx, func(itx *index.Tx) error {
		inside = true
		b.holdIndex(itx.State())
		err := fn(itx)
		inside = err != nil
		return err
	})
	if err != nil && !inside {
		return b.err("write index", 0, "", err)
	}
	return err
}

// holdIndex sets what the index says for everybody until its transaction is over; nil: it is.
func (b *Mailbox) holdIndex(s *index.State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.indexHeld = s
}

// joinIndex tells an index that somebody made while we changed the files.
func (t *tx) joinIndex(ctx context.Context, lock *held) (*index.Index, error) {
	if err := t.b.settleIndex(ctx, lock); err != nil {
		return nil, err
	}
	x := t.openIndex()
	if x == nil {
		return nil, nil
	}
	return x, t.b.updateIndex(ctx, x, func(itx *index.Tx) error {
		for i := range t.appends {
			t.addBeyondLetters(itx, t.appends[i].keywords, formats.RangesOf(t.appends[i].uid))
		}
		t.recordChanges(itx)
		return nil
	})
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

// record adds this transaction to an index that was in step with the files before it.
func (t *tx) record(itx *index.Tx) error {
	if itx.State().UIDValidity == 0 {
		itx.SetUIDValidity(t.validity)
	}
	for i := range t.appends {
		p := &t.appends[i]
		m := index.Message{UID: p.uid, Flags: p.flags, Keywords: p.keywords, ModSeq: p.modseq}
		if _, err := itx.Append(m); err != nil {
			return err
		}
	}
	t.recordChanges(itx)
	for _, uid := range t.own.gone {
		itx.Expunge(uid, formats.GUID{})
	}
	return nil
}

// recordChanges is the part of record that is not about messages that come and go.
func (t *tx) recordChanges(itx *index.Tx) {
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
	if t.needsIndex() || itx.State().KeepsModSeqs() && !t.claimsOnly() {
		itx.Sync()
	}
	itx.Lazy()
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

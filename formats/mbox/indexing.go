package mbox

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// What the file has no room for lies in dovecot.index: modification sequences, and which messages somebody has seen to be
// there, unless the file is written anyway. The index is made when one of these is first to be kept; from then on every
// change of ours goes into it, too. UIDs, flags and keywords count as they are in the file: messages that others
// delivered get their UIDs there when they are claimed, as Dovecot does it. Dovecot takes an index of ours for its own,
// and reads the whole file once when it next opens the mailbox.

// keepsIndex tells whether the mailbox may have an index.
func (b *Mailbox) keepsIndex() bool { return b.store.index != nil && !b.store.readOnly() }

// wantsIndex tells whether the transaction holds what only an index can.
func (t *tx) wantsIndex() bool {
	return t.keep || t.claim > t.start.firstRecent || t.all && t.start.firstRecent < t.start.next
}

// changesFile tells whether the file is to be written.
func (t *tx) changesFile(s *snapshot) bool {
	return len(t.records) > 0 || len(t.changes) > 0 || len(t.gone) > 0 || len(t.fix) > 0 || t.raise > s.next || s.base.validity == 0 ||
		(t.number || t.claim > s.firstRecent || t.all && s.firstRecent < s.next) && !s.numbered()
}

// numbered tells whether the file has all the UIDs that we see.
func (s *snapshot) numbered() bool {
	if s.baseEnd == 0 || s.lead != 0 {
		return false
	}
	for i := range s.entries {
		if e := &s.entries[i]; e.given != e.uid {
			return false
		}
	}
	return true
}

// commitIndex comes last: what it adds is lost when the process dies before it, never wrong. The file is locked, which
// comes before the index's lock.
func (c *committer) commitIndex(ctx context.Context) (formats.ModSeq, error) {
	b := c.box
	if !b.keepsIndex() {
		return 0, nil
	}
	dir := b.store.indexDir(b)
	x := c.openIndex(dir)
	if x == nil && !c.wantsIndex() {
		return 0, closeDir(dir)
	}
	var err error
	if x == nil {
		if dir == nil {
			dir, err = b.store.index.MakeDir(indexPath(b.storage), folderMode)
		}
		if err == nil {
			x, err = c.createIndex(ctx, dir)
		}
	}
	if err == nil {
		err = x.Update(ctx, func(itx *index.Tx) error { return c.updateIndex(itx) })
	}
	if err != nil {
		return 0, errors.Join(err, closeDir(dir))
	}
	highest := x.Snapshot().HighestModSeq()
	return highest, errors.Join(x.Close(), closeDir(dir))
}

func closeDir(d *disk.Dir) error {
	if d == nil {
		return nil
	}
	return d.Close()
}

// openIndex gives the index that belongs to the mailbox; nil when there is none.
func (c *committer) openIndex(dir *disk.Dir) *index.Index {
	if dir == nil {
		return nil
	}
	x, err := index.Open(dir, index.Prefix)
	if err != nil {
		return nil
	}
	if v := x.Snapshot().UIDValidity; v != 0 && v != c.base.validity {
		x.Close()
		return nil
	}
	return x
}

// leaveChanged takes the messages out of conditional changes that were changed since.
func (c *committer) leaveChanged() (modified formats.Ranges) {
	state := c.now.state
	if state == nil || !state.KeepsModSeqs() {
		return nil
	}
	for i := range c.changes {
		f := &c.changes[i]
		if f.change.UnchangedSince == 0 {
			continue
		}
		var left formats.Ranges
		for k := range c.now.entries {
			uid := c.now.entries[k].uid
			if !f.uids.Contains(uid) {
				continue
			}
			if at, known := state.Find(uid); known && state.ModSeq(at) > f.change.UnchangedSince {
				modified.Add(uid)
			} else {
				left.Add(uid)
			}
		}
		f.uids = left
	}
	return modified
}

// createIndex makes an index that is still empty. One that is damaged or belongs to another mailbox is put aside: Dovecot
// would throw it away.
func (c *committer) createIndex(ctx context.Context, dir *disk.Dir) (*index.Index, error) {
	for _, end := range []string{".log", ".log.2", ""} {
		name := index.Prefix + end
		if err := dir.Rename(name, dir, name+".void"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return index.Create(ctx, dir, index.Prefix, index.New{UIDValidity: c.base.validity, FirstRecent: 1,
		Extensions: []index.Extension{{Name: syncedExt, Header: make([]byte, syncedHeader), Size: 8, Align: 8}}})
}

// updateIndex brings an index up to date with the file and the transaction.
func (c *committer) updateIndex(itx *index.Tx) error {
	state := itx.State()
	if state.UIDValidity == 0 {
		itx.SetUIDValidity(c.base.validity)
	}
	for i := range state.Len() {
		uid := state.UID(i)
		if _, there := c.now.find(uid); !there || c.gone.Contains(uid) {
			itx.Expunge(uid, formats.GUID{})
		}
	}
	if err := c.indexNew(itx); err != nil {
		return err
	}
	if err := c.indexDigests(itx); err != nil {
		return err
	}
	c.indexChanges(itx)
	if c.keep {
		itx.KeepModSeqs()
	}
	itx.RaiseNextUID(c.base.last + 1)
	if recent := min(max(c.claim, c.now.firstRecent), c.base.last+1); recent != state.FirstRecent {
		itx.SetFirstRecent(recent)
	}
	itx.Sync()
	return c.markRead(itx)
}

// indexNew adds the messages that the index does not know.
func (c *committer) indexNew(itx *index.Tx) error {
	known := itx.State().NextUID
	switch e := itx.State().Ext(syncedExt); {
	case e == nil:
		itx.Introduce(index.Extension{Name: syncedExt, Header: make([]byte, syncedHeader), Size: 8, Align: 8})
	case e.Size != 8:
		itx.Introduce(index.Extension{Name: syncedExt, Size: 8, Align: 8})
	}
	for i := range c.now.entries {
		e := &c.now.entries[i]
		if e.uid < known || c.gone.Contains(e.uid) {
			continue
		}
		if _, err := itx.Append(index.Message{UID: e.uid, Flags: e.flags, Keywords: c.now.keySets[e.keys]}); err != nil {
			return err
		}
		if c.unmoved {
			setPlace(itx, e.uid, e.from-1)
		}
	}
	for _, r := range c.records {
		if r.asked < known || c.gone.Contains(r.asked) {
			continue
		}
		p := piece{uid: r.asked, flags: r.flags, keywords: r.keywords}
		c.change(&p)
		if _, err := itx.Append(index.Message{UID: p.uid, Flags: p.flags & formats.SystemFlags, Keywords: p.keywords}); err != nil {
			return err
		}
		if c.placed {
			setPlace(itx, p.uid, c.at+r.from-1)
		}
	}
	for _, p := range c.places {
		if p.uid >= known {
			setPlace(itx, p.uid, p.at)
		}
	}
	return nil
}

// setPlace notes where a message is: for Dovecot it begins with the line end before its From_ line.
func setPlace(itx *index.Tx, uid formats.UID, at int64) {
	itx.SetData(syncedExt, uid, binary.LittleEndian.AppendUint64(nil, uint64(max(at, 0))))
}

// notRead has Dovecot read all of the file once: it does when the index says that the file was read with its present size but
// at another time (mbox-sync.c: mbox_sync_do).
func (c *committer) notRead(itx *index.Tx) error {
	st, err := c.box.dir.Stat(c.box.file)
	if err != nil {
		return err
	}
	var b [syncedLen]byte
	binary.LittleEndian.PutUint64(b[syncedSize:], uint64(st.Size))
	binary.LittleEndian.PutUint32(b[syncedTime:], uint32(st.MTime.Sec)-1)
	itx.SetHeader(syncedExt, 0, b[:])
	return nil
}

// indexChanges repeats the flag changes, which the file has by now.
func (c *committer) indexChanges(itx *index.Tx) {
	for _, f := range c.changes {
		flags := f.change.Flags & formats.SystemFlags
		switch f.change.Op {
		case formats.AddFlags:
			itx.UpdateFlags(f.uids, flags, 0)
		case formats.RemoveFlags:
			itx.UpdateFlags(f.uids, 0, flags)
			for _, name := range f.change.Keywords {
				itx.RemoveKeyword(name, f.uids)
			}
			continue
		case formats.ReplaceFlags:
			itx.UpdateFlags(f.uids, flags, formats.SystemFlags&^flags)
			for _, name := range itx.State().Keywords {
				if !formats.HasKeyword(f.change.Keywords, name) {
					itx.RemoveKeyword(name, f.uids)
				}
			}
		}
		for _, name := range f.change.Keywords {
			itx.AddKeyword(name, f.uids)
		}
	}
	c.settleFlags(itx, itx.State())
}

// reindexed is the snapshot with another state of the index; nil when that may mean other UIDs or flags. mu is held.
func (b *Mailbox) reindexed() (*snapshot, error) {
	dir := b.store.indexDir(b)
	if dir == nil {
		return nil, nil
	}
	defer dir.Close()
	st, err := dir.Stat(index.Prefix + ".log")
	if err != nil {
		return nil, nil
	}
	old := b.snap
	state, wished := readIndex(dir)
	if old.dirty || len(wished) > 0 || state == nil || state.UIDValidity == 0 || old.base.validity != 0 && state.UIDValidity != old.base.validity ||
		len(state.Keywords) > 0 && old.state == nil || old.state != nil && len(state.Keywords) != len(old.state.Keywords) {
		return nil, nil
	}
	for i := range old.entries {
		e := &old.entries[i]
		at, known := state.Find(e.uid)
		if e.given != e.uid && !known || known && state.Flags(at)&index.Dirty != 0 {
			return nil, nil
		}
	}
	f, err := b.dir.Open(b.file)
	if err != nil {
		return nil, nil
	}
	if now, err := f.Stat(); err != nil || !sameContent(now.ID, old.id) {
		return nil, f.Close()
	}
	s := &snapshot{file: f, id: old.id, indexID: st.ID, size: old.size, dialect: old.dialect, zone: old.zone, entries: old.entries,
		keySets: old.keySets, base: old.base, baseAt: old.baseAt, baseEnd: old.baseEnd, pseudo: old.pseudo,
		next: max(old.next, state.NextUID), oldest: old.oldest, lead: old.lead, refs: 1}
	s.takeIndex(state)
	return s, nil
}

// takeIndex takes over what an index says of the mailbox as a whole.
func (s *snapshot) takeIndex(state *index.State) {
	s.state = state
	if s.base.validity == 0 {
		s.base.validity = state.UIDValidity
	}
	if e := state.Ext(syncedExt); e != nil && len(e.Header) >= mailboxGUID+len(s.guid) {
		copy(s.guid[:], e.Header[mailboxGUID:])
	}
	s.firstRecent = min(max(s.oldest+1, state.FirstRecent), s.next)
}

// numbered gives the mailbox as it is now, with UIDs that stay if they can be written. The caller releases it.
func (b *Mailbox) numbered(ctx context.Context) (*snapshot, error) {
	s, err := b.current(ctx)
	if err != nil || !s.volatile || b.store.readOnly() || b.store.opts.Dialect.quoteMark() != nil {
		return s, err
	}
	if _, err := b.update(ctx, func(t *tx) error { t.number = true; return nil }); err != nil {
		return s, nil // on a full disk, or where it may not be written: it can be read all the same
	}
	s.release()
	return b.current(ctx)
}

// Expunged looks into the log of the index.
func (b *Mailbox) Expunged(ctx context.Context, since formats.ModSeq) (formats.Ranges, bool, error) {
	s, err := b.current(ctx)
	if err != nil {
		return nil, false, err
	}
	defer s.release()
	dir := b.store.indexDir(b)
	if dir == nil || s.state == nil || !s.state.KeepsModSeqs() {
		return nil, false, closeDir(dir)
	}
	defer dir.Close()
	return index.Expunged(dir, index.Prefix, since)
}

var _ formats.Historian = (*Mailbox)(nil)

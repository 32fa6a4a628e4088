package mdbox

import (
	"cmp"
	"context"
	"encoding/binary"
	"io"
	"io/fs"
	"math"
	"slices"
	"sync"
	"time"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// tx collects changes. New messages wait in spools.
type tx struct {
	b   *Mailbox
	now time.Time

	mu     sync.Mutex // guards what follows: Append may be called from several goroutines
	spools []*spool
	saved  []saved

	tree.Changes

	maps  *index.Index
	based edition // of the map that the new messages are in
}

// saved is a message that is new in the folder.
type saved struct {
	formats.Message // of Detail only SaveDate

	spool        *spool // nil: a copy
	offset, size int64  // in the spool
	mapUID       formats.UID
	guid         formats.GUID
	pop3         byte // tree.HavePOP3UIDL, tree.HavePOP3Order
}

// Update collects what fn does, then commits it.
func (b *Mailbox) Update(ctx context.Context, fn func(formats.Tx) error) (formats.Committed, error) {
	return b.Stream(ctx, func(tx formats.StreamTx) error { return fn(tx) })
}

// Stream is Update: nothing is locked before the commit.
func (b *Mailbox) Stream(ctx context.Context, fn func(formats.StreamTx) error) (formats.Committed, error) {
	if b.store.ReadOnly() {
		return formats.Committed{}, b.fail(0, nil, "update", formats.ErrReadOnly)
	}
	if b.idx == nil || b.lost != nil {
		return formats.Committed{}, b.fail(0, nil, "update", formats.Corrupt("index is damaged: repair the mailbox first"))
	}
	if err := ctx.Err(); err != nil {
		return formats.Committed{}, b.fail(0, nil, "update", err)
	}
	t := &tx{b: b, now: time.Now()}
	defer t.close()
	err := fn(t)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return formats.Committed{}, err
	}
	return t.commit(ctx)
}

// AppendFrom writes the message while it comes.
func (t *tx) AppendFrom(ctx context.Context, m formats.Message, r io.Reader, size int64) error {
	return t.Append(ctx, m, formats.Incoming(r, size))
}

// Append writes the message to a spool.
func (t *tx) Append(ctx context.Context, m formats.Message, body formats.Body) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	meta := tree.MetadataOf(&m, t.now)
	meta.Mailbox = t.b.storage
	sp, err := t.spool(ctx, body.Size())
	if err != nil {
		return t.b.fail(m.UID, nil, "save message", err)
	}
	offset, size, err := sp.message(ctx, body, &meta)
	if err != nil {
		return t.b.fail(m.UID, nil, "save message", err)
	}
	s := saved{Message: m, spool: sp, offset: offset, size: size, guid: tree.GUID128(meta.GUID)}
	s.Detail = formats.Detail{SaveDate: m.SaveDate}
	if meta.POP3UIDL != "" {
		s.pop3 |= tree.HavePOP3UIDL
	}
	if meta.POP3Order != 0 {
		s.pop3 |= tree.HavePOP3Order
	}
	t.saved = append(t.saved, s)
	return nil
}

// spool gives the one that the next message goes to.
func (t *tx) spool(ctx context.Context, more int64) (*spool, error) {
	n := len(t.spools)
	if n > 0 && t.spools[n-1].size()+more <= t.b.store.rotateSize() {
		return t.spools[n-1], nil
	}
	if n > 0 {
		if err := t.spools[n-1].finish(); err != nil {
			return nil, err
		}
	}
	if _, err := t.b.store.writableMap(ctx); err != nil {
		return nil, err
	}
	dir, mode, err := t.b.store.place()
	if err == nil && n == 0 {
		err = t.b.store.sweep()
	}
	if err != nil {
		return nil, err
	}
	sp := newSpool(dir, mode, t.now)
	t.spools = append(t.spools, sp)
	return sp, nil
}

// place gives storage/ and the mode of new files in it.
func (s *Store) place() (*disk.Dir, fs.FileMode, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.files.StatSelf()
	return s.files, st.Mode.Perm() & 0o666, err
}

// sweep removes, once, the files of runs that died.
func (s *Store) sweep() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.swept {
		return nil
	}
	err := tree.SweepTemps(s.files)
	s.swept = err == nil
	return err
}

func (t *tx) empty() bool { return len(t.saved) == 0 && t.None() }

// commit does three things, each with a lock of its own and each whole: the new messages and copies get into the map;
// everything gets into the folder's index; the map is told of references that are gone. Who dies in between leaves
// messages that nobody refers to: that costs space and nothing else.
func (t *tx) commit(ctx context.Context) (done formats.Committed, err error) {
	if t.empty() {
		done.HighestModSeq = t.b.idx.Snapshot().HighestModSeq()
		return done, nil
	}
	slices.SortStableFunc(t.saved, func(a, b saved) int { return cmp.Compare(a.UID, b.UID) })
	gone := map[formats.UID]int{}
	if err := t.keep(ctx); err != nil {
		return done, t.b.fail(0, nil, "commit", err)
	}
	err = t.b.idx.Update(ctx, func(ix *index.Tx) error {
		if err := t.list(ix, &done.UIDs, gone); err != nil {
			return err
		}
		t.Write(ix, len(t.saved) > 0)
		t.expunge(ix, gone)
		return nil
	})
	if err != nil {
		gone = map[formats.UID]int{}
		for _, s := range t.saved {
			gone[s.mapUID]++
		}
		t.b.store.release(context.WithoutCancel(ctx), gone) // the error that matters is the first
		return formats.Committed{}, t.b.fail(0, nil, "commit", err)
	}
	done.Recent = t.Claimed
	done.Modified, done.HighestModSeq = t.Flags.Modified, t.b.idx.Snapshot().HighestModSeq()
	if err := t.b.store.release(context.WithoutCancel(ctx), gone); err != nil { // that costs space
		done.Leftover = t.b.fail(0, nil, "release messages", err)
	}
	return done, nil
}

// keep gets the new messages into files of the store and into the map, and counts the copies there.
func (t *tx) keep(ctx context.Context) (err error) {
	if len(t.saved) == 0 {
		return nil
	}
	if t.maps, err = t.b.store.writableMap(ctx); err != nil {
		return err
	}
	undo, err := t.join()
	if err != nil {
		return err
	}
	err = t.maps.Update(ctx, func(ix *index.Tx) error {
		if err := t.name(ix); err != nil {
			return err
		}
		t.based = editionOf(ix.State())
		for i := range t.saved {
			if err := t.saved[i].record(ix); err != nil {
				return err
			}
		}
		ix.SyncTail()
		ix.Sync()
		return nil
	})
	for _, sp := range t.spools {
		sp.kept = err == nil && sp.id != 0
	}
	undo(err)
	return err
}

// join writes a small spool to the end of the newest file, which stays locked until undo is called; undo takes it out
// again after an error.
func (t *tx) join() (undo func(error), err error) {
	undo = func(error) {}
	if len(t.spools) != 1 || t.spools[0].size() == t.spools[0].header || t.spools[0].size() > joinSize {
		return undo, nil
	}
	sp := t.spools[0]
	f, p, err := t.b.store.last(t.maps, sp.size())
	if f == nil || err != nil {
		return undo, err
	}
	end := int64(p.offset) + int64(p.size)
	undo = func(err error) {
		if err != nil {
			f.Truncate(end) // best effort: nobody appends to a file with something behind its last message
		}
		f.Close()
	}
	if err := sp.append(f, end); err != nil {
		undo(err)
		return nil, err
	}
	sp.id, sp.at = p.file, end
	if sp.f != nil {
		sp.f.Close()
		sp.dir.Remove(sp.temp)
		sp.f = nil
	}
	return undo, nil
}

// name makes files of the spools that are not part of one.
func (t *tx) name(ix *index.Tx) error {
	highest, named := highestFile(ix.State()), false
	for _, sp := range t.spools {
		if sp.id != 0 || sp.size() == sp.header {
			continue
		}
		err := sp.finish()
		if err == nil {
			err = sp.name(highest + 1)
		}
		if err != nil {
			return err
		}
		highest, named = sp.id, true
	}
	if !named {
		return nil
	}
	ix.SetHeader(extMap, 0, binary.LittleEndian.AppendUint32(nil, highest))
	return t.spools[0].dir.Sync()
}

// record adds a message to the map, or counts one more reference to it.
func (s *saved) record(ix *index.Tx) (err error) {
	if s.spool == nil {
		refs, there := refsOf(ix.State(), s.mapUID)
		if !there {
			return formats.ErrNoMessage // purged meanwhile
		}
		if refs >= maxRefs+1000 {
			return formats.Corrupt("map: message %d has %d references", s.mapUID, refs)
		}
		ix.Increment(extRef, s.mapUID, 1)
		return nil
	}
	if s.mapUID, err = ix.Append(index.Message{}); err != nil {
		return err
	}
	p := place{file: s.spool.id, offset: uint32(s.offset - s.spool.header + s.spool.at), size: uint32(s.size)}
	if s.size > math.MaxUint32 {
		p.size = 0
	}
	ix.SetData(extMap, s.mapUID, p.bytes())
	ix.SetData(extRef, s.mapUID, []byte{1, 0})
	return nil
}

// list puts the new messages into the folder.
func (t *tx) list(ix *index.Tx, uids *formats.Ranges, gone map[formats.UID]int) error {
	if len(t.saved) == 0 {
		return nil
	}
	// Not by the handle that all share: somebody may wait with it for the lock of the map, which Dovecot has while it waits
	// for the lock that is held here (2.3.19.1, mdbox-sync.c: first the map, then the folder).
	now, err := index.Read(t.b.store.maps, index.MapPrefix)
	if err != nil {
		return err
	}
	if editionOf(now) != t.based {
		return formats.Corrupt("map: it was built anew while messages were added")
	}
	t.introduce(ix)
	var have byte
	var last formats.UID
	for i := range t.saved {
		s := &t.saved[i]
		uid, kept, err := t.UID(ix, s.UID)
		if err != nil {
			return err
		}
		uids.Add(uid)
		if !kept {
			gone[s.mapUID]++
			continue
		}
		if err := t.listOne(ix, s, uid); err != nil {
			return err
		}
		if s.pop3 != 0 {
			have, last = have|s.pop3, uid
		}
	}
	tree.AnnouncePOP3(ix, extHeader, have, last)
	return nil
}

func (t *tx) listOne(ix *index.Tx, s *saved, uid formats.UID) error {
	if err := t.List(ix, uid, &s.Message); err != nil {
		return err
	}
	when := t.now.Unix()
	if !s.SaveDate.IsZero() {
		when = s.SaveDate.Unix()
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(s.mapUID))
	ix.SetData(extRecord, uid, binary.LittleEndian.AppendUint32(b, uint32(min(max(when, 0), math.MaxUint32))))
	if !s.guid.IsZero() {
		ix.SetData(extGUID, uid, s.guid[:])
	}
	return nil
}

var folderExtensions = []index.Extension{{Name: extRecord, Size: 8, Align: 4}, {Name: extGUID, Size: 16, Align: 1}}

// introduce adds what the index does not have yet: Dovecot has the extensions from the first message on.
func (t *tx) introduce(ix *index.Tx) {
	st := ix.State()
	for _, e := range folderExtensions {
		if have := st.Ext(e.Name); have == nil || have.Size < e.Size {
			ix.Introduce(e)
		}
	}
	if h := tree.Header(st, extHeader); h != nil && binary.LittleEndian.Uint32(h) != uint32(t.based.validity) {
		ix.SetHeader(extHeader, 0, binary.LittleEndian.AppendUint32(nil, uint32(t.based.validity)))
	}
}

// expunge takes records away and notes what they referred to.
func (t *tx) expunge(ix *index.Tx, gone map[formats.UID]int) {
	st := ix.State()
	t.WriteExpunges(ix, func(i int) formats.GUID { return guidOf(st, i) }, func(i int) {
		if uid, _, err := record(st, i); err == nil && uid != 0 {
			gone[uid]++
		}
	})
}

// guidOf is zero where the index does not know it.
func guidOf(st *index.State, i int) (g formats.GUID) {
	if e := st.Ext(extGUID); e != nil && e.Size >= 16 {
		copy(g[:], st.Data(i, e))
	}
	return g
}

// close gives the files back.
func (t *tx) close() {
	for _, sp := range t.spools {
		sp.close()
	}
}

var (
	_ formats.StreamTx     = (*tx)(nil)
	_ formats.Copier       = (*tx)(nil)
	_ formats.ModSeqKeeper = (*tx)(nil)
	_ formats.Streamer     = (*Mailbox)(nil)
)

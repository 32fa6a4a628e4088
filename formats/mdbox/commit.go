package mdbox

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"maps"
	"math"
	"slices"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/index"
)

// commit writes everything into the folder's index. With messages that are added or go, it does so under the lock of the
// map, which knows new messages and copies before and is told of references that are gone behind: so nobody who builds
// the map anew sees a message that is in the one and not in the other. Who dies in between leaves messages that nobody
// refers to: that costs space and nothing else.
func (t *tx) commit(ctx context.Context) (done formats.Committed, err error) {
	if t.b.store.mends() && !t.empty() { // an index that is damaged is made anew
		if _, err := t.b.refresh(); err != nil {
			return done, err
		}
	}
	switch {
	case t.empty():
	case len(t.saved) == 0 && len(t.Expunged) == 0:
		err = t.b.idx.Update(ctx, func(ix *index.Tx) error { t.Write(ix, false); return nil })
	default:
		err = t.commitMessages(ctx, &done)
	}
	if err != nil {
		return formats.Committed{}, t.b.fail(0, nil, "commit", err)
	}
	done.Recent, done.Modified = t.Claimed, t.Flags.Modified
	done.HighestModSeq = t.b.idx.Snapshot().HighestModSeq()
	return done, nil
}

func (t *tx) commitMessages(ctx context.Context, done *formats.Committed) error {
	slices.SortStableFunc(t.saved, func(a, b saved) int { return cmp.Compare(a.UID, b.UID) })
	if _, err := t.b.store.mapState(true); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	w, err := t.b.store.writableMap(ctx)
	if err != nil {
		return err
	}
	undo, err := t.b.store.join(t.spools, t.now)
	if err != nil {
		return err
	}
	held := false
	err = w.Hold(ctx, func(h *index.Held) error {
		held = true
		err := t.keep(h)
		undo(err)
		if err != nil {
			return err
		}
		gone, err := t.list(ctx, h, done)
		if err != nil {
			release(h, t.references()) // the error that matters is the first
			return err
		}
		if err := release(h, gone); err != nil { // that costs space
			done.Leftover = t.b.fail(0, nil, "release messages", err)
		}
		return nil
	})
	if !held {
		undo(err)
	}
	return err
}

// keep gets the new messages into files of the store and into the map, and counts the copies there.
func (t *tx) keep(h *index.Held) error {
	if len(t.saved) == 0 {
		return nil
	}
	err := h.Update(func(ix *index.Tx) error {
		if ix.Gone() && t.b.store.mends() {
			return errCut
		}
		if err := t.name(ix); err != nil {
			return err
		}
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
	return err
}

// name makes files of the spools that are not part of one.
func (t *tx) name(ix *index.Tx) error {
	highest, err := nameSpools(t.spools, highestFile(ix.State()))
	if highest != 0 {
		ix.SetHeader(extMap, 0, binary.LittleEndian.AppendUint32(nil, highest))
	}
	return err
}

// nameSpools gives files their names, of which highest is the last; 0 if there are none.
func nameSpools(spools []*spool, before uint32) (highest uint32, err error) {
	for _, sp := range spools {
		if sp.id != 0 || sp.size() == sp.header {
			continue
		}
		err := sp.finish()
		if err == nil {
			err = sp.name(max(before, highest) + 1)
		}
		if err == nil {
			err = sp.dir.Sync()
		}
		if err != nil {
			return 0, err
		}
		highest = sp.id
	}
	return highest, nil
}

// record adds a message to the map, or counts one more reference to it.
func (s *saved) record(ix *index.Tx) (err error) {
	if s.spool == nil {
		refs, there := refsOf(ix.State(), s.mapUID)
		if !there || s.edition != editionOf(ix.State()).validity {
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
	ix.SetData(extMap, s.mapUID, s.spool.place(s.offset, s.size).bytes())
	ix.SetData(extRef, s.mapUID, []byte{1, 0})
	return nil
}

// references are those that keep has counted.
func (t *tx) references() map[formats.UID]int {
	refs := map[formats.UID]int{}
	for _, s := range t.saved {
		refs[s.mapUID]++
	}
	return refs
}

// release takes references away, counted by map UID. Messages without any stay in their files until somebody purges.
func release(h *index.Held, refs map[formats.UID]int) error {
	if len(refs) == 0 {
		return nil
	}
	return h.Update(func(ix *index.Tx) error {
		for _, uid := range slices.Sorted(maps.Keys(refs)) {
			if have, there := refsOf(ix.State(), uid); there && have > 0 {
				ix.Increment(extRef, uid, -int32(min(have, refs[uid])))
			}
		}
		ix.SyncTail()
		return nil
	})
}

// list writes the transaction into the folder. gone are the references that nobody needs any more, counted by map UID.
func (t *tx) list(ctx context.Context, h *index.Held, done *formats.Committed) (gone map[formats.UID]int, err error) {
	gone = map[formats.UID]int{}
	was := t.b.idx.Snapshot()
	err = t.b.idx.Update(ctx, func(ix *index.Tx) error {
		if t.b.store.mends() && (ix.Gone() || was.After(ix.State())) {
			return errCut
		}
		if len(t.saved) > 0 {
			if err := t.fits(ix.State(), h.State()); err != nil {
				return err
			}
			introduce(ix, h.State().UIDValidity)
			if err := t.listAll(ix, &done.UIDs, gone); err != nil {
				return err
			}
		}
		t.Write(ix, len(t.saved) > 0)
		t.expunge(ix, gone)
		return nil
	})
	return gone, err
}

// fits refuses a folder whose messages are in another map.
func (t *tx) fits(st, m *index.State) error {
	if st.Len() == 0 {
		return nil
	}
	return sameMap(st, m)
}

// listAll puts the new messages into the folder.
func (t *tx) listAll(ix *index.Tx, uids *formats.Ranges, gone map[formats.UID]int) error {
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
func introduce(ix *index.Tx, validity formats.UIDValidity) {
	st := ix.State()
	for _, e := range folderExtensions {
		if have := st.Ext(e.Name); have == nil || have.Size < e.Size {
			ix.Introduce(e)
		}
	}
	if h := tree.Header(st, extHeader); h != nil && binary.LittleEndian.Uint32(h) != uint32(validity) {
		ix.SetHeader(extHeader, 0, binary.LittleEndian.AppendUint32(nil, uint32(validity)))
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

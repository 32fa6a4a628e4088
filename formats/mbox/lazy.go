package mbox

import (
	"encoding/binary"

	"dovetail/formats"
	"dovetail/formats/index"
)

// Extension "mbox" of Dovecot's index (2.3.19.1, mbox-storage.h: struct mbox_index_header): how the file looked when it
// was last read.
const (
	syncedExt   = "mbox"
	syncedSize  = 0  // u64
	syncedTime  = 8  // u32
	syncedLen   = 12 // of both
	mailboxGUID = 16 // 16 bytes

	syncedHeader = 32 // length of all of it
)

// movePlaces gives messages their new places. A Dovecot that was just waiting for the lock goes by the header that it has read
// before (2.3.19.1, mbox-sync.c: mbox_sync_int) and complains of messages that are not where they were.
func (c *committer) movePlaces(tx *index.Tx, state *index.State) {
	e := state.Ext(syncedExt)
	if e.Size != 8 {
		return
	}
	for _, p := range c.places {
		at, ok := state.Find(p.uid)
		if ok && binary.LittleEndian.Uint64(state.Data(at, e)) != uint64(p.at) {
			tx.SetData(syncedExt, p.uid, binary.LittleEndian.AppendUint64(nil, uint64(p.at)))
		}
	}
}

// settleFlags gives messages whose flags we wrote, or somebody else who told no index, the same flags in the index. It takes the
// mark of unwritten flags from those that we wrote, or the old ones would win.
func (c *committer) settleFlags(tx *index.Tx, state *index.State) {
	for i := range state.Len() {
		uid := state.UID(i)
		at, ok := c.now.find(uid)
		if !ok || c.gone.Contains(uid) {
			continue
		}
		e := &c.now.entries[at]
		keywords := c.now.keySets[e.keys]
		dirty := state.Flags(i)&index.Dirty != 0
		if !dirty && state.Flags(i)&formats.SystemFlags == e.flags&formats.SystemFlags && formats.SameKeywords(state.KeywordsOf(i), keywords) {
			continue
		}
		p := piece{entry: e, uid: uid, flags: e.flags, keywords: keywords, same: true}
		if c.change(&p); p.same && dirty {
			continue
		}
		one := formats.RangesOf(uid)
		tx.UpdateFlags(one, p.flags&formats.SystemFlags, formats.SystemFlags&^p.flags|index.Dirty)
		tx.ClearKeywords(one)
		for _, k := range p.keywords {
			tx.AddKeyword(k, one)
		}
	}
}

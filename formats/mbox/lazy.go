package mbox

import (
	"context"
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
)

// tellIndex lets a Dovecot that has the mailbox open know that messages moved: when the index says that the file was
// read with its present size but at another time, Dovecot reads all of it again (mbox-sync.c: mbox_sync_do) in place of
// looking for messages where they were, and complaining. It also takes the mark of unwritten flags from messages whose
// flags are now those in the file, or the old ones would win.
//
// Nothing depends on its success: the index is Dovecot's and can be made anew from the file.
func (c *committer) tellIndex(ctx context.Context) {
	dir := c.box.store.indexDir(c.box)
	if dir == nil {
		return
	}
	defer dir.Close()
	x, err := index.Open(dir, index.Prefix)
	if err != nil {
		return
	}
	defer x.Close()
	st, err := c.box.dir.Stat(c.box.file)
	if err != nil {
		return
	}
	x.Update(ctx, func(tx *index.Tx) error {
		state := tx.State()
		if e := state.Ext(syncedExt); e == nil || len(e.Header) < syncedLen {
			return nil
		}
		var b [syncedLen]byte
		binary.LittleEndian.PutUint64(b[syncedSize:], uint64(st.Size))
		binary.LittleEndian.PutUint32(b[syncedTime:], uint32(st.MTime.Sec)-1)
		tx.SetHeader(syncedExt, 0, b[:])
		c.settleFlags(tx, state)
		return nil
	})
}

// settleFlags gives messages whose flags we wrote the same flags in the index.
func (c *committer) settleFlags(tx *index.Tx, state *index.State) {
	for i := range state.Len() {
		uid := state.UID(i)
		at, ok := c.now.find(uid)
		if !ok || state.Flags(i)&index.Dirty == 0 {
			continue
		}
		e := &c.now.entries[at]
		p := piece{entry: e, uid: uid, flags: e.flags, keywords: c.now.keySets[e.keys], same: true}
		if c.change(&p); p.same {
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

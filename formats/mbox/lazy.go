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

	syncedHeader = 32 // length of all of it
)

// tellIndex lets a Dovecot that has the mailbox open know that messages moved: when the index says that the file was
// read with its present size but at another time, Dovecot reads all of it again (mbox-sync.c: mbox_sync_do) in place of
// looking for messages where they were, and complaining. It also takes the mark of unwritten flags from messages whose
// flags are now those in the file, or the old ones would win.
//
// Nothing depends on its success: the index is Dovecot's and can be made anew from the file.
func (c *committer) tellIndex(ctx context.Context) { c.tell(ctx, func([]byte) bool { return true }) }

// tellAppended does so when messages were only added, unless Dovecot has read what was there before: if somebody else, or
// we, have changed that since, it would read what is behind its old end and believe the rest to be where it was.
func (c *committer) tellAppended(ctx context.Context) {
	c.tell(ctx, func(synced []byte) bool {
		size, mtime := binary.LittleEndian.Uint64(synced[syncedSize:]), binary.LittleEndian.Uint32(synced[syncedTime:])
		return size != uint64(c.l.info.Size) || mtime != uint32(c.l.info.MTime.Sec)
	})
}

// tell tells it if the file as Dovecot has read it gives reason to.
func (c *committer) tell(ctx context.Context, reason func(synced []byte) bool) {
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
		if e := state.Ext(syncedExt); e == nil || len(e.Header) < syncedLen || !reason(e.Header) {
			return nil
		}
		var b [syncedLen]byte
		binary.LittleEndian.PutUint64(b[syncedSize:], uint64(st.Size))
		binary.LittleEndian.PutUint32(b[syncedTime:], uint32(st.MTime.Sec)-1)
		tx.SetHeader(syncedExt, 0, b[:])
		c.movePlaces(tx, state)
		c.settleFlags(tx, state)
		return nil
	})
}

// movePlaces gives messages their new places. Dovecot reads all of the file again because of what the header says, but one
// that was just waiting for the lock goes by the header that it has read before (2.3.19.1, mbox-sync.c: mbox_sync_int) and
// complains of messages that are not where they were.
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

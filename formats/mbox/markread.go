package mbox

import (
	"bytes"
	"encoding/binary"

	"dovetail/formats/index"
)

// markRead notes in the index that it holds what the file does, so that Dovecot need not read the file again. That must not
// be left to it: a Dovecot that finds a file changed when it is about to note new flags of its own reads the old ones back
// from the file, and what its client wanted is lost (2.3.19.1, index-sync-changes.c: index_sync_changes_read). Where a message
// is whose place is not known it has to read the file all the same.
func (c *committer) markRead(itx *index.Tx) error {
	if !c.placesKnown(itx) {
		return c.notRead(itx)
	}
	state := itx.State()
	e := state.Ext(syncedExt)
	if e == nil || e.Size != 8 {
		return c.notRead(itx)
	}
	if !c.unmoved {
		c.movePlaces(itx, state)
	} else {
		for i := range c.now.entries {
			one := &c.now.entries[i]
			place := uint64(max(one.from-1, 0))
			if at, ok := state.Find(one.uid); ok && binary.LittleEndian.Uint64(state.Data(at, e)) != place {
				setPlace(itx, one.uid, int64(place))
			}
		}
	}
	st, err := c.box.dir.Stat(c.box.file)
	if err != nil {
		return err
	}
	var b [mailboxGUID]byte // of which the last part tells Dovecot that it has skipped messages
	binary.LittleEndian.PutUint64(b[syncedSize:], uint64(st.Size))
	binary.LittleEndian.PutUint32(b[syncedTime:], uint32(st.MTime.Sec))
	itx.SetHeader(syncedExt, 0, b[:])
	return nil
}

// placesKnown tells whether each message of the mailbox is known to be behind a single LF at a known place.
func (c *committer) placesKnown(itx *index.Tx) bool {
	if len(c.records) > 0 && !c.placed && c.places == nil {
		return false
	}
	if c.places == nil && !c.unmoved && len(c.now.entries) > 0 {
		return false
	}
	if c.places == nil {
		for i := 1; i < len(c.now.entries); i++ {
			if c.now.entries[i].from != c.now.entries[i-1].end+1 {
				return false
			}
		}
		for _, r := range c.records {
			if !c.begins(c.at + r.from) {
				return false
			}
		}
	}
	state := itx.State()
	for i := range c.now.entries { // one that the index believes to be expunged only Dovecot can bring back
		uid := c.now.entries[i].uid
		if _, known := state.Find(uid); !known && uid < state.NextUID && !c.gone.Contains(uid) {
			return false
		}
	}
	for _, p := range c.places {
		if p.at > 0 && !c.begins(p.at+1) {
			return false
		}
	}
	return true
}

// begins tells whether a message begins at a place of the file, behind a single LF.
func (c *committer) begins(at int64) bool {
	if at == 0 {
		return true
	}
	var b [7]byte
	n, err := c.l.f.ReadAt(b[:], max(at-2, 0))
	return err == nil && n == len(b) && at >= 2 && b[0] != '\r' && bytes.Equal(b[1:], []byte("\nFrom "))
}

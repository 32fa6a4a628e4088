package sdbox

import (
	"dovetail/formats"
)

// What goes on when the disk is full or does not do what it is told.

// bytesPerExpunge bounds what an expunge adds to the log for each message; a file system gives room in blocks.
const (
	bytesPerExpunge = 64
	block           = 64 << 10
)

// makeRoom is for an expunge on a full disk, where the log cannot grow by the few bytes that tell of it: some of the
// messages that are to go lose their files first. If the process dies before the log tells of them, they are messages
// without a file, that somebody wanted gone.
func (t *tx) makeRoom() bool {
	if len(t.saved) > 0 || len(t.Expunged) == 0 {
		return false
	}
	need := int64(block) + bytesPerExpunge*int64(t.Expunged.Len())
	st := t.b.idx.Snapshot()
	for _, r := range t.Expunged {
		i, _ := st.Find(r.First)
		for ; i < st.Len() && st.UID(i) <= r.Last && need > 0; i++ {
			name := fileName(st.UID(i))
			if file, err := t.b.mail.Stat(name); err == nil && t.b.unlink(formats.RangesOf(st.UID(i))) == nil {
				need -= file.Size
			}
		}
	}
	return need < int64(block)+bytesPerExpunge*int64(t.Expunged.Len())
}

// takeBack removes the files of messages that got their names, but no record.
func (t *tx) takeBack() {
	if len(t.named) == 0 {
		return
	}
	if _, err := t.b.idx.Refresh(); err != nil {
		return // nobody knows whether the records are there
	}
	st := t.b.idx.Snapshot()
	for _, n := range t.named {
		if _, there := st.Find(n.uid); !there && n.uid >= st.NextUID {
			t.unname(n)
		}
	}
}

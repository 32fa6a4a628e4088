package mbox

import (
	"crypto/md5"
	"time"

	"dovetail/formats/index"
)

// digestExt is the extension of Dovecot's index with the MD5 sum of each message's header (2.3.19.1, mbox-storage.c), which
// is what Dovecot tells messages apart by where UIDs do not, and their GUID. It keeps the sums only once it has needed one,
// and then reads the whole file for them: even in the midst of a COPY within one mailbox, when a message lacks its sum that is
// not the first to be copied (mbox-mail.c: mbox_mail_get_special). It then takes the messages it has just written for
// foreign ones, and the index says everything of them twice ("Append with UID 6, but next_uid = 8"). So no message that we
// put into an index lacks its sum, and those that Dovecot has left without get theirs.
const digestExt = "header-md5"

// indexDigests gives the sums of the messages that are in the index, or are to be, and have none.
func (c *committer) indexDigests(itx *index.Tx) error {
	state := itx.State()
	ext := state.Ext(digestExt)
	if ext != nil && ext.Size != md5.Size {
		return nil
	}
	if ext == nil {
		itx.Introduce(index.Extension{Name: digestExt, Size: md5.Size, Align: 1})
	}
	var none [md5.Size]byte
	for i := range c.now.entries {
		e := &c.now.entries[i]
		if c.gone.Contains(e.uid) {
			continue
		}
		at, known := state.Find(e.uid)
		if !known && e.uid < state.NextUID || known && ext != nil && [md5.Size]byte(state.Data(at, ext)) != none {
			continue
		}
		itx.SetData(digestExt, e.uid, e.digest[:])
	}
	return c.recordDigests(itx)
}

// recordDigests gives those of the messages of the spool.
func (c *committer) recordDigests(itx *index.Tx) error {
	if len(c.records) == 0 {
		return nil
	}
	sc := newScanner(c.spool.f, c.spool.pos(), Auto, time.UTC)
	defer sc.release()
	for _, r := range c.records {
		if r.asked < itx.State().NextUID || c.gone.Contains(r.asked) {
			continue
		}
		_, n, _ := sc.fromLine(r.from)
		h := sc.headers.read(r.from + int64(n))
		if sc.w.err != nil {
			return sc.w.err
		}
		itx.SetData(digestExt, r.asked, h.digest[:])
	}
	return nil
}

package tree

import (
	"dovetail/formats"
	"dovetail/formats/index"
)

// Changes are what a transaction does in the index of its folder beside adding messages. They are collected, and written
// at commit; the methods that collect are those of formats.Tx and its optional interfaces. Not for several goroutines.
type Changes struct {
	Flags    FlagSteps
	Expunged formats.Ranges
	Claimed  formats.Ranges // UIDs of messages that ClaimRecent has claimed, once Write was called

	uidNext, firstRecent formats.UID
	highest              formats.ModSeq
	keepModSeqs          bool
	claim                bool
}

// SetFlags is applied at commit.
func (c *Changes) SetFlags(uids formats.Ranges, change formats.FlagChange) error {
	c.Flags.Add(uids, change)
	return nil
}

// Expunge is applied at commit.
func (c *Changes) Expunge(uids formats.Ranges) error {
	for _, r := range uids {
		c.Expunged.AddRange(r.First, r.Last)
	}
	return nil
}

// Raise is applied at commit.
func (c *Changes) Raise(uidNext formats.UID, highest formats.ModSeq, firstRecent formats.UID) error {
	c.uidNext, c.highest = max(c.uidNext, uidNext), max(c.highest, highest)
	if firstRecent != 0 {
		c.firstRecent = firstRecent
	}
	return nil
}

// KeepModSeqs is applied at commit.
func (c *Changes) KeepModSeqs() { c.keepModSeqs = true }

// ClaimRecent is applied at commit.
func (c *Changes) ClaimRecent() { c.claim = true }

// None is true as long as there is nothing to write.
func (c *Changes) None() bool { return c.onlyClaim() && c.firstRecent == 0 && !c.claim }

// onlyClaim: if such a claim is lost in a crash, some messages are \Recent once more.
func (c *Changes) onlyClaim() bool {
	return c.Flags.None() && len(c.Expunged) == 0 && c.uidNext == 0 && c.highest == 0 && !c.keepModSeqs
}

// Write writes all but the expunges, for which each format does more. adds tells that the transaction adds messages. The
// transaction becomes durable, flags as well, unless it does nothing but claim.
func (c *Changes) Write(ix *index.Tx, adds bool) {
	if c.uidNext != 0 {
		ix.RaiseNextUID(c.uidNext)
	}
	if c.highest != 0 {
		ix.RaiseModSeq(c.highest)
	}
	if c.firstRecent != 0 {
		ix.SetFirstRecent(c.firstRecent)
	}
	if c.keepModSeqs {
		ix.KeepModSeqs()
	}
	if next := ix.NextUID(); c.claim && ix.State().FirstRecent < next {
		c.Claimed = formats.Ranges{{First: ix.State().FirstRecent, Last: next - 1}}
		ix.SetFirstRecent(next)
	}
	if adds || !c.claim || !c.onlyClaim() {
		ix.Sync()
	}
	c.Flags.Write(ix)
}

// WriteExpunges expunges the records; guid gives the message GUID of the i-th message, zero if it is not known, and note
// is told of each.
func (c *Changes) WriteExpunges(ix *index.Tx, guid func(i int) formats.GUID, note func(i int)) {
	st := ix.State()
	for _, r := range c.Expunged {
		i, _ := st.Find(r.First)
		for ; i < st.Len() && st.UID(i) <= r.Last; i++ {
			ix.Expunge(st.UID(i), guid(i))
			note(i)
		}
	}
}

// UID gives a message that is added its UID: want, or the next one if that is 0. kept is false when it is expunged in the
// same transaction, so that it only uses up its UID.
func (c *Changes) UID(ix *index.Tx, want formats.UID) (uid formats.UID, kept bool, err error) {
	if uid = want; uid == 0 {
		uid = ix.NextUID()
	}
	if !c.Expunged.Contains(uid) {
		return uid, true, nil
	}
	if uid < ix.NextUID() {
		return uid, false, formats.ErrUIDTaken
	}
	ix.RaiseNextUID(uid + 1)
	return uid, false, nil
}

// List adds a message to the index with the flags that it has after the transaction.
func (c *Changes) List(ix *index.Tx, uid formats.UID, m *formats.Message) error {
	c.Flags.Fold(uid, m)
	_, err := ix.Append(index.Message{UID: uid, Flags: m.Flags & formats.SystemFlags, Keywords: m.Keywords, ModSeq: m.ModSeq})
	return err
}

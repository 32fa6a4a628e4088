package index

import (
	"encoding/binary"

	"dovetail/formats"
	"dovetail/formats/index/translog"
)

// chosenModSeqs are the modseqs that a transaction wants to give in place of the counter's.
//
// A log cannot do that exactly: its counter rises with each record that changes something, by the records' mere being
// there, and a ModSeqUpdate only raises. A snapshot can: it has each message's modseq and the counter's value at a place
// in the log. So when the log's own counting comes out higher than what was chosen, the snapshot is rewritten right
// after the transaction, still under the lock. Should the process die between the two, modseqs are higher than chosen,
// which costs clients a needless look and loses nothing.
//
// The counter itself goes back to the highest chosen value if every change of the transaction had one; never below the
// value from before. A client that looks into the mailbox in the moment between log and snapshot may see the higher
// value: choosing modseqs is for carrying mailboxes over.
type chosenModSeqs struct {
	uids    []formats.UID // of appended messages and of those given to SetModSeq
	modseqs []formats.ModSeq
	changes []formats.Range // changed messages that need one
	raised  formats.ModSeq
	open    bool // something changed without a choice
	keep    bool // modseqs are to be kept from now on
}

func (c *chosenModSeqs) set(uid formats.UID, m formats.ModSeq) {
	c.uids, c.modseqs = append(c.uids, uid), append(c.modseqs, m)
}

func (c *chosenModSeqs) appended(uid formats.UID, m formats.ModSeq) {
	if m == 0 {
		c.open = true
		return
	}
	c.set(uid, m)
}

func (c *chosenModSeqs) changed(r formats.Range) { c.changes = append(c.changes, r) }

// prepare puts the choices in the transaction, as far as a log can hold them.
func (c *chosenModSeqs) prepare(tx *Tx) {
	if (len(c.uids) > 0 || c.keep) && !tx.state.KeepsModSeqs() || c.raised > 0 && tx.state.Ext("modseq") == nil {
		header := binary.LittleEndian.AppendUint64(nil, uint64(tx.state.HighestModSeq()))
		tx.Introduce(Extension{Name: "modseq", Header: append(header, make([]byte, 8)...), Size: 8, Align: 8})
	}
	for i, uid := range c.uids {
		tx.modseqs = translog.AppendModSeq(tx.modseqs, uint32(uid), uint64(c.modseqs[i]))
	}
	if c.raised > 0 {
		tx.modseqs = translog.AppendModSeq(tx.modseqs, 0, uint64(c.raised))
	}
}

// settle puts the choices that the log could not hold into s, the state after the transaction; before is the counter
// from before. It tells whether a snapshot is needed to keep them.
func (c *chosenModSeqs) settle(s *State, before uint64) bool {
	e := s.Ext("modseq")
	if len(c.uids) == 0 || e == nil || e.Size != 8 {
		return false
	}
	exact := true
	want := max(before, uint64(c.raised))
	for i, uid := range c.uids {
		at, ok := s.Find(uid)
		if !ok {
			continue
		}
		want = max(want, uint64(c.modseqs[i]))
		b := s.Data(at, e)
		if binary.LittleEndian.Uint64(b) != uint64(c.modseqs[i]) {
			exact = false
			binary.LittleEndian.PutUint64(b, uint64(c.modseqs[i]))
		}
	}
	if !c.open && s.modseq != want && c.covered(s) {
		exact = false
		s.modseq = want
	}
	return !exact
}

// covered tells whether every changed message has a choice.
func (c *chosenModSeqs) covered(s *State) bool {
	var chosen formats.Ranges
	for _, uid := range c.uids {
		chosen.Add(uid)
	}
	for _, r := range c.changes {
		for i, _ := s.Find(r.First); i < s.Len() && s.UID(i) <= r.Last; i++ {
			if !chosen.Contains(s.UID(i)) {
				return false
			}
		}
	}
	return true
}

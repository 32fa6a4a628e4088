package index

import (
	"encoding/binary"
	"slices"
	"time"

	"dovetail/formats"
	"dovetail/formats/index/translog"
)

// records encodes the transaction; nil when there is nothing to write.
func (tx *Tx) records() []byte {
	var b translog.Builder
	add := func(t translog.Type, payload []byte) { b.Add(t|translog.External, payload) }
	tx.chosen.prepare(tx)
	for _, c := range tx.intros {
		add(translog.ExtIntro, translog.AppendIntro(nil, c.Intro))
		add(translog.ExtReset, c.reset)
		add(translog.ExtHdrUpdate, c.patches)
	}
	if tx.state.UIDValidity == 0 && tx.validity == 0 && tx.NextUID() > 1 {
		tx.validity = formats.UIDValidity(time.Now().Unix()) // nobody initialised the mailbox so far
	}
	if tx.validity != 0 && tx.validity != tx.state.UIDValidity {
		addEach(add, appendHeader(nil, offUIDValidity, uint32(tx.validity)))
	}
	addEach(add, tx.pre)
	add(translog.Append, tx.appends)
	for _, run := range tx.flags {
		add(translog.FlagUpdate, run.payload)
	}
	for _, run := range tx.data {
		add(translog.ExtIntro, translog.AppendIntro(nil, tx.current(run.ext)))
		add(run.typ, run.payload)
	}
	for _, name := range tx.names {
		add(translog.KeywordUpdate, appendRanges(translog.AppendKeyword(nil, name, false), *tx.appended[asciiLower(name)]))
	}
	for _, k := range tx.keywords {
		var head []byte
		if k.typ == translog.KeywordUpdate {
			head = translog.AppendKeyword(nil, k.name, k.remove)
		}
		add(k.typ, appendRanges(head, k.uids))
	}
	add(translog.ModSeqUpdate, tx.modseqs)
	add(translog.ExpungeGUID, tx.expunges)
	addEach(add, tx.post())
	if tx.delete {
		add(translog.IndexDeleted, make([]byte, 4))
	}
	if b.Empty() {
		return nil
	}
	return b.Bytes()
}

// current is the introduction that goes before data of an extension: its sizes after the first part of the transaction.
func (tx *Tx) current(ext string) translog.Intro {
	i := slices.IndexFunc(tx.intros, func(c *introChange) bool { return c.Name == ext })
	if i < 0 {
		return tx.sizes(ext)
	}
	in := tx.intros[i].Intro
	if reset := tx.intros[i].reset; reset != nil {
		in.ResetID = binary.LittleEndian.Uint32(reset)
	}
	return in
}

// post gives the header updates after the appends.
func (tx *Tx) post() []byte {
	var b []byte
	next := tx.nextUID
	if tx.raised > next {
		next = tx.raised
		b = appendHeader(b, offNextUID, uint32(next))
	}
	if recent := min(tx.firstRecent, next); recent != 0 && recent != tx.state.FirstRecent {
		b = appendHeader(b, offFirstRecent, uint32(recent))
	}
	return b
}

// addEach writes header updates, all of them numbers of 4 bytes, as records of their own, like Dovecot does.
func addEach(add func(translog.Type, []byte), patches []byte) {
	for chunk := range slices.Chunk(patches, 8) {
		add(translog.HeaderUpdate, chunk)
	}
}

func appendRanges(b []byte, uids formats.Ranges) []byte {
	for _, r := range uids {
		b = binary.LittleEndian.AppendUint32(b, uint32(r.First))
		b = binary.LittleEndian.AppendUint32(b, uint32(r.Last))
	}
	return b
}

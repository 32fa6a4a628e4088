package index

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index/translog"
)

// Tx collects the changes of one transaction. They are applied in this order, whatever the order of calls: extensions,
// header, appends, flags, data of extensions, keywords, modseqs, expunges. UIDs without a message are skipped, and so
// are changes that change nothing.
type Tx struct {
	log     *disk.File
	state   *State
	nextUID formats.UID
	gone    bool

	intros   []*introChange
	validity formats.UIDValidity
	pre      []byte // header updates before the appends
	appends  []byte
	appended map[string]*formats.Ranges // by keyword
	names    []string                   // keys of appended in order of appearance
	flags    []flagRun
	data     []*dataRun
	keywords []keywordRun
	modseqs  []byte
	expunges []byte

	raised      formats.UID
	firstRecent formats.UID
	delete      bool
	syncTail    bool
	durable     bool
	lazy        bool

	chosen chosenModSeqs
}

// introChange is an ExtIntro and what follows it.
type introChange struct {
	translog.Intro
	reset   []byte
	patches []byte
}

// flagRun becomes one FlagUpdate: its ranges ascend.
type flagRun struct {
	last    uint32
	payload []byte
}

// dataRun becomes one ExtIntro and one ExtRecUpdate or ExtAtomicInc.
type dataRun struct {
	ext     string
	typ     translog.Type
	payload []byte
}

// keywordRun becomes one KeywordUpdate or KeywordReset.
type keywordRun struct {
	name   string
	typ    translog.Type
	remove bool
	uids   formats.Ranges
}

// Gone tells that the log has no name any more, so that nobody else will see the transaction: see Index.Gone.
func (tx *Tx) Gone() bool { return tx.gone }

// State is the mailbox before the transaction, complete up to the end of the locked log. It must not be used after
// Update returned.
func (tx *Tx) State() *State { return tx.state }

// Introduce adds an extension, or makes the one of that name larger. Its Header, if not nil, is written whole.
func (tx *Tx) Introduce(e Extension) {
	c := tx.intro(e.Name)
	c.HeaderSize = max(c.HeaderSize, uint32(len(e.Header)))
	c.Size, c.Align = max(c.Size, e.Size), max(c.Align, e.Align)
	if tx.state.Ext(e.Name) == nil {
		c.ResetID = e.ResetID
	}
	if len(e.Header) > 0 {
		c.patches = translog.AppendPatch(c.patches, 0, e.Header)
	}
}

// intro gives the change of an extension, begun with the sizes that it has.
func (tx *Tx) intro(name string) *introChange {
	i := slices.IndexFunc(tx.intros, func(c *introChange) bool { return c.Name == name })
	if i >= 0 {
		return tx.intros[i]
	}
	c := &introChange{Intro: tx.sizes(name)}
	tx.intros = append(tx.intros, c)
	return c
}

func (tx *Tx) sizes(name string) translog.Intro {
	in := translog.Intro{ID: translog.NoExtID, NoShrink: true, Name: name}
	if e := tx.state.Ext(name); e != nil {
		in.ResetID, in.HeaderSize, in.Size, in.Align = e.ResetID, uint32(len(e.Header)), e.Size, e.Align
	}
	return in
}

// SetHeader writes data at offset of an extension's header. Both must lie in the first 64 KiB.
func (tx *Tx) SetHeader(ext string, offset int, data []byte) {
	c := tx.intro(ext)
	c.patches = translog.AppendPatch(c.patches, uint16(offset), data)
}

// ResetExt changes an extension's reset id and clears its data.
func (tx *Tx) ResetExt(ext string, resetID uint32) {
	tx.intro(ext).reset = binary.LittleEndian.AppendUint64(nil, uint64(resetID))
}

// SetUIDValidity changes the mailbox's UIDVALIDITY.
func (tx *Tx) SetUIDValidity(v formats.UIDValidity) { tx.validity = v }

// SetTempScan notes the unix time at which stale temporary files were looked for.
func (tx *Tx) SetTempScan(unix uint32) { tx.pre = appendHeader(tx.pre, offTempScan, unix) }

func appendHeader(b []byte, offset uint16, v uint32) []byte {
	return translog.AppendPatch(b, offset, binary.LittleEndian.AppendUint32(nil, v))
}

// RaiseNextUID makes NextUID at least uid.
func (tx *Tx) RaiseNextUID(uid formats.UID) { tx.raised = max(tx.raised, uid) }

// SetFirstRecent sets the first UID that is \Recent; values above NextUID mean NextUID.
func (tx *Tx) SetFirstRecent(uid formats.UID) { tx.firstRecent = uid }

// NextUID is the UID that the next Append with UID 0 gets.
func (tx *Tx) NextUID() formats.UID { return max(tx.nextUID, tx.raised) }

// Append adds a message and gives its UID: m.UID, or NextUID when that is 0. ErrUIDTaken if m.UID is too low.
// m.ModSeq 0: the next one.
func (tx *Tx) Append(m Message) (formats.UID, error) {
	if m.UID == 0 {
		m.UID = tx.NextUID()
	}
	if m.UID < tx.nextUID || m.UID == math.MaxUint32 {
		return 0, fmt.Errorf("UID %d, next is %d: %w", m.UID, tx.nextUID, formats.ErrUIDTaken)
	}
	tx.nextUID = m.UID + 1
	tx.appends = append(binary.LittleEndian.AppendUint32(tx.appends, uint32(m.UID)), byte(m.Flags&^formats.Recent), 0, 0, 0)
	for _, name := range m.Keywords {
		key := asciiLower(name)
		uids := tx.appended[key]
		if uids == nil {
			if tx.appended == nil {
				tx.appended = map[string]*formats.Ranges{}
			}
			uids = new(formats.Ranges)
			tx.appended[key] = uids
			tx.names = append(tx.names, name)
		}
		uids.Add(m.UID)
	}
	tx.chosen.appended(m.UID, m.ModSeq)
	return m.UID, nil
}

// UpdateFlags adds and removes flags of messages.
func (tx *Tx) UpdateFlags(uids formats.Ranges, add, remove formats.Flags) {
	add, remove = add&^formats.Recent, remove&^formats.Recent
	changes := func(i int) bool { f := tx.state.Flags(i); return f&^remove|add != f }
	for _, r := range tx.affected(uids, changes) {
		tx.addFlags(uint32(r.First), uint32(r.Last), byte(add), byte(remove))
		if (add|remove)&formats.SystemFlags != 0 {
			tx.chosen.changed(r)
		}
	}
}

func (tx *Tx) addFlags(first, last uint32, add, remove byte) {
	n := len(tx.flags)
	if n == 0 || tx.flags[n-1].last >= first {
		tx.flags = append(tx.flags, flagRun{})
		n++
	}
	run := &tx.flags[n-1]
	run.last = last
	run.payload = binary.LittleEndian.AppendUint32(run.payload, first)
	run.payload = binary.LittleEndian.AppendUint32(run.payload, last)
	run.payload = append(run.payload, add, remove, 0, 0)
}

// affected clips ranges to messages of the state for which changes says true. Runs of neighbours stay one range, whatever
// the gaps between their UIDs.
func (tx *Tx) affected(uids formats.Ranges, changes func(i int) bool) formats.Ranges {
	var out formats.Ranges
	s := tx.state
	for _, r := range uids {
		open := false
		i, _ := s.Find(r.First)
		for ; i < s.Len() && s.UID(i) <= r.Last; i++ {
			switch {
			case !changes(i):
				open = false
			case open:
				out[len(out)-1].Last = s.UID(i)
			default:
				out, open = append(out, formats.Range{First: s.UID(i), Last: s.UID(i)}), true
			}
		}
	}
	return out
}

// SetData writes what extension ext, which exists or was introduced before, keeps for a message.
func (tx *Tx) SetData(ext string, uid formats.UID, data []byte) {
	run := tx.run(ext, translog.ExtRecUpdate)
	run.payload = translog.AppendData(run.payload, uint32(uid), data)
}

// Increment adds diff to the number that extension ext keeps for a message.
func (tx *Tx) Increment(ext string, uid formats.UID, diff int32) {
	run := tx.run(ext, translog.ExtAtomicInc)
	run.payload = binary.LittleEndian.AppendUint32(run.payload, uint32(uid))
	run.payload = binary.LittleEndian.AppendUint32(run.payload, uint32(diff))
}

func (tx *Tx) run(ext string, typ translog.Type) *dataRun {
	for _, run := range tx.data {
		if run.ext == ext && run.typ == typ {
			return run
		}
	}
	run := &dataRun{ext: ext, typ: typ}
	tx.data = append(tx.data, run)
	return run
}

// AddKeyword gives a keyword to messages, RemoveKeyword takes it, ClearKeywords takes all of them. They are applied in
// the order of calls.
func (tx *Tx) AddKeyword(name string, uids formats.Ranges) {
	tx.keyword(keywordRun{name: name, typ: translog.KeywordUpdate}, uids, func(i int) bool { return !tx.has(i, name) })
}

// RemoveKeyword takes a keyword from messages.
func (tx *Tx) RemoveKeyword(name string, uids formats.Ranges) {
	run := keywordRun{name: name, typ: translog.KeywordUpdate, remove: true}
	tx.keyword(run, uids, func(i int) bool { return tx.has(i, name) })
}

// ClearKeywords takes all keywords from messages.
func (tx *Tx) ClearKeywords(uids formats.Ranges) {
	e := tx.state.Ext("keywords")
	tx.keyword(keywordRun{typ: translog.KeywordReset}, uids, func(i int) bool {
		return e != nil && slices.ContainsFunc(tx.state.Data(i, e), func(b byte) bool { return b != 0 })
	})
}

// has tells whether the i-th message has a keyword before the transaction.
func (tx *Tx) has(i int, name string) bool {
	bit, e := tx.state.keyword(name), tx.state.Ext("keywords")
	return bit >= 0 && e != nil && bit/8 < int(e.Size) && tx.state.Data(i, e)[bit/8]>>(bit%8)&1 != 0
}

func (tx *Tx) keyword(run keywordRun, uids formats.Ranges, changes func(int) bool) {
	if len(tx.keywords) > 0 {
		changes = func(int) bool { return true } // what holds before the transaction may have changed by now
	}
	run.uids = tx.affected(uids, changes)
	if len(run.uids) == 0 {
		return
	}
	for _, r := range run.uids {
		tx.chosen.changed(r)
	}
	if n := len(tx.keywords); n > 0 {
		last := &tx.keywords[n-1]
		if last.typ == run.typ && last.remove == run.remove && strings.EqualFold(last.name, run.name) &&
			last.uids[len(last.uids)-1].Last < run.uids[0].First {
			last.uids = append(last.uids, run.uids...)
			return
		}
	}
	tx.keywords = append(tx.keywords, run)
}

// SetModSeq gives a message that is changed in this transaction the modseq m in place of the next one. For a message
// that was there before it must be above the mailbox's highest one, or clients would not see the change: a lower m is
// ignored.
func (tx *Tx) SetModSeq(uid formats.UID, m formats.ModSeq) {
	if m > tx.state.HighestModSeq() {
		tx.chosen.set(uid, m)
	}
}

// RaiseModSeq makes the mailbox's highest modseq at least m.
func (tx *Tx) RaiseModSeq(m formats.ModSeq) {
	if m > tx.state.HighestModSeq() {
		tx.chosen.raised = max(tx.chosen.raised, m)
	}
}

// KeepModSeqs has a modseq kept for each message from now on; those that are there begin with the mailbox's highest one.
func (tx *Tx) KeepModSeqs() { tx.chosen.keep = true }

// Expunge removes a message; guid is its 128-bit GUID, or zero.
func (tx *Tx) Expunge(uid formats.UID, guid formats.GUID) {
	if _, ok := tx.state.Find(uid); ok {
		tx.expunges = append(binary.LittleEndian.AppendUint32(tx.expunges, uint32(uid)), guid[:]...)
		tx.chosen.open = true
	}
}

// DeleteIndex says that the mailbox is being deleted: other sessions stop using it.
func (tx *Tx) DeleteIndex() { tx.delete = true }

// SyncTail notes, after the transaction, that everything in the log so far is done. The map index of an mdbox needs it:
// Dovecot takes a map whose tail lags for inconsistent and rebuilds the storage.
func (tx *Tx) SyncTail() { tx.syncTail = true }

// Sync makes the transaction durable even if it changes only flags.
func (tx *Tx) Sync() { tx.durable = true }

// Lazy says that the index holds nothing that could not be found out again: the transaction is made durable only if Sync
// is called.
func (tx *Tx) Lazy() { tx.lazy = true }

package index

import (
	"encoding/binary"
	"iter"
	"slices"
	"strings"

	"dovetail/formats"
)

// Record flags beyond the system flags of package formats (formats.Recent's bit is not used in records).
const (
	Backend formats.Flags = 0x40 // of the format: in dbox the message lies in the alt root
	Dirty   formats.Flags = 0x80 // of mbox: the flags are not yet in the file
)

// Header holds the fields of dovecot.index that are not derived from the records.
type Header struct {
	// IndexID ties the snapshot and its logs together; never 0.
	IndexID uint32

	// Flags: 2 some record is Dirty, 4 the index was repaired once.
	Flags uint32

	// UIDValidity is 0 only in a mailbox that was never initialised.
	UIDValidity formats.UIDValidity

	// NextUID is above every UID of the mailbox; at least 1.
	NextUID formats.UID

	// FirstRecent: messages with this UID or above are \Recent. 1 to NextUID.
	FirstRecent formats.UID

	// LogSeq and Head are the place in the transaction log up to which the state is complete. Tail is the place up to
	// which requests of other sessions (expunges that are only wished for) have been fulfilled.
	LogSeq, Head, Tail uint32

	// Log2Rotated is the unix time of the last rotation; 0 unknown, NoLog2 no old log.
	Log2Rotated uint32

	// TempScan is the unix time at which stale temporary files were last looked for.
	TempScan uint32

	// DayStamp is the unix time at the start of a day, DayFirst the first UIDs of the last eight days.
	DayStamp uint32
	DayFirst [8]uint32
}

// NoLog2 in Header.Log2Rotated says that there is no old log.
const NoLog2 = 0xffffffff

// Extension is a named piece of data in the header and in each record, kept for one purpose by one program. Extensions
// that we know nothing of are carried along.
type Extension struct {
	Name    string
	ResetID uint32 // updates logged for another reset id are void
	Header  []byte

	// Size is the length of the data in each record, 0 for none; Align its alignment there (1, 2, 4 or 8).
	Size, Align uint16

	offset uint16 // of the data in a record
}

// State is a mailbox as its index knows it: the snapshot with the log applied. Records are kept as they are in the
// file, in pages that states share: 100,000 messages of an sdbox with modseqs take 1.6 MB, and a change of one of them
// takes 16 KB.
//
// A State got from Read or Index.Snapshot does not change any more and may be used by several goroutines.
type State struct {
	Header
	Extensions []Extension
	Keywords   []string // names by bit number; never removed

	// Deleted is set when the log says that the mailbox is being deleted.
	Deleted bool

	modseq  uint64 // counter of the log at Head
	minor   uint8  // version of the log
	extra   []byte // what a longer base header has behind ours
	records pages
}

// Message is one record.
type Message struct {
	UID      formats.UID
	Flags    formats.Flags
	Keywords []string // shared between messages
	ModSeq   formats.ModSeq
}

// Len is the number of messages.
func (s *State) Len() int { return s.records.n }

// UID of the i-th message, counted from 0.
func (s *State) UID(i int) formats.UID {
	return formats.UID(binary.LittleEndian.Uint32(s.records.at(i)))
}

// Flags of the i-th message, with Backend and Dirty.
func (s *State) Flags(i int) formats.Flags { return formats.Flags(s.records.at(i)[4]) }

// Unseen is the number of messages without \Seen.
func (s *State) Unseen() int { return s.records.unseen() }

// Find gives the place of the message uid; when there is none, the place of the next higher one and false.
func (s *State) Find(uid formats.UID) (int, bool) { return s.records.find(uint32(uid)) }

// Recent tells whether the i-th message is \Recent.
func (s *State) Recent(i int) bool { return s.UID(i) >= s.FirstRecent }

// Ext finds an extension by name; nil if the index has none. Its Header must not be changed.
func (s *State) Ext(name string) *Extension {
	i := slices.IndexFunc(s.Extensions, func(e Extension) bool { return e.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Extensions[i]
}

// Data is what extension e (got from Ext of the same State) keeps for the i-th message; it must not be changed.
func (s *State) Data(i int, e *Extension) []byte {
	return e.of(s.records.at(i))
}

// of is what e keeps in a record.
func (e *Extension) of(record []byte) []byte {
	return record[e.offset : e.offset+e.Size : e.offset+e.Size]
}

// modseqOffset is the place of modseqs in a record, -1 while they are not kept.
func (s *State) modseqOffset() int {
	if e := s.Ext("modseq"); e != nil && e.Size == 8 {
		return int(e.offset)
	}
	return -1
}

// ModSeq of the i-th message. Before modseqs are kept for each message (the first CONDSTORE client causes that) Dovecot
// shows the mailbox's highest one for all of them, and so do we.
func (s *State) ModSeq(i int) formats.ModSeq {
	if e := s.Ext("modseq"); e != nil && e.Size == 8 {
		if m := binary.LittleEndian.Uint64(s.Data(i, e)); m != 0 {
			return formats.ModSeq(m)
		}
	}
	return s.HighestModSeq()
}

// HighestModSeq of the mailbox (RFC 7162 section 3.1.2.1); at least 1.
func (s *State) HighestModSeq() formats.ModSeq { return formats.ModSeq(max(s.modseq, 1)) }

// KeepsModSeqs tells whether each message has a modseq of its own.
func (s *State) KeepsModSeqs() bool {
	e := s.Ext("modseq")
	return e != nil && e.Size == 8
}

// KeywordsOf gives the keywords of the i-th message; All is cheaper for many.
func (s *State) KeywordsOf(i int) []string {
	e := s.Ext("keywords")
	if e == nil {
		return nil
	}
	return s.keywordNames(s.Data(i, e))
}

// Message gives the i-th message; All is cheaper for many.
func (s *State) Message(i int) Message {
	return Message{UID: s.UID(i), Flags: s.Flags(i), Keywords: s.KeywordsOf(i), ModSeq: s.ModSeq(i)}
}

func (s *State) keywordNames(bits []byte) []string {
	var names []string
	for n, name := range s.Keywords {
		if n/8 < len(bits) && bits[n/8]>>(n%8)&1 != 0 {
			names = append(names, name)
		}
	}
	return names
}

// All gives the messages with their places, in ascending order of UID.
func (s *State) All() iter.Seq2[int, Message] {
	return func(yield func(int, Message) bool) {
		kw, ms := s.Ext("keywords"), s.Ext("modseq")
		if ms != nil && ms.Size != 8 {
			ms = nil
		}
		sets := map[string][]string{} // messages with the same bits share one slice
		for i := range s.Len() {
			m := Message{UID: s.UID(i), Flags: s.Flags(i), ModSeq: s.HighestModSeq()}
			if kw != nil {
				bits := s.Data(i, kw)
				names, ok := sets[string(bits)]
				if !ok {
					names = s.keywordNames(bits)
					sets[string(bits)] = names
				}
				m.Keywords = names
			}
			if ms != nil {
				if v := binary.LittleEndian.Uint64(s.Data(i, ms)); v != 0 {
					m.ModSeq = formats.ModSeq(v)
				}
			}
			if !yield(i, m) {
				return
			}
		}
	}
}

// keyword gives the bit number of a name in any case, -1 if it has none yet.
func (s *State) keyword(name string) int {
	return slices.IndexFunc(s.Keywords, func(k string) bool { return strings.EqualFold(k, name) })
}

// Package translog reads and writes dovecot.index.log, the journal in which Dovecot notes every change of a mailbox.
//
// A log is a header and records; all numbers are little-endian, sizes in bytes, offsets from the start of the file.
//
//	 0 u8   major version 1
//	 1 u8   minor version 3
//	 2 u16  header size, 40 (24 in the oldest)
//	 4 u32  indexid, the same in the snapshot; 0 marks a log as corrupted
//	 8 u32  sequence of this log; the first is usually 2
//	12 u32  sequence of the log before it, now called .log.2; 0: a first log, which holds everything
//	16 u32  size that the log before it ended with; 0 in a first log
//	20 u32  creation, unix time
//	24 u64  modseq counter at the start
//	32 u8   1: little-endian
//	33      7 zero bytes
//
// A record is
//
//	u32 size, these 8 bytes included, a multiple of 4, below 2^30, written so that zeros cannot be mistaken for it:
//	    a quarter of the size in four groups of 7 bits, the highest first, each byte with 0x80 set
//	    (12 is 80 80 80 83); any byte without 0x80 means that the record is not written yet: the log ends here
//	u32 type: one of the Type constants, 0x10000000 External (a fact, not a wish), 0x20000000 Sync
//	    payload, never empty
//
// and the payloads are, repeated until the record ends unless it says once:
//
//	Append         u32 uid, u8 flags, 3 zero bytes
//	Expunge        u32 first uid, u32 last uid
//	ExpungeGUID    u32 uid, 16 bytes GUID
//	FlagUpdate     u32 first uid, u32 last uid, u8 add, u8 remove, u8 modseq increment, 1 zero byte
//	HeaderUpdate   u16 offset, u16 size, data, zeros to a multiple of 4: bytes of the snapshot's base header
//	ExtIntro       u32 extension id or ffffffff, u32 reset id, u32 header size, u16 record size, u16 alignment,
//	               u16 flags (1: do not shrink), u16 name size, name, zeros to a multiple of 4
//	ExtReset       once: u32 new reset id, u8 keep the data, 3 zero bytes
//	ExtHdrUpdate   u16 offset, u16 size, data, zeros to a multiple of 4
//	ExtHdrUpdate32 u32 offset, u32 size, data, zeros to a multiple of 4
//	ExtRecUpdate   u32 uid, data of the size the last ExtIntro gave, zeros to a multiple of 4
//	ExtAtomicInc   u32 uid, i32 difference
//	KeywordUpdate  once: u8 0 add or 1 remove, u8 0, u16 name size, name, zeros to a multiple of 4;
//	               then u32 first uid, u32 last uid
//	KeywordReset   u32 first uid, u32 last uid
//	ModSeqUpdate   u32 uid (0: the mailbox), u32 low half, u32 high half
//	IndexDeleted, IndexUndeleted  once: 4 zero bytes
//	Boundary       once: u32 size of the whole transaction, this record's 12 bytes included
//	AttributeUpdate  strings "+pKEY" (set private), "-sKEY" (unset shared) and so on, each ended by NUL, one more NUL,
//	               zeros to a multiple of 4, then u32 unix time each and u32 value length for those with "+"
//
// UID ranges in one record ascend and do not overlap.
//
// A transaction is a Boundary and the records that follow within its size, or any other record alone. It counts only
// when all of it is in the file: a writer that died leaves the tail of the log without meaning. Whoever appends holds a
// write lock on the file (fcntl) and leaves nothing behind the last transaction but his own.
//
// The modseq counter of a mailbox is not stored but counted: see Record.Count.
//
// Facts from Dovecot 2.3.19.1 and 2.4 (src/lib-index: mail-transaction-log.h, mail-transaction-log-file.c,
// mail-transaction-log-view.c) and from logs that they wrote.
package translog

import (
	"encoding/binary"

	"dovetail/formats"
)

// HeaderSize is the size of the header that we write.
const HeaderSize = 40

const (
	major         = 1
	minor         = 3
	minHeaderSize = 24
	littleEndian  = 1
)

// Header is the start of a log.
type Header struct {
	Minor         uint8
	Size          uint16 // where the records begin
	IndexID       uint32
	Seq           uint32
	PrevSeq       uint32 // 0: nothing is needed but this log
	PrevOffset    uint32
	Created       uint32
	InitialModSeq uint64
}

// First tells that the log is complete in itself: replaying it on an empty mailbox gives the state.
func (h Header) First() bool { return h.PrevSeq == 0 }

// NewHeader gives a header of the version that we write.
func NewHeader(indexID, seq, created uint32, modseq uint64) Header {
	return Header{Minor: minor, Size: HeaderSize, IndexID: indexID, Seq: seq, Created: created, InitialModSeq: modseq}
}

// AppendBinary writes the header in its Size.
func (h Header) AppendBinary(b []byte) ([]byte, error) {
	if h.Size < minHeaderSize {
		return b, formats.Corrupt("log header of %d bytes", h.Size)
	}
	var full [HeaderSize]byte
	le := binary.LittleEndian
	full[0], full[1] = major, h.Minor
	le.PutUint16(full[2:], h.Size)
	le.PutUint32(full[4:], h.IndexID)
	le.PutUint32(full[8:], h.Seq)
	le.PutUint32(full[12:], h.PrevSeq)
	le.PutUint32(full[16:], h.PrevOffset)
	le.PutUint32(full[20:], h.Created)
	le.PutUint64(full[24:], h.InitialModSeq)
	if h.Minor >= 2 {
		full[32] = littleEndian
	}
	n := int(h.Size)
	b = append(b, full[:min(n, HeaderSize)]...)
	return append(b, make([]byte, max(0, n-HeaderSize))...), nil
}

// UnmarshalBinary reads a header; b may be longer. Fields that an old, shorter header lacks are zero.
func (h *Header) UnmarshalBinary(b []byte) error {
	le := binary.LittleEndian
	if len(b) < minHeaderSize {
		return formats.Corrupt("log header cut off after %d bytes", len(b))
	}
	if b[0] != major {
		return formats.Corrupt("log version %d.%d, want %d", b[0], b[1], major)
	}
	size := le.Uint16(b[2:])
	if size < minHeaderSize || size%4 != 0 {
		return formats.Corrupt("log header size %d", size)
	}
	var full [HeaderSize]byte
	copy(full[:min(int(size), HeaderSize)], b)
	*h = Header{
		Minor:         full[1],
		Size:          size,
		IndexID:       le.Uint32(full[4:]),
		Seq:           le.Uint32(full[8:]),
		PrevSeq:       le.Uint32(full[12:]),
		PrevOffset:    le.Uint32(full[16:]),
		Created:       le.Uint32(full[20:]),
		InitialModSeq: le.Uint64(full[24:]),
	}
	if h.IndexID == 0 {
		return formats.Corrupt("log is marked as corrupted (indexid 0)")
	}
	if h.Minor >= 2 && full[32] != littleEndian {
		return formats.Corrupt("log was written by a big-endian machine")
	}
	return nil
}

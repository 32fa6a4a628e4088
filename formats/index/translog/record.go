package translog

import (
	"encoding/binary"
	"fmt"

	"dovetail/formats"
)

// Type is what a record changes.
type Type uint32

// The types of records. Those of expunges carry protection bits (0xcd90) that overlap other types, so a type is always
// compared as a whole.
const (
	Expunge         Type = 0x1 | protection
	Append          Type = 0x2
	FlagUpdate      Type = 0x4
	HeaderUpdate    Type = 0x20
	ExtIntro        Type = 0x40
	ExtReset        Type = 0x80
	ExtHdrUpdate    Type = 0x100
	ExtRecUpdate    Type = 0x200
	KeywordUpdate   Type = 0x400
	KeywordReset    Type = 0x800
	ExtAtomicInc    Type = 0x1000
	ExpungeGUID     Type = 0x2000 | protection
	ModSeqUpdate    Type = 0x8000
	ExtHdrUpdate32  Type = 0x10000
	IndexDeleted    Type = 0x20000
	IndexUndeleted  Type = 0x40000
	Boundary        Type = 0x80000
	AttributeUpdate Type = 0x100000

	// External marks what has happened already; without it an expunge is only a request.
	External Type = 0x10000000

	// Sync is informational.
	Sync Type = 0x20000000

	protection Type = 0xcd90
	typeMask   Type = 0x0fffffff
)

var typeNames = map[Type]string{
	Expunge: "expunge", Append: "append", FlagUpdate: "flag-update", HeaderUpdate: "header-update",
	ExtIntro: "ext-intro", ExtReset: "ext-reset", ExtHdrUpdate: "ext-hdr-update", ExtRecUpdate: "ext-rec-update",
	KeywordUpdate: "keyword-update", KeywordReset: "keyword-reset", ExtAtomicInc: "ext-atomic-inc",
	ExpungeGUID: "expunge-guid", ModSeqUpdate: "modseq-update", ExtHdrUpdate32: "ext-hdr-update32",
	IndexDeleted: "index-deleted", IndexUndeleted: "index-undeleted", Boundary: "boundary",
	AttributeUpdate: "attribute-update",
}

func (t Type) String() string {
	if name, ok := typeNames[t&typeMask]; ok {
		return name
	}
	return fmt.Sprintf("type %#x", uint32(t&typeMask))
}

// Record is one record of a log.
type Record struct {
	Offset   int64 // of its size field
	Type     Type  // without External and Sync
	External bool
	Sync     bool
	Payload  []byte // valid until the next record is read
}

// Next is the offset behind the record.
func (r Record) Next() int64 { return r.Offset + recordHeader + int64(len(r.Payload)) }

const recordHeader = 8

// MaxRecord bounds the memory that one record may take. Appending eight million messages at once needs this much.
const MaxRecord = 64 << 20

// putSize writes a size as records and cache offsets have it. n is a multiple of 4 below 2^30.
func putSize(b []byte, n uint32) {
	n /= 4
	for i := range 4 {
		b[i] = 0x80 | byte(n>>(21-7*i))
	}
}

// DecodeSize reads a size in the encoding of record sizes; 0 when it was not written completely. The cache file uses the
// same encoding for its offsets.
func DecodeSize(b []byte) uint32 {
	var n uint32
	for _, c := range b[:4] {
		if c&0x80 == 0 {
			return 0
		}
		n = n<<7 | uint32(c&0x7f)
	}
	return n * 4
}

// Check makes sure that the payload has the shape of its type, so that the methods that take it apart need not fail.
// It refuses what Dovecot refuses (mail-transaction-log-view.c log_view_is_record_valid and mail-index-sync-update.c).
func (r Record) Check() error {
	n := len(r.Payload)
	if n == 0 {
		return formats.Corrupt("empty %v record", r.Type)
	}
	switch r.Type {
	case Expunge, KeywordReset:
		return r.checkRanges(r.Payload, 8)
	case FlagUpdate:
		return r.checkRanges(r.Payload, 12)
	case KeywordUpdate:
		return r.checkKeyword()
	case Append, ExtAtomicInc:
		return r.checkEntries(8)
	case ModSeqUpdate:
		return r.checkEntries(12)
	case ExpungeGUID:
		return r.checkEntries(20)
	case HeaderUpdate, ExtHdrUpdate:
		return r.checkPatches(4)
	case ExtHdrUpdate32:
		return r.checkPatches(8)
	case ExtIntro:
		return r.checkIntros()
	case ExtReset, Boundary:
		return r.checkEntries(4)
	case ExtRecUpdate, IndexDeleted, IndexUndeleted, AttributeUpdate:
		return nil
	}
	return formats.Corrupt("unknown record %v", r.Type)
}

func (r Record) checkEntries(size int) error {
	if len(r.Payload)%size != 0 {
		return formats.Corrupt("%v record of %d bytes, want a multiple of %d", r.Type, len(r.Payload), size)
	}
	return nil
}

// checkRanges checks b, which is entries of size bytes that begin with a range of UIDs.
func (r Record) checkRanges(b []byte, size int) error {
	if len(b) == 0 || len(b)%size != 0 {
		return formats.Corrupt("%v record with %d bytes of UID ranges", r.Type, len(b))
	}
	var last uint32
	for ; len(b) > 0; b = b[size:] {
		first, end := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
		if first == 0 || first > end || first <= last {
			return formats.Corrupt("%v record with UID range %d:%d after %d", r.Type, first, end, last)
		}
		last = end
	}
	return nil
}

func (r Record) checkKeyword() error {
	if len(r.Payload) < 4 {
		return formats.Corrupt("%v record of %d bytes", r.Type, len(r.Payload))
	}
	size := int(binary.LittleEndian.Uint16(r.Payload[2:]))
	if size == 0 {
		return formats.Corrupt("%v record without a name", r.Type)
	}
	if pad4(4+size) > len(r.Payload) {
		return formats.Corrupt("%v record with a name of %d bytes, longer than the record", r.Type, size)
	}
	return r.checkRanges(r.Payload[pad4(4+size):], 8)
}

func (r Record) checkPatches(head int) error {
	for b := r.Payload; len(b) > 0; {
		if len(b) < head {
			return formats.Corrupt("%v record cut off", r.Type)
		}
		_, size := patchHead(b, head)
		if uint64(size) > uint64(len(b)-head) {
			return formats.Corrupt("%v record with %d bytes of data, longer than the record", r.Type, size)
		}
		b = b[min(pad4(head+int(size)), len(b)):]
	}
	return nil
}

func (r Record) checkIntros() error {
	for b := r.Payload; len(b) >= introHead; {
		size := introHead + int(binary.LittleEndian.Uint16(b[18:]))
		if size > len(b) {
			return formats.Corrupt("%v record with a name longer than the record", r.Type)
		}
		b = b[min(pad4(size), len(b)):]
	}
	return nil
}

func pad4(n int) int { return (n + 3) &^ 3 }

// Count gives the modseq counter after the record, from the counter before it: it rises by one for what an IMAP client
// can see and to the value that a ModSeqUpdate gives (Dovecot, mail-transaction-log-file.c
// mail_transaction_update_modseq). Logs with a minor version below 3 count every flag update. A counter of 0, in very
// old logs, starts with the introduction of the modseq extension.
func (r Record) Count(modseq uint64, minor uint8) uint64 {
	if modseq == 0 {
		if r.Type == ExtIntro && r.introduces("modseq") {
			return 1
		}
		return 0
	}
	switch r.Type {
	case Append, KeywordUpdate, KeywordReset, AttributeUpdate:
		return modseq + 1
	case Expunge, ExpungeGUID:
		if r.External {
			return modseq + 1
		}
	case FlagUpdate:
		for f := range r.FlagUpdates() {
			if minor < 3 || f.Visible() {
				return modseq + 1
			}
		}
	case ModSeqUpdate:
		for _, m := range r.ModSeqs() {
			modseq = max(modseq, m)
		}
	}
	return modseq
}

func (r Record) introduces(name string) bool {
	for in := range r.Intros() {
		if in.Name == name {
			return true
		}
	}
	return false
}

package index

import (
	"encoding/binary"

	"dovetail/formats"
)

const (
	majorVersion = 7
	minorVersion = 3
	baseSize     = 120 // of the base header that we write
	minBaseSize  = 120
	littleEndian = 1

	maxHeader = 16<<20 - 1 // of the header with extensions (Dovecot, MAIL_INDEX_EXT_HEADER_MAX_SIZE)
)

// Offsets in the base header of fields that the log updates by offset.
const (
	offUIDValidity = 24
	offNextUID     = 28
	offFirstRecent = 48
	offTail        = 64
	offTempScan    = 80
)

// header is the base header with the fields that are derived from records and extensions.
type header struct {
	Header
	size              uint32 // up to the first record
	recSize           uint32
	messages          uint32
	seen, deleted     uint32
	unseenLow, delLow uint32 // no unseen or deleted message has a UID below
	extra             []byte // of a base header longer than ours
}

// appendTo writes the base header.
func (h *header) appendTo(b []byte) []byte {
	le := binary.LittleEndian
	start := len(b)
	b = append(b, majorVersion, minorVersion)
	b = le.AppendUint16(b, uint16(baseSize+len(h.extra)))
	b = le.AppendUint32(b, h.size)
	b = le.AppendUint32(b, h.recSize)
	b = append(b, littleEndian, 0, 0, 0)
	for _, v := range []uint32{
		h.IndexID, h.Flags, uint32(h.UIDValidity), uint32(h.NextUID), h.messages, 0, h.seen, h.deleted,
		uint32(h.FirstRecent), h.unseenLow, h.delLow, h.LogSeq, h.Tail, h.Head, 0, h.Log2Rotated, h.TempScan, h.DayStamp,
	} {
		b = le.AppendUint32(b, v)
	}
	for _, v := range h.DayFirst {
		b = le.AppendUint32(b, v)
	}
	return append(b[:start+baseSize], h.extra...)
}

// read takes the base header from the start of the file b, which may be longer.
func (h *header) read(b []byte) error {
	if len(b) < minBaseSize {
		return formats.Corrupt("index header cut off after %d bytes", len(b))
	}
	if b[0] != majorVersion {
		return formats.Corrupt("index version %d.%d, want %d", b[0], b[1], majorVersion)
	}
	le := binary.LittleEndian
	base := int(le.Uint16(b[2:]))
	h.size, h.recSize = le.Uint32(b[4:]), le.Uint32(b[8:])
	switch {
	case b[12] != littleEndian:
		return formats.Corrupt("index was written by a big-endian machine")
	case base < minBaseSize || base > len(b):
		return formats.Corrupt("base header size %d", base)
	case int64(h.size) < int64(base) || h.size > maxHeader:
		return formats.Corrupt("header size %d", h.size)
	case h.recSize < 8:
		return formats.Corrupt("record size %d", h.recSize)
	}
	h.patch(b[:base])
	h.messages, h.seen, h.deleted = le.Uint32(b[32:]), le.Uint32(b[40:]), le.Uint32(b[44:])
	h.unseenLow, h.delLow = le.Uint32(b[52:]), le.Uint32(b[56:])
	h.LogSeq, h.Tail, h.Head = le.Uint32(b[60:]), le.Uint32(b[64:]), le.Uint32(b[68:])
	h.IndexID, h.Log2Rotated = le.Uint32(b[16:]), le.Uint32(b[76:])
	h.extra = append([]byte(nil), b[baseSize:base]...)
	if b[1] < 3 { // before 2.2 these bytes meant something else (Dovecot, mail_index_map_check_header)
		h.Log2Rotated, h.TempScan = 0, 0
	}
	if b[1] == 0 && h.FirstRecent == 0 {
		h.FirstRecent = 1
	}
	return nil
}

// patch takes the fields that a log may update from b, a base header.
func (h *Header) patch(b []byte) {
	le := binary.LittleEndian
	h.Flags = le.Uint32(b[20:])
	h.UIDValidity = formats.UIDValidity(le.Uint32(b[offUIDValidity:]))
	h.NextUID = formats.UID(le.Uint32(b[offNextUID:]))
	h.FirstRecent = formats.UID(le.Uint32(b[offFirstRecent:]))
	h.TempScan = le.Uint32(b[offTempScan:])
	h.DayStamp = le.Uint32(b[84:])
	for i := range h.DayFirst {
		h.DayFirst[i] = le.Uint32(b[88+4*i:])
	}
}

// check makes the tests of Dovecot's mail_index_map_check_header, for a mailbox whose last message is last.
func (h *header) check(last formats.UID) error {
	switch {
	case h.IndexID == 0:
		return formats.Corrupt("indexid 0")
	case h.Flags&1 != 0:
		return formats.Corrupt("index is marked as corrupted")
	case h.NextUID == 0:
		return formats.Corrupt("next UID 0")
	case h.UIDValidity == 0 && h.NextUID != 1:
		return formats.Corrupt("UIDVALIDITY 0 with next UID %d", h.NextUID)
	case h.FirstRecent == 0 || h.FirstRecent > h.NextUID:
		return formats.Corrupt("first recent UID %d with next UID %d", h.FirstRecent, h.NextUID)
	case h.seen > h.messages:
		return formats.Corrupt("%d seen of %d messages", h.seen, h.messages)
	case h.deleted > h.messages:
		return formats.Corrupt("%d deleted of %d messages", h.deleted, h.messages)
	case h.unseenLow > uint32(h.NextUID) || h.delLow > uint32(h.NextUID):
		return formats.Corrupt("low-water marks %d and %d above next UID %d", h.unseenLow, h.delLow, h.NextUID)
	case h.messages > 0 && (last == 0 || last >= h.NextUID):
		return formats.Corrupt("last UID %d with next UID %d", last, h.NextUID)
	}
	return nil
}

// Package cache looks into dovecot.index.cache, where Dovecot keeps what it once parsed of messages. Nothing in it is
// needed and we never write it: a cache that does not fit its index is dropped without a word.
//
// All numbers are little-endian. "Offset*" is a number in the encoding of the sizes of log records (package translog),
// so that a reader never sees half of it.
//
//	 0 u8      major version 1
//	 1 u8      4 or 8: the size of a file offset on the machine that wrote it
//	 2 u8      minor version 1
//	 3 u8      0
//	 4 u32     indexid, as in the index
//	 8 u32     file sequence: the reset id of the index's extension "cache"
//	12 u32     number of records that continue others
//	16 u32     number of records
//	20 u32     unused
//	24 u32     number of deleted records
//	28 offset* of the first field header
//
// A field header lists the kinds of data that follow, with numbers in the order of all lists; later ones repeat what was
// there before, so the newest is complete:
//
//	u32 offset* of the next field header, 0 for the newest
//	u32 size of this one
//	u32 number of fields n
//	n × u32 last used, unix time; n × u32 size of the data, ffffffff when it varies
//	n × u8 type: 0 fixed, 1 variable, 2 string, 3 bit mask, 4 message header
//	n × u8 decision: 0 not cached, 1 for a while, 2 always; 0x80 forced
//	n names, each ended by NUL
//
// A message's record extension "cache" is the offset of its newest record:
//
//	u32 offset of an older record of the same message, 0 for none
//	u32 size of this one, this and the offset included
//	then u32 field number, u32 size if it varies, data, zeros to a multiple of 4, and so on
//
// Facts from Dovecot 2.3.19.1 and 2.4 (src/lib-index/mail-cache-private.h) and from files that they wrote.
package cache

import (
	"encoding/binary"
	"io"

	"dovetail/formats"
	"dovetail/formats/index/translog"
)

const headerSize = 32

// Variable is the Size of a field whose data has a size of its own in each record.
const Variable = 0xffffffff

// Header is the start of a cache file.
type Header struct {
	Minor               uint8
	IndexID, Seq        uint32
	Continued, Messages uint32
	Deleted             uint32
	Fields              uint32 // offset of the first field header
}

// Field is one kind of data.
type Field struct {
	Name           string
	LastUsed       uint32 // unix time
	Size           uint32 // Variable, or the same in each record
	Type, Decision uint8
}

// Value is the data of one field in a record.
type Value struct {
	Field int
	Data  []byte
}

// ReadHeader reads the start of a cache.
func ReadHeader(r io.ReaderAt) (Header, error) {
	var b [headerSize]byte
	if n, err := r.ReadAt(b[:], 0); n < len(b) {
		return Header{}, short(0, err)
	}
	if b[0] != 1 {
		return Header{}, bad(0, formats.Corrupt("cache version %d.%d, want 1", b[0], b[2]))
	}
	le := binary.LittleEndian
	h := Header{Minor: b[2], IndexID: le.Uint32(b[4:]), Seq: le.Uint32(b[8:]), Continued: le.Uint32(b[12:]),
		Messages: le.Uint32(b[16:]), Deleted: le.Uint32(b[24:]), Fields: translog.DecodeSize(b[28:])}
	if h.IndexID == 0 {
		return h, bad(4, formats.Corrupt("cache is marked as corrupted (indexid 0)"))
	}
	return h, nil
}

const (
	maxFields      = 1 << 16
	maxFieldHeader = 4 << 20
	maxRecord      = 16 << 20
)

// ReadFields follows the field headers from the one at offset to the newest, and gives its offset.
func ReadFields(r io.ReaderAt, offset, size int64) ([]Field, int64, error) {
	for {
		fields, _, next, err := readFields(r, offset, size)
		if err != nil || next == 0 {
			return fields, offset, err
		}
		if next <= offset { // only ever appended
			return nil, offset, bad(offset, formats.Corrupt("next field header at %d lies before this one", next))
		}
		offset = next
	}
}

// readFields reads one field header and gives its end and the offset of the next one.
func readFields(r io.ReaderAt, offset, size int64) (fields []Field, end, next int64, err error) {
	var head [12]byte
	if n, err := r.ReadAt(head[:], offset); n < len(head) {
		return nil, 0, 0, short(offset, err)
	}
	le := binary.LittleEndian
	total, count := int64(le.Uint32(head[4:])), int64(le.Uint32(head[8:]))
	if total < 12+10*count || total > min(size-offset, maxFieldHeader) || count > maxFields {
		return nil, 0, 0, bad(offset, formats.Corrupt("field header of %d bytes with %d fields", total, count))
	}
	b := make([]byte, total-12)
	if n, err := r.ReadAt(b, offset+12); n < len(b) {
		return nil, 0, 0, short(offset, err)
	}
	n := int(count)
	fields = make([]Field, n)
	names := b[10*n:]
	for i := range fields {
		stop := 0
		for stop < len(names) && names[stop] != 0 {
			stop++
		}
		if stop == len(names) {
			return nil, 0, 0, bad(offset, formats.Corrupt("name of field %d is cut off", i))
		}
		fields[i] = Field{Name: string(names[:stop]), LastUsed: le.Uint32(b[4*i:]), Size: le.Uint32(b[4*n+4*i:]),
			Type: b[8*n+i], Decision: b[9*n+i]}
		names = names[stop+1:]
	}
	return fields, offset + (total+3)&^3, int64(translog.DecodeSize(head[:])), nil
}

// ReadRecord reads one record and gives the offset of the older one of the same message, 0 for none.
func ReadRecord(r io.ReaderAt, offset, size int64, fields []Field) (values []Value, older int64, err error) {
	var head [8]byte
	if n, err := r.ReadAt(head[:], offset); n < len(head) {
		return nil, 0, short(offset, err)
	}
	le := binary.LittleEndian
	older, total := int64(le.Uint32(head[:])), int64(le.Uint32(head[4:]))
	if total < 8 || total%4 != 0 || total > min(size-offset, maxRecord) {
		return nil, older, bad(offset, formats.Corrupt("record of %d bytes", total))
	}
	if older >= offset {
		return nil, 0, bad(offset, formats.Corrupt("older record at %d lies behind this one", older))
	}
	b := make([]byte, total-8)
	if n, err := r.ReadAt(b, offset+8); n < len(b) {
		return nil, older, short(offset, err)
	}
	for at := 0; at < len(b); {
		v, next, err := readValue(b, at, fields)
		if err != nil {
			return values, older, bad(offset+8+int64(at), err)
		}
		values = append(values, v)
		at = next
	}
	return values, older, nil
}

func readValue(b []byte, at int, fields []Field) (Value, int, error) {
	le := binary.LittleEndian
	number := le.Uint32(b[at:])
	if int64(number) >= int64(len(fields)) {
		return Value{}, 0, formats.Corrupt("field %d of %d", number, len(fields))
	}
	at += 4
	n := fields[number].Size
	if n == Variable {
		if len(b)-at < 4 {
			return Value{}, 0, formats.Corrupt("size of field %s is cut off", fields[number].Name)
		}
		n = le.Uint32(b[at:])
		at += 4
	}
	if int64(n) > int64(len(b)-at) {
		return Value{}, 0, formats.Corrupt("field %s of %d bytes goes beyond the record", fields[number].Name, n)
	}
	return Value{Field: int(number), Data: b[at : at+int(n)]}, at + int(n+3)&^3, nil
}

func bad(offset int64, err error) error {
	return &formats.Error{Op: "read cache", Offset: offset, Err: err}
}

// short is the error for a read that gave less than what should be there.
func short(offset int64, err error) error {
	if err == nil || err == io.EOF {
		err = formats.Corrupt("cache is cut off")
	}
	return bad(offset, err)
}

// Package cdb reads and writes constant databases: the compiled form of vpopmail's and qmail's user lists.
//
//	256 × (position, slots)                 one pair for each value of the hash's lowest byte
//	records: key length, data length, key, data
//	256 tables of slots: (hash, position of the record); position 0 is an empty slot
//
// All numbers are 32 bits, little-endian, so a file holds at most 4 GiB. The hash of a key starts as 5381 and is, for
// each byte, multiplied by 33 and combined with the byte by exclusive or. A lookup begins at slot (hash/256 mod slots) and
// goes on, around the end, until the record is found or a slot is empty. A key may have several records; the first one
// that was written is found first. Checked against vpopmail's vpasswd.cdb, qmail's users/cdb and tinycdb 0.78.
//
// The reader keeps nothing but the 2048 bytes of the head in memory and believes no number before it has been compared
// with the size of the file.
package cdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
)

// ErrCorrupt is what errors about the bytes of a file wrap.
var ErrCorrupt = errors.New("corrupt constant database")

const (
	headSize = 2048
	// maxRecord bounds one record: the user lists that this package is for have lines of some hundred bytes.
	maxRecord = 1 << 20
)

// DB is an open database. Its methods may be called from several goroutines if those of the io.ReaderAt may.
type DB struct {
	r    io.ReaderAt
	size int64
	head [headSize]byte
	end  int64 // of the records
}

// Record is one key with its data.
type Record struct{ Key, Data []byte }

// Open reads the head of a file of that many bytes.
func Open(r io.ReaderAt, size int64) (*DB, error) {
	d := &DB{r: r, size: size}
	if err := d.read(d.head[:], 0); err != nil {
		return nil, err
	}
	// The makers write the tables in order behind the records, so the first of them ends the records.
	if d.end = int64(binary.LittleEndian.Uint32(d.head[:])); d.end < headSize || d.end > size {
		return nil, corrupt(0, "the first table is at byte %d of %d", d.end, size)
	}
	return d, nil
}

// Get gives the data of the first record of the key; nil and no error when there is none.
func (d *DB) Get(key []byte) ([]byte, error) {
	h := hash(key)
	pair := d.head[8*(h%256):]
	pos, slots := int64(binary.LittleEndian.Uint32(pair)), int64(binary.LittleEndian.Uint32(pair[4:]))
	if pos+8*slots > d.size {
		return nil, corrupt(int64(8*(h%256)), "table at byte %d with %d slots in a file of %d bytes", pos, slots, d.size)
	}
	for i := range slots {
		var slot [8]byte
		if err := d.read(slot[:], pos+8*((int64(h/256)+i)%slots)); err != nil {
			return nil, err
		}
		at := int64(binary.LittleEndian.Uint32(slot[4:]))
		if at == 0 {
			return nil, nil
		}
		if binary.LittleEndian.Uint32(slot[:]) != h {
			continue
		}
		if r, _, err := d.record(at); err != nil || string(r.Key) == string(key) {
			return r.Data, err
		}
	}
	return nil, nil
}

// Records gives every record in the order of the file. An error ends the iteration.
func (d *DB) Records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for at := int64(headSize); at < d.end; {
			r, next, err := d.record(at)
			if !yield(r, err) || err != nil {
				return
			}
			at = next
		}
	}
}

// record reads the one at a position and says where the next begins. Its data is never nil.
func (d *DB) record(at int64) (Record, int64, error) {
	var sizes [8]byte
	if at < headSize || at+8 > d.end {
		return Record{}, 0, corrupt(at, "a record outside the records, which end at byte %d", d.end)
	}
	if err := d.read(sizes[:], at); err != nil {
		return Record{}, 0, err
	}
	key, data := int64(binary.LittleEndian.Uint32(sizes[:])), int64(binary.LittleEndian.Uint32(sizes[4:]))
	next := at + 8 + key + data
	if next > d.end || key+data > maxRecord {
		return Record{}, 0, corrupt(at, "a key of %d bytes and data of %d: too long", key, data)
	}
	b := make([]byte, key+data)
	if err := d.read(b, at+8); err != nil {
		return Record{}, 0, err
	}
	return Record{b[:key:key], b[key:]}, next, nil
}

func (d *DB) read(b []byte, at int64) error {
	if at+int64(len(b)) > d.size {
		return corrupt(at, "the file ends at byte %d", d.size)
	}
	if n, err := d.r.ReadAt(b, at); n < len(b) {
		return fmt.Errorf("read at byte %d: %w", at, err)
	}
	return nil
}

func corrupt(at int64, format string, args ...any) error {
	return fmt.Errorf("%w at byte %d: %s", ErrCorrupt, at, fmt.Sprintf(format, args...))
}

func hash(key []byte) uint32 {
	h := uint32(5381)
	for _, c := range key {
		h = h*33 ^ uint32(c)
	}
	return h
}

package cdb

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrTooLarge is returned when records do not fit into 4 GiB, or one of them is longer than this package reads.
var ErrTooLarge = errors.New("too large for a constant database")

// Append adds a whole database of the records to dst, in their order: the same bytes that cdbmake writes.
func Append(dst []byte, records []Record) ([]byte, error) {
	base := len(dst)
	dst = append(dst, make([]byte, headSize)...)
	var tables [256][]slot
	for _, r := range records {
		at := len(dst) - base
		if len(r.Key)+len(r.Data) > maxRecord || at > math.MaxUint32-maxRecord-8*(1+2*len(records)) {
			return nil, ErrTooLarge
		}
		h := hash(r.Key)
		tables[h%256] = append(tables[h%256], slot{h, uint32(at)})
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(r.Key)))
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(r.Data)))
		dst = append(append(dst, r.Key...), r.Data...)
	}
	for i, t := range tables {
		pair := dst[base+8*i:]
		binary.LittleEndian.PutUint32(pair, uint32(len(dst)-base))
		binary.LittleEndian.PutUint32(pair[4:], uint32(2*len(t)))
		for _, s := range spread(t) {
			dst = binary.LittleEndian.AppendUint32(dst, s.hash)
			dst = binary.LittleEndian.AppendUint32(dst, s.at)
		}
	}
	return dst, nil
}

type slot struct{ hash, at uint32 }

// spread puts slots where a lookup looks for them. Half of the places stay empty, as cdbmake leaves them.
func spread(t []slot) []slot {
	places := make([]slot, 2*len(t))
	for _, s := range t {
		i := int(s.hash/256) % len(places)
		for places[i].at != 0 {
			i = (i + 1) % len(places)
		}
		places[i] = s
	}
	return places
}

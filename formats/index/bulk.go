package index

import (
	"bytes"
	"encoding/binary"
	"slices"

	"dovetail/formats"
)

// Same tells whether the n messages from place i on have the same UIDs, flags, keywords and modseqs as those from place j
// on in another state. False may also mean that something else of their records is different.
func (s *State) Same(i int, other *State, j, n int) bool {
	if i+n > s.Len() || j+n > other.Len() || s.recSize != other.recSize || !s.sameLayout(other) {
		return false
	}
	mine, its := s.records[i*s.recSize:(i+n)*s.recSize], other.records[j*s.recSize:(j+n)*s.recSize]
	return bytes.Equal(mine, its) && (s.modseq == other.modseq || !s.anyWithoutModSeq(i, n))
}

// sameLayout tells whether equal bytes mean the same keywords and modseqs.
func (s *State) sameLayout(other *State) bool {
	for _, name := range [...]string{"keywords", "modseq"} {
		a, b := s.Ext(name), other.Ext(name)
		if (a == nil) != (b == nil) || a != nil && (a.offset != b.offset || a.Size != b.Size) {
			return false
		}
	}
	n := min(len(s.Keywords), len(other.Keywords))
	return slices.Equal(s.Keywords[:n], other.Keywords[:n])
}

// anyWithoutModSeq: such messages show the mailbox's highest one; see ModSeq.
func (s *State) anyWithoutModSeq(i, n int) bool {
	e := s.Ext("modseq")
	if e == nil || e.Size != 8 {
		return false // nor has any other: Records gives 0
	}
	for at := i*s.recSize + int(e.offset); n > 0; at, n = at+s.recSize, n-1 {
		if binary.LittleEndian.Uint64(s.records[at:]) == 0 {
			return true
		}
	}
	return false
}

// Records fills records with the messages from place i on, as formats.View wants it. Sizes are not known.
func (s *State) Records(records []formats.Record, i int, number func(keywords []string) uint32) {
	at := i * s.recSize
	for k := range records {
		rec := s.records[at : at+5]
		records[k] = formats.Record{
			UID:         formats.UID(binary.LittleEndian.Uint32(rec)),
			Flags:       formats.Flags(rec[4]) & formats.SystemFlags,
			VirtualSize: -1,
		}
		at += s.recSize
	}
	if e := s.Ext("modseq"); e != nil && e.Size == 8 {
		s.fillModSeqs(records, i*s.recSize+int(e.offset))
	}
	if e := s.Ext("keywords"); e != nil && e.Size > 0 {
		s.fillKeywords(records, i*s.recSize+int(e.offset), int(e.Size), number)
	}
}

func (s *State) fillModSeqs(records []formats.Record, at int) {
	highest := s.HighestModSeq()
	for k := range records {
		m := formats.ModSeq(binary.LittleEndian.Uint64(s.records[at:]))
		if m == 0 {
			m = highest
		}
		records[k].ModSeq = m
		at += s.recSize
	}
}

// fillKeywords asks for a number when the bits are others than those of the message before.
func (s *State) fillKeywords(records []formats.Record, at, size int, number func([]string) uint32) {
	var last []byte
	var n uint32
	known := map[string]uint32{}
	for k := range records {
		bits := s.records[at : at+size]
		at += s.recSize
		if !bytes.Equal(bits, last) {
			var ok bool
			if n, ok = known[string(bits)]; !ok {
				if names := s.keywordNames(bits); len(names) > 0 {
					n = number(names)
				}
				known[string(bits)] = n
			}
			last = bits
		}
		records[k].Keywords = n
	}
}

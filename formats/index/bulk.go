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
	if i+n > s.Len() || j+n > other.Len() || s.records.size != other.records.size || !s.sameLayout(other) {
		return false
	}
	return s.records.same(i, &other.records, j, n) && (s.modseq == other.modseq || !s.anyWithoutModSeq(i, n))
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
	at := s.modseqOffset()
	if at < 0 || !s.records.anyBare() {
		return false // where no modseqs are kept, Records gives 0
	}
	for k := range n {
		if binary.LittleEndian.Uint64(s.records.at(i + k)[at:]) == 0 {
			return true
		}
	}
	return false
}

// Records fills records with the messages from place i on, as formats.View wants it. Sizes are not known.
func (s *State) Records(records []formats.Record, i int, number func(keywords []string) uint32) {
	modseq, keywords := s.modseqOffset(), s.Ext("keywords")
	s.records.runs(i, len(records), func(run []byte) {
		n := len(run) / s.records.size
		s.fill(records[:n], run)
		if modseq >= 0 {
			s.fillModSeqs(records[:n], run[modseq:])
		}
		if keywords != nil && keywords.Size > 0 {
			s.fillKeywords(records[:n], run[keywords.offset:], int(keywords.Size), number)
		}
		records = records[n:]
	})
}

func (s *State) fill(records []formats.Record, run []byte) {
	for k, at := 0, 0; k < len(records); k, at = k+1, at+s.records.size {
		rec := run[at : at+5]
		records[k] = formats.Record{
			UID:         formats.UID(binary.LittleEndian.Uint32(rec)),
			Flags:       formats.Flags(rec[4]) & formats.SystemFlags,
			VirtualSize: -1,
		}
	}
}

func (s *State) fillModSeqs(records []formats.Record, run []byte) {
	highest := s.HighestModSeq()
	for k, at := 0, 0; k < len(records); k, at = k+1, at+s.records.size {
		m := formats.ModSeq(binary.LittleEndian.Uint64(run[at:]))
		if m == 0 {
			m = highest
		}
		records[k].ModSeq = m
	}
}

// fillKeywords asks for a number when the bits are others than those of the message before.
func (s *State) fillKeywords(records []formats.Record, run []byte, size int, number func([]string) uint32) {
	if size == 1 {
		s.fillOctets(records, run, number)
		return
	}
	var last []byte
	var n uint32
	known := map[string]uint32{}
	for k := range records {
		bits := run[k*s.records.size:][:size]
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

// fillOctets is fillKeywords for no more than eight keywords.
func (s *State) fillOctets(records []formats.Record, run []byte, number func([]string) uint32) {
	var numbers [256]uint32
	var known [256]bool
	for k := range records {
		bits := run[k*s.records.size]
		if bits != 0 && !known[bits] {
			known[bits] = true
			if names := s.keywordNames([]byte{bits}); len(names) > 0 {
				numbers[bits] = number(names)
			}
		}
		records[k].Keywords = numbers[bits]
	}
}

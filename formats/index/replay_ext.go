package index

import (
	"encoding/binary"
	"math"
	"slices"

	"dovetail/formats"
	"dovetail/formats/index/translog"
)

// extension applies the records about extensions. All but ExtIntro are about the one introduced last.
func (p *replayer) extension(r translog.Record) error {
	if r.Type == translog.ExtIntro {
		for in := range r.Intros() {
			if err := p.intro(in); err != nil {
				return err
			}
		}
		return nil
	}
	if p.ext < 0 {
		return formats.Corrupt("%v without an ext-intro", r.Type)
	}
	e := &p.s.Extensions[p.ext]
	if r.Type == translog.ExtReset {
		p.reset(e, r)
		return nil
	}
	if p.void {
		return nil
	}
	switch r.Type {
	case translog.ExtRecUpdate:
		return p.data(e, r)
	case translog.ExtAtomicInc:
		return p.increments(e, r)
	}
	for offset, data := range r.Patches() {
		if int64(offset)+int64(len(data)) > int64(len(e.Header)) {
			return formats.Corrupt("header update of %d bytes at %d outside the header of extension %s", len(data), offset, e.Name)
		}
		copy(e.Header[offset:], data)
	}
	if e.Name == "modseq" && len(e.Header) == 16 {
		p.enableModSeqs(binary.LittleEndian.Uint64(e.Header))
	}
	return nil
}

// intro makes an extension known or changes its sizes.
func (p *replayer) intro(in translog.Intro) error {
	s := p.s
	p.ext, p.void, p.extSize = -1, false, int(in.Size)
	switch {
	case in.ID == translog.NoExtID && in.Name == "":
		return formats.Corrupt("ext-intro without id and name")
	case in.ID == translog.NoExtID:
		p.ext = slices.IndexFunc(s.Extensions, func(e Extension) bool { return e.Name == in.Name })
	case int64(in.ID) >= int64(len(s.Extensions)):
		return formats.Corrupt("ext-intro for unknown id %d", in.ID)
	default:
		p.ext, in.Name = int(in.ID), s.Extensions[in.ID].Name
	}
	if in.Name == "keywords" {
		return formats.Corrupt("ext-intro for keywords")
	}
	if in.HeaderSize > maxHeader || int64(in.HeaderSize) > p.limit {
		return formats.Corrupt("extension %s with a header of %d bytes", in.Name, in.HeaderSize)
	}
	if p.ext < 0 {
		e := Extension{Name: in.Name, ResetID: in.ResetID, Header: make([]byte, in.HeaderSize), Size: in.Size, Align: in.Align}
		p.ext = len(s.Extensions)
		return p.introduce(e)
	}
	e := &s.Extensions[p.ext]
	if e.ResetID != in.ResetID {
		p.void = true
		return nil
	}
	return p.adapt(e, in)
}

// introduce adds an extension.
func (p *replayer) introduce(e Extension) error {
	if err := e.check(); err != nil {
		return err
	}
	if len(p.s.Extensions) >= maxExtensions {
		return formats.Corrupt("more than %d extensions", maxExtensions)
	}
	p.limit -= int64(len(e.Header))
	return p.relayout(func() { p.s.Extensions = append(p.s.Extensions, e) })
}

// adapt gives an extension the sizes of a new introduction (mail-index-sync-ext.c sync_ext_resize).
func (p *replayer) adapt(e *Extension, in translog.Intro) error {
	had, want := pad8(len(e.Header)), pad8(int(in.HeaderSize))
	if want >= had || !in.NoShrink {
		more := max(0, int(in.HeaderSize)-len(e.Header))
		p.limit -= int64(more)
		e.Header = append(e.Header[:min(len(e.Header), int(in.HeaderSize))], make([]byte, more)...)
	}
	size, align := in.Size, in.Align
	if in.NoShrink {
		size, align = max(size, e.Size), max(align, e.Align)
	}
	if err := (&Extension{Name: e.Name, Header: e.Header, Size: size, Align: align}).check(); err != nil {
		return err
	}
	return p.resize(e, int(size), align)
}

func (p *replayer) resize(e *Extension, size int, align uint16) error {
	if e.Size == uint16(size) && (e.Align == align || size == 0) {
		return nil
	}
	if size > maxRecordSize {
		return formats.Corrupt("extension %s with record size %d", e.Name, size)
	}
	return p.relayout(func() { e.Size, e.Align = uint16(size), align })
}

// relayout makes a change of the extensions and moves all records to the layout that results.
func (p *replayer) relayout(change func()) error {
	s := p.s
	had := slices.Clone(s.Extensions)
	change()
	size := layout(s.Extensions)
	n := s.Len()
	if size > maxRecordSize || int64(n)*int64(size) > p.limit {
		return formats.Corrupt("%d records of %d bytes", n, size)
	}
	if n > 0 {
		records := make([]byte, n*size)
		for i := range n {
			from, to := s.records.at(i), records[i*size:]
			copy(to, from[:recordStart])
			for x, e := range had {
				keep := min(e.Size, s.Extensions[x].Size)
				copy(to[s.Extensions[x].offset:], from[e.offset:e.offset+keep])
			}
		}
		s.records = pagesOf(records, size)
	}
	s.records.size = size
	return nil
}

func (p *replayer) reset(e *Extension, r translog.Record) {
	id, keep := r.Reset()
	e.ResetID = id
	if keep {
		return
	}
	clear(e.Header)
	for i := range p.s.Len() {
		clear(e.of(p.s.records.change(i)))
	}
}

// enableModSeqs gives messages without a modseq the one that was shown for all of them before.
func (p *replayer) enableModSeqs(highest uint64) {
	at := p.s.modseqOffset()
	if at < 0 {
		return
	}
	for i := range p.s.Len() {
		if binary.LittleEndian.Uint64(p.s.records.at(i)[at:]) == 0 {
			binary.LittleEndian.PutUint64(p.s.records.change(i)[at:], highest)
		}
	}
}

// message gives the place of the message that an ext record is about; -1 when it was expunged.
func (p *replayer) message(uid uint32, r translog.Record) (int, error) {
	if uid == 0 || uid >= uint32(p.s.NextUID) {
		return -1, formats.Corrupt("%v of UID %d, but the next UID is %d", r.Type, uid, p.s.NextUID)
	}
	i, j := p.span(uid, uid)
	if i == j || p.dead != nil && p.dead[i] {
		return -1, nil
	}
	return i, nil
}

func (p *replayer) data(e *Extension, r translog.Record) error {
	entries, ok := r.Data(p.extSize)
	if !ok {
		return formats.Corrupt("%v record of %d bytes for extension %s of %d", r.Type, len(r.Payload), e.Name, p.extSize)
	}
	for uid, data := range entries {
		i, err := p.message(uid, r)
		if err != nil {
			return err
		}
		if i >= 0 {
			field := e.of(p.s.records.change(i))
			clear(field[copy(field, data):])
		}
	}
	return nil
}

func (p *replayer) increments(e *Extension, r translog.Record) error {
	if n := p.extSize; n != 1 && n != 2 && n != 4 && n != 8 || n > int(e.Size) {
		return formats.Corrupt("%v of extension %s with %d bytes", r.Type, e.Name, n)
	}
	for uid, diff := range r.Increments() {
		i, err := p.message(uid, r)
		if err != nil {
			return err
		}
		if i < 0 {
			continue
		}
		if !increment(e.of(p.s.records.change(i))[:p.extSize], diff) {
			return formats.Corrupt("%v of UID %d by %d leaves the range of extension %s", r.Type, uid, diff, e.Name)
		}
	}
	return nil
}

// increment adds diff to the number in b, unless the result does not fit.
func increment(b []byte, diff int32) bool {
	var full [8]byte
	copy(full[:], b)
	n := binary.LittleEndian.Uint64(full[:])
	limit := uint64(math.MaxUint64) >> (64 - 8*len(b))
	if diff < 0 && n < uint64(-int64(diff)) || diff > 0 && n > limit-min(limit, uint64(diff)) {
		return false
	}
	binary.LittleEndian.PutUint64(full[:], n+uint64(int64(diff)))
	copy(b, full[:])
	return true
}

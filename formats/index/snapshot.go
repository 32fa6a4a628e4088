package index

import (
	"encoding/binary"
	"io"
	"slices"

	"dovetail/formats"
)

// maxRecordSize bounds what one message may take, with room for 16,000 keywords.
const maxRecordSize = 4096

// readSnapshot reads a whole dovecot.index of the given size. The records take as much memory as they take in the file.
func readSnapshot(r io.ReaderAt, size int64) (*State, *header, error) {
	s, h, err := readHeader(r, size)
	if err != nil {
		return nil, h, err
	}
	n := int64(h.messages) * int64(h.recSize)
	if n > size-int64(h.size) {
		return nil, h, badIndex(32, formats.Corrupt("%d messages of %d bytes do not fit in a file of %d bytes", h.messages, h.recSize, size))
	}
	records := make([]byte, n)
	if _, err := r.ReadAt(records, int64(h.size)); err != nil && (err != io.EOF || n > 0) {
		return nil, h, badIndex(int64(h.size), err)
	}
	s.records = pagesOf(records, int(h.recSize))
	s.records.count(s.modseqOffset())
	if err := s.checkRecords(int64(h.size)); err != nil {
		return nil, h, err
	}
	return s, h, badHeader(h.check(s.lastUID()))
}

// readHeader reads base header and extensions.
func readHeader(r io.ReaderAt, size int64) (*State, *header, error) {
	h := new(header)
	b := make([]byte, min(size, 1<<16))
	if _, err := r.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, h, badIndex(0, err)
	}
	if err := h.read(b); err != nil {
		return nil, h, badIndex(0, err)
	}
	if int64(h.size) > size {
		return nil, h, badIndex(4, formats.Corrupt("header of %d bytes in a file of %d", h.size, size))
	}
	if h.recSize > maxRecordSize {
		return nil, h, badIndex(8, formats.Corrupt("record size %d", h.recSize))
	}
	if int(h.size) > len(b) {
		b = make([]byte, h.size)
		if _, err := r.ReadAt(b, 0); err != nil {
			return nil, h, badIndex(0, err)
		}
	}
	exts, err := readExtensions(b[:h.size], baseSize+len(h.extra), h.recSize)
	if err != nil {
		return nil, h, err
	}
	s := &State{Header: h.Header, Extensions: exts, records: pages{size: int(h.recSize)}, extra: h.extra}
	if e := s.Ext("keywords"); e != nil {
		if s.Keywords, err = readKeywords(e.Header); err != nil {
			return nil, h, badIndex(0, err)
		}
	}
	_, _, s.modseq, _ = s.counted()
	return s, h, nil
}

// checkRecords makes sure that UIDs ascend; the first record lies at offset of the file.
func (s *State) checkRecords(offset int64) error {
	var last formats.UID
	for i := range s.Len() {
		uid := s.UID(i)
		if uid <= last {
			at := offset + int64(i)*int64(s.records.size)
			return badIndex(at, formats.Corrupt("record with UID %d after UID %d", uid, last))
		}
		last = uid
	}
	return nil
}

func (s *State) lastUID() formats.UID {
	if s.Len() == 0 {
		return 0
	}
	return s.UID(s.Len() - 1)
}

func badIndex(offset int64, err error) error {
	return &formats.Error{Op: "read index", Offset: offset, Err: err}
}

func badHeader(err error) error {
	if err == nil {
		return nil
	}
	return badIndex(0, err)
}

// snapshot gives the header area of the file; the records follow it as they are. Counters and low-water marks are
// computed here, and the modseq extension gets the counter and the place in the log that it is good for.
func (s *State) snapshot() []byte {
	h := header{Header: s.Header, recSize: uint32(s.records.size), messages: uint32(s.Len()), extra: s.extra}
	h.unseenLow, h.delLow = uint32(s.NextUID), uint32(s.NextUID)
	for i := range s.Len() {
		f, uid := s.Flags(i), uint32(s.UID(i))
		if f&formats.Seen != 0 {
			h.seen++
		} else {
			h.unseenLow = min(h.unseenLow, uid)
		}
		if f&formats.Deleted != 0 {
			h.deleted++
			h.delLow = min(h.delLow, uid)
		}
	}
	b := make([]byte, pad8(baseSize+len(s.extra)))
	for _, e := range s.Extensions {
		switch e.Name {
		case "keywords":
			e.Header = keywordsHeader(s.Keywords, len(e.Header))
		case "modseq":
			if len(e.Header) == 16 {
				e.Header = s.modseqHeader()
			}
		}
		b = e.appendTo(b)
	}
	h.size = uint32(len(b))
	h.appendTo(b[:0])
	return b
}

// modseqHeader is the counter and the place in the log up to which it has counted.
func (s *State) modseqHeader() []byte {
	b := binary.LittleEndian.AppendUint64(nil, s.modseq)
	b = binary.LittleEndian.AppendUint32(b, s.LogSeq)
	return binary.LittleEndian.AppendUint32(b, s.Head)
}

// counted is what the modseq extension says: the counter's value at a place in a log.
func (s *State) counted() (seq, offset uint32, highest uint64, ok bool) {
	e := s.Ext("modseq")
	if e == nil || len(e.Header) != 16 {
		return 0, 0, 0, false
	}
	le := binary.LittleEndian
	return le.Uint32(e.Header[8:]), le.Uint32(e.Header[12:]), le.Uint64(e.Header), true
}

// clone gives a copy that can be changed without a trace in s.
func (s *State) clone() *State {
	c := *s
	c.Extensions = slices.Clone(s.Extensions)
	for i := range c.Extensions {
		c.Extensions[i].Header = slices.Clone(c.Extensions[i].Header)
	}
	c.Keywords = slices.Clip(s.Keywords)
	c.records = s.records.share()
	return &c
}

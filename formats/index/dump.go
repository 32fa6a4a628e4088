package index

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"dovetail/formats"
)

// Dump prints a dovecot.index: header, extensions and records, each with the offset where it begins. What can be read of
// a damaged file is printed; damage is also the error.
func Dump(w io.Writer, r io.ReaderAt, size int64) error {
	out := bufio.NewWriter(w)
	err := dump(out, r, size)
	if err != nil {
		fmt.Fprintf(out, "          %v\n", err)
	}
	return errors.Join(err, out.Flush())
}

func dump(w io.Writer, r io.ReaderAt, size int64) error {
	s, h, err := readHeader(r, size)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%8d  index indexid=%d flags=%d uidvalidity=%d next-uid=%d first-recent=%d messages=%d seen=%d deleted=%d\n",
		0, h.IndexID, h.Flags, h.UIDValidity, h.NextUID, h.FirstRecent, h.messages, h.seen, h.deleted)
	fmt.Fprintf(w, "%8d  unseen-from=%d deleted-from=%d log-seq=%d log-tail=%d log-head=%d log2-rotated=%d temp-scan=%d day=%d %d\n",
		52, h.unseenLow, h.delLow, h.LogSeq, h.Tail, h.Head, h.Log2Rotated, h.TempScan, h.DayStamp, h.DayFirst)
	at := pad8(baseSize + len(h.extra))
	for _, e := range s.Extensions {
		fmt.Fprintf(w, "%8d  extension %q reset=%d header=%d record=%d at %d align=%d: %s\n",
			at, e.Name, e.ResetID, len(e.Header), e.Size, e.offset, e.Align, s.headerText(e))
		at += pad8(pad8(extHead+len(e.Name)) + len(e.Header))
	}
	return s.dumpRecords(w, r, size, h)
}

func (s *State) headerText(e Extension) string {
	switch {
	case e.Name == "keywords":
		return fmt.Sprintf("%q", s.Keywords)
	case e.Name == "modseq" && len(e.Header) == 16:
		seq, offset, highest, _ := s.counted()
		return fmt.Sprintf("highest=%d log-seq=%d log-offset=%d", highest, seq, offset)
	}
	return fmt.Sprintf("%x", e.Header)
}

// dumpRecords prints records in pieces: the file may be larger than memory.
func (s *State) dumpRecords(w io.Writer, r io.ReaderAt, size int64, h *header) error {
	recSize := int64(h.recSize)
	at := int64(h.size)
	last := formats.UID(0)
	var bad error
	for range h.messages {
		if at+recSize > size {
			return errors.Join(bad, badIndex(at, formats.Corrupt("records end here, %d messages are counted", h.messages)))
		}
		record := make([]byte, recSize)
		if _, err := r.ReadAt(record, at); err != nil && err != io.EOF {
			return err
		}
		s.records = pagesOf(record, int(recSize))
		fmt.Fprintf(w, "%8d  uid=%d flags=(%v)%s\n", at, s.UID(0), s.Flags(0)&formats.SystemFlags, s.recordText())
		if s.UID(0) <= last && bad == nil {
			bad = badIndex(at, formats.Corrupt("record with UID %d after UID %d", s.UID(0), last))
		}
		last = s.UID(0)
		at += recSize
	}
	if at < size {
		fmt.Fprintf(w, "%8d  %d bytes behind the last record\n", at, size-at)
	}
	return bad
}

func (s *State) recordText() string {
	var b strings.Builder
	if rest := s.Flags(0) &^ formats.SystemFlags; rest != 0 {
		fmt.Fprintf(&b, " more-flags=%#x", uint8(rest))
	}
	for i := range s.Extensions {
		e := &s.Extensions[i]
		switch {
		case e.Size == 0:
		case e.Name == "keywords":
			fmt.Fprintf(&b, " keywords=%q", s.keywordNames(s.Data(0, e)))
		case e.Name == "modseq" && e.Size == 8:
			fmt.Fprintf(&b, " modseq=%d", s.ModSeq(0))
		default:
			fmt.Fprintf(&b, " %s=%x", e.Name, s.Data(0, e))
		}
	}
	return b.String()
}

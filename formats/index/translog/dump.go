package translog

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"dovetail/formats"
)

// Dump prints a log, one line for the header and for each record, each with the offset where it begins. Damage and what
// lies behind the last complete transaction are printed too; damage is also the error.
func Dump(w io.Writer, r io.ReaderAt, size int64) error {
	out := bufio.NewWriter(w)
	err := dump(out, r, size)
	return errors.Join(err, out.Flush())
}

func dump(w io.Writer, r io.ReaderAt, size int64) error {
	h, err := ReadHeader(r)
	if err != nil {
		fmt.Fprintf(w, "%8d  %v\n", 0, err)
		return err
	}
	fmt.Fprintf(w, "%8d  log %d.%d indexid=%d seq=%d prev-seq=%d prev-offset=%d created=%d modseq=%d header=%d\n",
		0, major, h.Minor, h.IndexID, h.Seq, h.PrevSeq, h.PrevOffset, h.Created, h.InitialModSeq, h.Size)
	d := dumper{w: w, modseq: h.InitialModSeq}
	reader := NewReader(r, size)
	for rec, err := range reader.Records(int64(h.Size)) {
		if err != nil {
			fmt.Fprintf(w, "%8d  %v\n", rec.Offset, err)
			return err
		}
		d.modseq = rec.Count(d.modseq, h.Minor)
		d.record(rec)
	}
	if end := reader.End(); end < size {
		fmt.Fprintf(w, "%8d  %d bytes that are no complete transaction\n", end, size-end)
	}
	return nil
}

type dumper struct {
	w      io.Writer
	modseq uint64
	ext    int // record size of the extension introduced last
}

func (d *dumper) record(r Record) {
	fmt.Fprintf(d.w, "%8d  %v size=%d", r.Offset, r.Type, r.Next()-r.Offset)
	if r.External {
		fmt.Fprint(d.w, " external")
	}
	if r.Sync {
		fmt.Fprint(d.w, " sync")
	}
	fmt.Fprintf(d.w, " modseq=%d:", d.modseq)
	switch r.Type {
	case Append, FlagUpdate, Expunge, ExpungeGUID, KeywordReset, KeywordUpdate, ModSeqUpdate, ExtAtomicInc, ExtRecUpdate:
		d.messages(r)
	default:
		d.other(r)
	}
	fmt.Fprintln(d.w)
}

// messages prints records with an entry for each message or range.
func (d *dumper) messages(r Record) {
	switch r.Type {
	case Append:
		for uid, flags := range r.Appends() {
			fmt.Fprintf(d.w, " %d(%s)", uid, flagText(flags))
		}
	case FlagUpdate:
		for f := range r.FlagUpdates() {
			fmt.Fprintf(d.w, " %d:%d(+%s -%s)", f.First, f.Last, flagText(f.Add), flagText(f.Remove))
		}
	case ExpungeGUID:
		for uid, guid := range r.GUIDs() {
			fmt.Fprintf(d.w, " %d(%x)", uid, guid)
		}
	case ModSeqUpdate:
		for uid, m := range r.ModSeqs() {
			fmt.Fprintf(d.w, " %d=%d", uid, m)
		}
	case ExtAtomicInc:
		for uid, diff := range r.Increments() {
			fmt.Fprintf(d.w, " %d%+d", uid, diff)
		}
	case ExtRecUpdate:
		entries, ok := r.Data(d.ext)
		if !ok {
			fmt.Fprintf(d.w, " %x", r.Payload)
			return
		}
		for uid, data := range entries {
			fmt.Fprintf(d.w, " %d=%x", uid, data)
		}
	default:
		if r.Type == KeywordUpdate {
			name, remove := r.Keyword()
			fmt.Fprintf(d.w, " %s%q", map[bool]string{false: "+", true: "-"}[remove], name)
		}
		for first, last := range r.Ranges() {
			fmt.Fprintf(d.w, " %d:%d", first, last)
		}
	}
}

func (d *dumper) other(r Record) {
	switch r.Type {
	case HeaderUpdate, ExtHdrUpdate, ExtHdrUpdate32:
		for offset, data := range r.Patches() {
			fmt.Fprintf(d.w, " %d=%x", offset, data)
		}
	case ExtIntro:
		for in := range r.Intros() {
			d.ext = int(in.Size)
			fmt.Fprintf(d.w, " name=%q", in.Name)
			if in.ID != NoExtID {
				fmt.Fprintf(d.w, " id=%d", in.ID)
			}
			fmt.Fprintf(d.w, " reset=%d header=%d record=%d align=%d", in.ResetID, in.HeaderSize, in.Size, in.Align)
		}
	case ExtReset:
		id, keep := r.Reset()
		fmt.Fprintf(d.w, " reset=%d keep=%t", id, keep)
	case Boundary:
		fmt.Fprintf(d.w, " total=%d", binary.LittleEndian.Uint32(r.Payload))
	case AttributeUpdate:
		text, _, _ := bytes.Cut(r.Payload, []byte{0, 0})
		fmt.Fprintf(d.w, " %q", text)
	default:
		fmt.Fprintf(d.w, " %x", r.Payload)
	}
}

// flagText names the flags of a record; the bits that IMAP does not know are given as a number.
func flagText(f uint8) string {
	names := (formats.Flags(f) & formats.SystemFlags).String()
	if rest := f &^ uint8(formats.SystemFlags); rest != 0 {
		names += fmt.Sprintf(" %#x", rest)
	}
	return names
}

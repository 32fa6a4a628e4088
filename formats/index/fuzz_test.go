package index

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"

	"dovetail/formats"
	"dovetail/formats/index/translog"
)

// reread writes a snapshot of s and reads it again.
func reread(t *testing.T, s *State) *State {
	t.Helper()
	b := s.snapshot()
	s.records.runs(0, s.Len(), func(run []byte) { b = append(b, run...) })
	again, _, err := readSnapshot(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatalf("our own snapshot: %v", err)
	}
	return again
}

func FuzzIndex(f *testing.F) {
	f.Add(goldenIndex(f, true))
	f.Add(goldenIndex(f, false))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := Dump(io.Discard, bytes.NewReader(b), int64(len(b))); err != nil && !errors.Is(err, formats.ErrCorrupt) {
			t.Fatalf("dump: %v", err)
		}
		s, _, err := readSnapshot(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		again := reread(t, s)
		if !slices.Equal(known(again), known(s)) || again.Header != s.Header || !slices.Equal(again.Keywords, s.Keywords) {
			t.Fatalf("written and read again %+v %q, want %+v %q", again.Header, known(again), s.Header, known(s))
		}
	})
}

// FuzzReplay reads any snapshot with any log. Whatever state comes out of it can be written, and changed through a log
// that reads back the same.
func FuzzReplay(f *testing.F) {
	log := unhex(f, goldenLog)
	f.Add(goldenIndex(f, true), log)
	f.Add([]byte{}, log)
	rotated := slices.Clone(log)
	rotated[8], rotated[12], rotated[16], rotated[17] = 3, 2, 0x88, 1
	f.Add(goldenIndex(f, false), rotated)
	f.Add([]byte{}, slices.Concat(log, logOfEverything()))
	f.Fuzz(func(t *testing.T, snap, log []byte) {
		d := testDir(t, nil)
		if len(snap) > 0 {
			writeFile(t, d, "dovecot.index", snap)
		}
		writeFile(t, d, "dovecot.index.log", log)
		if _, err := Check(d, Prefix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("check: %v", err)
		}
		x, err := Open(d, Prefix)
		if err != nil {
			if !errors.Is(err, formats.ErrCorrupt) && !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("open: %v", err)
			}
			return
		}
		defer x.Close()
		s := x.Snapshot()
		if s.records.bytes() > 64<<20+64*int64(len(snap)+len(log)) {
			t.Fatalf("%d bytes of records from %d bytes of files", s.records.bytes(), len(snap)+len(log))
		}
		err = x.Update(t.Context(), func(tx *Tx) error {
			if s.Len() > 0 {
				tx.UpdateFlags(formats.RangesOf(s.UID(0)), formats.Draft, formats.Seen)
				tx.AddKeyword("k", formats.RangesOf(s.UID(0)))
			}
			if uid := tx.NextUID(); uid != 0 && uid < 1<<31 {
				_, err := tx.Append(Message{UID: uid, ModSeq: 3, Keywords: []string{"k"}})
				return err
			}
			return nil
		})
		if err != nil {
			return // for instance a state that Dovecot would refuse too: no room for more extensions
		}
		fresh, err := Read(d, Prefix)
		if err != nil || !slices.Equal(known(fresh), known(x.Snapshot())) {
			t.Fatalf("state after an update %q, read anew %q, %v", known(x.Snapshot()), known(fresh), err)
		}
	})
}

// logOfEverything is a transaction with records of every type.
func logOfEverything() []byte {
	var b translog.Builder
	le := func(v ...byte) []byte { return append(v, make([]byte, 8-len(v))...) }
	b.Add(translog.ExtIntro|translog.External, translog.AppendIntro(nil, translog.Intro{ID: translog.NoExtID, Name: "ref", Size: 2, Align: 2}))
	b.Add(translog.Append|translog.External, slices.Concat(le(20), le(21, 0, 0, 0, 4)))
	b.Add(translog.ExtRecUpdate|translog.External, translog.AppendData(translog.AppendData(nil, 20, []byte{1, 0}), 21, []byte{2, 0}))
	b.Add(translog.ExtAtomicInc|translog.External, slices.Concat(le(20, 0, 0, 0, 5), le(21, 0, 0, 0, 0xff, 0xff, 0xff, 0xff)))
	b.Add(translog.ExtReset|translog.External, le(9))
	b.Add(translog.FlagUpdate|translog.External, []byte{7, 0, 0, 0, 20, 0, 0, 0, 8, 2, 0, 0})
	b.Add(translog.KeywordUpdate|translog.External, append(translog.AppendKeyword(nil, "more", false), 7, 0, 0, 0, 20, 0, 0, 0))
	b.Add(translog.KeywordUpdate|translog.External, append(translog.AppendKeyword(nil, "$forwarded", true), 7, 0, 0, 0, 7, 0, 0, 0))
	b.Add(translog.KeywordReset|translog.External, []byte{20, 0, 0, 0, 20, 0, 0, 0})
	b.Add(translog.ModSeqUpdate|translog.External, translog.AppendModSeq(nil, 7, 77))
	b.Add(translog.ExpungeGUID|translog.External, append([]byte{20, 0, 0, 0}, make([]byte, 16)...))
	b.Add(translog.Expunge|translog.External, []byte{21, 0, 0, 0, 30, 0, 0, 0})
	b.Add(translog.HeaderUpdate|translog.External, translog.AppendPatch(nil, offNextUID, []byte{99, 0, 0, 0}))
	b.Add(translog.IndexDeleted|translog.External, make([]byte, 4))
	b.Add(translog.IndexUndeleted|translog.External, make([]byte, 4))
	return b.Bytes()
}

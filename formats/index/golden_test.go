package index

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// The sample is one message in an sdbox INBOX. Real Dovecot 2.3.19.1 and 2.4.4 read these bytes without a word in
// their logs.
const (
	goldenLog = `
		01032800 01f15365 02000000 00000000 00000000 01f15365 0100000000000000 0100000000000000
		80808089 40000000 ffffffff 00000000 18000000 0000 0000 0000 0800 64626f782d686472
		80808089 00010000 0000 1800 00000000 00112233445566778899aabbccddeeff 00000000
		80808083 00000810 18010000
		8080808b 40000010 ffffffff 00000000 04000000 0000 0000 0100 0d00 6864722d706f70332d7569646c 000000
		80808084 00010010 0000 0400 00000000
		80808089 40000010 ffffffff 00000000 10000000 0800 0800 0100 0600 6d6f64736571 0000
		80808087 00010010 0000 1000 0100000000000000 00000000 00000000
		80808084 20000010 1800 0400 00f15365
		80808084 20000010 5000 0400 01f15365
		80808084 02000010 07000000 0a 000000
		80808088 00040010 00 00 0a00 24466f72776172646564 0000 07000000 07000000
		80808088 00800010 07000000 05000000 00000000  00000000 09000000 00000000
		80808084 20000010 1c00 0400 0c000000
		80808084 20000010 3000 0400 0c000000`

	goldenHead = `
		07037800 a8010000 10000000 01000000 01f15365 00000000 00f15365 0c000000
		01000000 00000000 01000000 00000000 0c000000 0c000000 0c000000 02000000
		88010000 88010000 00000000 ffffffff 01f15365 00000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000
		18000000 00000000 0000 0000 0000 0800 64626f782d686472 00000000 00112233445566778899aabbccddeeff 00000000
		04000000 00000000 0000 0000 0000 0d00 6864722d706f70332d7569646c 000000 00000000 00000000`
	goldenKeywords = `
		98000000 00000000 0500 0200 0100 0800 6b6579776f726473
		01000000 00000000 00000000 24466f72776172646564 0000`
	goldenModSeq = `
		10000000 00000000 0800 0800 0800 0600 6d6f64736571 0000
		0900000000000000 02000000 88010000`
	goldenRecord = `07000000 0a 0100 00 0500000000000000`
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// goldenIndex is the snapshot, with the extensions in the order given.
func goldenIndex(t testing.TB, keywordsFirst bool) []byte {
	keywords := append(unhex(t, goldenKeywords), make([]byte, 128)...)
	modseq := unhex(t, goldenModSeq)
	parts := [][]byte{unhex(t, goldenHead), keywords, modseq, unhex(t, goldenRecord)}
	if !keywordsFirst {
		parts[1], parts[2] = parts[2], parts[1]
	}
	return slices.Concat(parts...)
}

var goldenGUID = []byte{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}

func goldenNew() New {
	return New{
		IndexID:       1700000001,
		Created:       time.Unix(1700000001, 0),
		UIDValidity:   1700000000,
		NextUID:       12,
		HighestModSeq: 9,
		Extensions: []Extension{
			{Name: "dbox-hdr", Header: slices.Concat(make([]byte, 4), goldenGUID, make([]byte, 4))},
			{Name: "hdr-pop3-uidl", Header: make([]byte, 4)},
		},
		Messages: []Message{
			{UID: 7, Flags: formats.Seen | formats.Flagged, Keywords: []string{"$Forwarded"}, ModSeq: 5},
		},
	}
}

// testDir is an empty folder on disk.
func testDir(t testing.TB, f *disk.FS) *disk.Dir {
	t.Helper()
	d, err := f.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func writeFile(t testing.TB, d *disk.Dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.Path(), name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, d *disk.Dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(d.Path(), name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func checkGolden(t *testing.T, s *State) {
	t.Helper()
	if s.UIDValidity != 1700000000 || s.NextUID != 12 || s.FirstRecent != 12 || s.IndexID != 1700000001 {
		t.Errorf("header %+v", s.Header)
	}
	if s.Len() != 1 || s.UID(0) != 7 || s.Flags(0) != formats.Seen|formats.Flagged {
		t.Fatalf("messages: %d, first %d %v", s.Len(), s.UID(0), s.Flags(0))
	}
	if kw := s.KeywordsOf(0); !slices.Equal(kw, []string{"$Forwarded"}) {
		t.Errorf("keywords %q", kw)
	}
	if s.ModSeq(0) != 5 || s.HighestModSeq() != 9 {
		t.Errorf("modseq %d, highest %d; want 5 and 9", s.ModSeq(0), s.HighestModSeq())
	}
	if e := s.Ext("dbox-hdr"); e == nil || !bytes.Equal(e.Header[4:20], goldenGUID) {
		t.Errorf("dbox-hdr is %+v", e)
	}
}

func TestReadsTheSample(t *testing.T) {
	log, both := unhex(t, goldenLog), goldenIndex(t, true)
	for _, c := range []struct {
		name  string
		files map[string][]byte
	}{
		{"from the log alone", map[string][]byte{"dovecot.index.log": log}},
		{"from the snapshot alone", map[string][]byte{"dovecot.index": both}},
		{"from the snapshot and the log that it holds", map[string][]byte{"dovecot.index.log": log, "dovecot.index": both}},
		{"with the extensions in the log's order", map[string][]byte{"dovecot.index": goldenIndex(t, false)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := testDir(t, nil)
			for name, b := range c.files {
				writeFile(t, d, name, b)
			}
			s, err := Read(d, Prefix)
			if err != nil {
				t.Fatal(err)
			}
			checkGolden(t, s)
		})
	}
}

// The sample's snapshot has keywords before modseq, its log introduces them the other way round. We write the same order
// in both: Dovecot names extensions by their number in later log records, and the numbers must be the same for one who
// reads the log without the snapshot.
func TestCreateWritesTheSample(t *testing.T) {
	d := testDir(t, nil)
	x, err := Create(t.Context(), d, Prefix, goldenNew())
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if got, want := readFile(t, d, "dovecot.index.log"), unhex(t, goldenLog); !bytes.Equal(got, want) {
		t.Errorf("log is\n%s\nwant\n%s", hex.Dump(got), hex.Dump(want))
	}
	if got, want := readFile(t, d, "dovecot.index"), goldenIndex(t, false); !bytes.Equal(got, want) {
		t.Errorf("snapshot is\n%s\nwant\n%s", hex.Dump(got), hex.Dump(want))
	}
	checkGolden(t, x.Snapshot())
}

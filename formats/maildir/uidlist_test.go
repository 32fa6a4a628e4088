package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"dovetail/formats"
)

// readAll reads a list as text: the header and one line for each record, then the damage.
func readAll(b []byte) (out []byte, last formats.UID, damage error, err error) {
	r := newListReader(bytes.NewReader(b))
	h, err := r.header()
	if err != nil {
		return nil, 0, nil, err
	}
	out = h.append(nil)
	for {
		rec, ok, err := r.record()
		if err != nil || !ok {
			return out, r.last, r.damage, err
		}
		out = rec.append(out)
	}
}

func TestListIsWrittenAsItWasRead(t *testing.T) {
	for _, c := range []struct{ what, in, out string }{
		{"version 3 with unknown keys", "3 V12 N70011 G0102030405060708090a0b0c0d0e0f10 P%f Xy\n3 Gabc W12 Zkeep :1.host,S=1\n70000 :2.host\n", ""},
		{"version 1", "1 12 99\n3 1.host:2,S\n", "3 V12 N99\n3 :1.host\n"},
		{"more blanks", "3 V12  N5\n3  Ga  Pb :1.host\n", "3 V12 N5\n3 Ga Pb :1.host\n"},
		{"a field that is none", "3 V12 N5\n3 ga Pb :1.host\n", "3 V12 N5\n3 Pb :1.host\n"},
		{"an empty list", "3 V12 N5\n", ""},
	} {
		want := c.out
		if want == "" {
			want = c.in
		}
		got, _, damage, err := readAll([]byte(c.in))
		if string(got) != want || damage != nil || err != nil {
			t.Errorf("%s: %q gives\n%q, %v, %v, want\n%q", c.what, c.in, got, damage, err, want)
		}
	}
}

func TestDamagedListIsReadUpToTheDamage(t *testing.T) {
	const head = "3 V12 N5\n1 :a\n4 :b\n"
	for what, tail := range map[string]string{
		"last line without its end": "7 :c",
		"unordered UID":             "3 :c\n9 :d\n",
		"UID twice":                 "4 :c\n",
		"no UID":                    "x :c\n",
		"highest UID":               "4294967295 :c\n",
		"UID beyond 32 bits":        "4294967296 :c\n",
		"no name":                   "9 Gx\n",
		"slash in a name":           "9 :../x\n",
		"zeros":                     "\x00\x00\x00\n",
		"endless line":              fmt.Sprintf("9 :%0*d\n", maxLine, 0),
	} {
		got, last, damage, err := readAll([]byte(head + tail))
		if string(got) != head || last != 4 || !errors.Is(damage, formats.ErrCorrupt) || err != nil {
			t.Errorf("%s: %q up to UID %d, %v, %v", what, got, last, damage, err)
		}
	}
}

func TestListWithoutUsableHeader(t *testing.T) {
	for _, in := range []string{"", "3", "2 V1 N1\n", "3 V0 N1\n", "3 V1 N0\n", "3 V1\n", "3 Vx N1\n", "1 5\n", "1 5 x\n", "3 V1 N1 Gshort\n", "3 V4294967296 N1\n", "3 V1 N1"} {
		if _, _, _, err := readAll([]byte(in)); !errors.Is(err, formats.ErrCorrupt) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func FuzzUIDList(f *testing.F) {
	f.Add([]byte("3 V12 N70011 G0102030405060708090a0b0c0d0e0f10 P%f\n3 Gabc W12 :1.host,S=1\n70000 :2.host\n"))
	f.Add([]byte("1 12 99\n3 1.host:2,S\n"))
	f.Add([]byte("3 V1 N1\n5 :a\n4 :b\n7 "))
	f.Fuzz(func(t *testing.T, b []byte) {
		out, last, _, err := readAll(b)
		if err != nil {
			return
		}
		again, last2, damage, err := readAll(out)
		if err != nil || damage != nil || last2 != last || !bytes.Equal(again, out) {
			t.Fatalf("%q gave %q, written and read again %q, %v, %v", b, out, again, damage, err)
		}
	})
}

func FuzzKeywords(f *testing.F) {
	f.Add([]byte("0 $Forwarded\n1 NonJunk\n25 z\n"))
	f.Add([]byte("0 a\n0 b\n1 A\n26 c\nx d\n2 \n3"))
	f.Fuzz(func(t *testing.T, b []byte) {
		table := parseKeywords(b)
		if again := parseKeywords(table.append(nil)); again != table {
			t.Fatalf("%q gave %q, written and read again %q", b, table, again)
		}
	})
}

func TestKeywordLettersAreNeverGivenTwice(t *testing.T) {
	table := parseKeywords([]byte("0 one\n2 three\n"))
	for _, c := range []struct {
		name string
		want int
	}{{"ONE", 0}, {"new", 1}, {"three", 2}, {"more", 3}, {"bad\nname", -1}, {"", -1}} {
		if got := table.add(c.name); got != c.want {
			t.Errorf("%q gets %d, want %d", c.name, got, c.want)
		}
	}
	for i := range maxLetters {
		table.add(fmt.Sprint("fill", i))
	}
	if got := table.add("one too many"); got != -1 {
		t.Errorf("a full table gives letter %d", got)
	}
}

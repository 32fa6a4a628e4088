package imapwire

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestStrings(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"plain", "abc", `"abc"`},
		{"quotes and backslashes", `a"b\c`, `"a\"b\\c"`},
		{"a line end makes it a literal", "a\r\nb", "{4}\r\na\r\nb"},
		{"so do 8-bit characters", "\xc3\xa9", "{2}\r\n\xc3\xa9"},
		{"NUL cannot be sent", "a\x00b", "{3}\r\na\x80b"},
		{"a long one", strings.Repeat("x", 2000), "{2000}\r\n" + strings.Repeat("x", 2000)},
		{"nothing", "", `""`},
	} {
		if got := string(AppendString(nil, tc.text)); got != tc.want {
			t.Errorf("%s: %q", tc.name, got)
		}
		if got := string(AppendString(nil, []byte(tc.text))); got != tc.want {
			t.Errorf("%s, as bytes: %q", tc.name, got)
		}
	}
	for text, want := range map[string]string{"a.b": "a.b", "a b": `"a b"`, "": `""`, "NIL": `"NIL"`, "a*": `"a*"`, "x]y": "x]y"} {
		if got := string(AppendAString(nil, text)); got != want {
			t.Errorf("%q gave %s", text, got)
		}
	}
	if got := string(AppendMailbox(nil, "é", true)); got != `"é"` {
		t.Errorf("a name in UTF-8: %s", got)
	}
}

// counting counts writes; it fails when it is full.
type counting struct {
	bytes.Buffer
	writes, room int
}

func (c *counting) Write(p []byte) (int, error) {
	c.writes++
	if c.room > 0 && c.Len()+len(p) > c.room {
		return 0, errors.New("full")
	}
	return c.Buffer.Write(p)
}

func TestManyLinesAreFewWrites(t *testing.T) {
	out := &counting{}
	e := NewEncoder(out)
	for range 10000 {
		e.Buf = append(e.Buf, "* 1 FETCH (FLAGS ())\r\n"...)
		if err := e.Line(); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Flush(); err != nil || out.Len() != 22*10000 || out.writes > 22*10000/enough+1 {
		t.Errorf("%d bytes in %d writes, %v", out.Len(), out.writes, err)
	}
}

func TestTheFirstErrorStays(t *testing.T) {
	out := &counting{room: 1}
	e := NewEncoder(out)
	e.Buf = append(e.Buf, "abc"...)
	if e.Flush() == nil || e.Line() == nil {
		t.Error("no error")
	}
	if _, err := e.Write(make([]byte, 2*enough)); err == nil || out.writes != 1 {
		t.Errorf("%v after %d writes", err, out.writes)
	}
}

func TestSetsGoBothWays(t *testing.T) {
	for _, text := range []string{"1", "1:3,5", "*", "5:*", "$"} {
		d, _ := reader("a UID EXPUNGE " + text + "\r\n")
		c, err := d.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Args.(*Expunge).Set.String(); got != text {
			t.Errorf("%s came back as %s", text, got)
		}
	}
	s := Set{Ranges: []Range{{5, Star}, {1, 2}}}
	for n, want := range map[uint32]bool{1: true, 3: true, 4: true, 5: true, 6: false} {
		if got := s.Contains(n, 3); got != want {
			t.Errorf("%d in 5:*,1:2 of 3: %v", n, got)
		}
	}
	var ranges []Range
	for _, n := range []uint32{1, 2, 3, 7, 9, 10} {
		ranges = AddNumber(ranges, n)
	}
	if got := string(AppendRanges(nil, ranges)); got != "1:3,7,9:10" {
		t.Errorf("ranges %s", got)
	}
}

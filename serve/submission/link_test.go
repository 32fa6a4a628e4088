package submission

import (
	"bytes"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func TestAnswersOfRelaysAreRead(t *testing.T) {
	for _, tc := range []struct {
		said string
		want reply // without its size; the zero reply: it is none
	}{
		{"250 ok\r\n", reply{code: 250, lines: []string{"ok"}}},
		{"250\r\n", reply{code: 250, lines: []string{""}}},
		{"250 2.1.0 Ok\r\nmore", reply{code: 250, enhanced: "2.1.0", lines: []string{"Ok"}}},
		{"550-5.1.1 one\r\n550 5.1.1 two\r\n", reply{code: 550, enhanced: "5.1.1", lines: []string{"one", "two"}}},
		{"250 5.1.1 of another class\n", reply{code: 250, lines: []string{"5.1.1 of another class"}}},
		{"250 2.1.10000 x\r\n", reply{code: 250, lines: []string{"2.1.10000 x"}}},
		{"250 a\rb\x00c\r\n", reply{code: 250, lines: []string{"a?b?c"}}},
		{"250-a\r\n251 b\r\n", reply{}},
		{"250-a\r\n", reply{}},
		{"250 a", reply{}},
		{"\r\n", reply{}},
		{"hello\r\n", reply{}},
		{"100 x\r\n", reply{}},
		{"999 x\r\n", reply{}},
		{"250_x\r\n", reply{}},
		{"", reply{}},
	} {
		got, whole := parseReply(tc.said)
		got.size = 0
		if whole != (tc.want.code != 0) || whole && !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%q: %+v, %v; want %+v", tc.said, got, whole, tc.want)
		}
	}
}

// What is read is an answer that can be given to a client as it is.
func FuzzReply(f *testing.F) {
	f.Add("550-5.1.1 one\r\n550 5.1.1 two\r\n")
	f.Add("250 a\rb\n")
	f.Fuzz(func(t *testing.T, said string) {
		r, whole := parseReply(said)
		if !whole {
			return
		}
		if r.code < 200 || r.code > 599 || len(r.lines) == 0 || r.size > len(said) || strings.ContainsAny(strings.Join(r.lines, ""), "\r\n\x00") {
			t.Errorf("%q is %+v", said, r)
		}
	})
}

func TestStrayCRsAreBlanks(t *testing.T) {
	for in, want := range map[string]string{
		"a\r\nb\r\n": "a\r\nb\r\n", "a\rb": "a b", "a\r\r\nb": "a \r\nb", "\r.\r": " . ", "\r": " ", "\r\r\r": "   ", "": "", "\n.\n": "\n.\n", "a\r\n.\r": "a\r\n. ",
	} {
		for name, src := range map[string]io.Reader{"whole": strings.NewReader(in), "byte by byte": iotest.OneByteReader(strings.NewReader(in))} {
			got, err := io.ReadAll(&strayless{src: src})
			if string(got) != want || err != nil {
				t.Errorf("%q, %s: %q, %v; want %q", in, name, got, err, want)
			}
		}
	}
}

func FuzzStrayCRs(f *testing.F) {
	f.Add([]byte("a\r\r\nb\r"), 3)
	f.Fuzz(func(t *testing.T, in []byte, piece int) {
		var out bytes.Buffer
		_, err := io.CopyBuffer(struct{ io.Writer }{&out}, struct{ io.Reader }{&strayless{src: bytes.NewReader(in)}}, make([]byte, 2+max(piece, 0)%50))
		got := out.Bytes()
		if err != nil || len(got) != len(in) || bytes.Contains(bytes.ReplaceAll(got, []byte("\r\n"), nil), []byte("\r")) {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	})
}

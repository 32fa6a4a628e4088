package message

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// encoded is a message as WriteEncoded writes it.
func encoded(t testing.TB, text string) string {
	t.Helper()
	m, err := Parse(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := NewSource(strings.NewReader(text), m.Tree).WriteEncoded(&out); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return out.String()
}

func TestBinaryPartsGetBase64(t *testing.T) {
	const top = "MIME-Version: 1.0\r\n"
	for _, tc := range []struct{ name, text, want string }{
		{"text without an encoding stays", "Subject: x\r\n\r\nbody\r\n", "Subject: x\r\n\r\nbody\r\n"},
		{"a binary message", top + "Content-Transfer-Encoding: Binary\r\nSubject: x\r\n\r\n\x00\r\n", top + "Content-Transfer-Encoding: base64\r\nSubject: x\r\n\r\nAA0K"},
		{"with line ends of one byte", "Content-Transfer-Encoding:binary\nX: y\n\n\x00\n", "Content-Transfer-Encoding: base64\r\nX: y\n\nAAo="},
		{"a folded field is none", "Content-Transfer-Encoding: binary\r\n x\r\n\r\n\x00", "Content-Transfer-Encoding: binary\r\n x\r\n\r\n\x00"},
		{"the first field counts", "Content-Transfer-Encoding: binary\r\nContent-Transfer-Encoding: binary\r\n\r\na", "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: binary\r\n\r\nYQ=="},
		{"lines have 76 characters", "Content-Transfer-Encoding: binary\r\n\r\n" + strings.Repeat("a", 58), "Content-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat("YWFh", 19) + "\r\nYQ=="},
		{"a multipart and what is in it", top + "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\r\n--b\r\n\r\ny\r\n--b--\r\n",
			top + "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\nAA==\r\n--b\r\n\r\ny\r\n--b--\r\n"},
		{"a message in a message", top + "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: binary\r\n\r\nabc",
			top + "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj"},
	} {
		if got := encoded(t, tc.text); got != tc.want {
			t.Errorf("%s: %q became\n%q, want\n%q", tc.name, tc.text, got, tc.want)
		}
	}
}

func TestALongBinaryMessageIsNotHeld(t *testing.T) {
	text := "Content-Transfer-Encoding: binary\r\n\r\n" + strings.Repeat("0123456789\x00\r\n", 100_000)
	if got := encoded(t, text); !strings.HasPrefix(got, "Content-Transfer-Encoding: base64\r\n\r\nMDEy") || len(got) < len(text)*4/3 {
		t.Errorf("%d bytes became %d: %.80q", len(text), len(got), got)
	}
}

// What is encoded says the same: BINARY of each part has the bytes that were sent.
func FuzzWriteEncoded(f *testing.F) {
	f.Add("Content-Transfer-Encoding: binary\r\n\r\n\x00a\r\n")
	f.Add("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\r\n--b--")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse(strings.NewReader(text), int64(len(text)))
		if err != nil {
			t.Skip()
		}
		out := encoded(t, text)
		if len(m.Tree) != 1 || !strings.Contains(out, "Content-Transfer-Encoding: base64\r\n") || strings.Count(strings.ToLower(text), "content-transfer-encoding") != 1 {
			return
		}
		again, err := Parse(strings.NewReader(out), int64(len(out)))
		if err != nil || len(again.Tree) != 1 {
			return
		}
		part, err := NewSource(strings.NewReader(out), again.Tree).Binary([]uint32{1}, All)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, out, err)
		}
		var got bytes.Buffer
		part.WriteTo(&got)
		p := &m.Tree[0]
		want, _ := io.ReadAll(io.NewSectionReader(strings.NewReader(text), p.Offset+p.Header.Stored, p.Body.Stored))
		if strings.Contains(text, "base64") {
			return
		}
		if got.String() != string(want) {
			t.Fatalf("%q became %q with %q, want %q", text, out, got.String(), want)
		}
	})
}

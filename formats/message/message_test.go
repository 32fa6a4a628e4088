package message

import (
	"bytes"
	"strings"
	"testing"
)

func parse(t testing.TB, text string) *Message {
	t.Helper()
	m, err := Parse(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestParse(t *testing.T) {
	text := "From: A <a@b>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\npre\n--x\n\none\n--x\nContent-Type: message/rfc822\n\nSubject: in\n\nbody\n--x--\nafter\n"
	m := parse(t, text)
	t.Logf("%+v", m.Tree)
	t.Logf("%s", m.AppendEnvelope(nil))
	t.Logf("%s", m.AppendBodyStructure(nil))
	s := NewSource(strings.NewReader(text), m.Tree)
	for _, sec := range []Section{{}, {Part: []uint32{1}}, {Part: []uint32{2}, Which: BodyText}, {Which: HeaderFields, Fields: []string{"from"}}, {Part: []uint32{2, 1}}} {
		x, err := s.Section(sec, All)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		n, err := x.WriteTo(&b)
		t.Logf("%v: %d %d %v %q", sec, n, x.Size(), err, b.String())
	}
}

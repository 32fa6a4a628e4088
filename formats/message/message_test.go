package message

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func parsed(t testing.TB, text string) *Message {
	t.Helper()
	m, err := Parse(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAMessageInAMultipartIsDescribed(t *testing.T) {
	m := parsed(t, "From: A <a@b>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\npre\n--x\n\none\n--x\nContent-Type: message/rfc822\n\nSubject: in\n\nbody\n--x--\nafter\n")
	if got, want := string(m.AppendEnvelope(nil)), `(NIL NIL (("A" NIL "a" "b")) (("A" NIL "a" "b")) (("A" NIL "a" "b")) NIL NIL NIL NIL NIL)`; got != want {
		t.Errorf("ENVELOPE is %s, not %s", got, want)
	}
	want := `(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0)("message" "rfc822" NIL NIL NIL "7bit" 19 ` +
		`(NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 4 0) 2) "mixed")`
	if got := string(m.AppendBody(nil)); got != want {
		t.Errorf("BODY is %s, not %s", got, want)
	}
}

func TestNoMessageGrowsBeyondTheLimits(t *testing.T) {
	many := "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 2*MaxParts)
	if n := len(parsed(t, many).Tree); n != MaxParts {
		t.Errorf("%d parts of %d", n, 2*MaxParts)
	}
	deep := strings.Repeat("Content-Type: message/rfc822\n\n", 3*MaxDepth) + "x"
	if n := len(parsed(t, deep).Tree); n != MaxDepth {
		t.Errorf("a depth of %d", n)
	}
	for _, field := range []string{"Date: x\n", "From: a@b\n", "Content-ID: x\n", "Content-Disposition: x\n", "X: y\n"} {
		m := parsed(t, strings.Repeat(field, 1<<20)+"Date: last\n\nx")
		if len(m.fields) > maxRepeated+2 || len(m.text) > 64<<10 {
			t.Errorf("%d fields and %d bytes of text are kept of a million times %q", len(m.fields), len(m.text), field)
		}
		if got := string(m.last(m.fieldsOf(0), date)); got != "last" {
			t.Errorf("behind a million times %q the date is %q", field, got)
		}
	}
}

// What would take time that grows with the square of the length would not end here.
func TestHostileMessagesTakeNoTime(t *testing.T) {
	const n = 1 << 20
	for _, text := range []string{
		"To: " + strings.Repeat("(", n),
		"To: " + strings.Repeat("a(", n),
		"To: " + strings.Repeat("\"a\\", n),
		"To: " + strings.Repeat("<@", n),
		"To: " + strings.Repeat("a:", n),
		"To: " + strings.Repeat("a,", n),
		"To: " + strings.Repeat(".", n) + "@",
		"Content-Type: text/plain" + strings.Repeat(";a*0=b", n),
		"Content-Type: text/plain" + strings.Repeat(";", n),
		"Content-Type: text/plain; a=\"" + strings.Repeat("\\\"(", n),
		"Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--", n),
		"Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--a\n", n),
		deepBoundaries() + strings.Repeat("--"+strings.Repeat("b", 80)+"c\n", n/64),
		"Subject: " + strings.Repeat("=?x?q?", n),
		"Subject: " + strings.Repeat("[a]", n) + "x",
		"Subject: " + strings.Repeat("re: [fwd: ", n),
		"Subject: " + strings.Repeat("[fwd: ", n/8) + strings.Repeat("]", n/8),
		"References: " + strings.Repeat("<a", n) + "(",
		"References: " + strings.Repeat("<a(", n),
		"References: " + strings.Repeat("<\"", n),
		strings.Repeat("a\n", n),
		strings.Repeat(" ", n) + "\n" + strings.Repeat(" \n", n),
		"Content-Type: text/html\n\n" + strings.Repeat("<blockquote>", n/8),
		"Content-Type: text/html\n\n" + strings.Repeat("&a", n) + strings.Repeat("<", n),
	} {
		m := parsed(t, text)
		m.AppendEnvelope(nil)
		m.AppendBodyStructure(nil)
		if _, err := m.Preview(strings.NewReader(text)); err != nil {
			t.Error(err)
		}
		for f, err := range NewSource(strings.NewReader(text), m.Tree).HeaderFields(0) {
			if err != nil {
				t.Fatal(err)
			}
			if len(f.Value) > 1000 {
				BaseSubject(f.Value)
				MessageIDs(f.Value)
				FirstAddress(f.Value)
				ParseDate(f.Value)
			}
		}
	}
}

// deepBoundaries opens as many boundaries as there may be, each the beginning of the next.
func deepBoundaries() string {
	var b strings.Builder
	for i := range 80 {
		fmt.Fprintf(&b, "Content-Type: multipart/x; boundary=%s\n\n--%[1]s\n", strings.Repeat("b", i+1))
	}
	return b.String()
}

func TestATextIsReadInPieces(t *testing.T) {
	text := "Subject: x\n\n" + strings.Repeat("line\nend\r\n\n\r\n", 9000)
	s := NewSource(strings.NewReader(text), parsed(t, text).Tree)
	whole, err := s.Section(Section{}, All)
	if err != nil {
		t.Fatal(err)
	}
	var want, got bytes.Buffer
	whole.WriteTo(&want)
	for at := int64(0); at < whole.Size(); at += 1021 {
		piece, err := s.Section(Section{}, Range{at, 1021})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := piece.WriteTo(&got); err != nil || n != piece.Size() {
			t.Fatalf("at %d: %d bytes, %v", at, n, err)
		}
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Error("the pieces are not the whole")
	}
}

func TestManyFieldsAreChosenAsFewAre(t *testing.T) {
	text := "A: 1\nB-: 2\n x\nc : 3\nD: 4\n\n"
	s := NewSource(strings.NewReader(text), parsed(t, text).Tree)
	for _, fields := range [][]string{{"a", "C"}, {"a", "C", "e", "f", "g", "h", "i", "j", "k", "l"}} {
		for which, want := range map[Which]string{HeaderFields: "A: 1\r\nc : 3\r\n\r\n", HeaderFieldsNot: "B-: 2\r\n x\r\nD: 4\r\n\r\n"} {
			x, err := s.Section(Section{Which: which, Fields: fields}, All)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(written(t, []byte(text), x)); got != want {
				t.Errorf("%q of %v is %q, not %q", fields, which, got, want)
			}
		}
	}
}

func TestAMessageThatIsCutOffGivesAnError(t *testing.T) {
	text := "Subject: x\n\n" + strings.Repeat("line\n", 20000)
	m := parsed(t, text)
	short := NewSource(strings.NewReader(text[:1000]), m.Tree)
	x, err := short.Section(Section{}, All)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if n, err := x.WriteTo(&b); err == nil || n >= x.Size() {
		t.Errorf("%d bytes of %d, %v", n, x.Size(), err)
	}
}

func benchmarkText() string {
	var b strings.Builder
	for i := range 12 {
		fmt.Fprintf(&b, "Received: from host%d.example.org (host%[1]d.example.org [192.0.2.%[1]d])\n\tby mx.example.net with ESMTP id %[1]d; Mon, 1 Jan 2024 10:00:00 +0000\n", i)
	}
	b.WriteString("From: \"Ann Example\" <ann@example.org>\nTo: Bob <bob@example.net>, carol@example.com\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\nDate: Mon, 1 Jan 2024 10:00:00 +0000\nMessage-ID: <a@b>\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=\"----b\"\n\n")
	b.WriteString("------b\nContent-Type: text/plain; charset=utf-8\n\n" + strings.Repeat("This is a line of text in a mail that somebody wrote to somebody.\n", 20))
	b.WriteString("------b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat("<p>This is a line of text in a mail that somebody wrote.</p>=20\n", 25) + "------b--\n")
	return b.String()
}

func BenchmarkParse(b *testing.B) {
	text := benchmarkText()
	r := strings.NewReader(text)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(r, int64(len(text))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseAndDescribe(b *testing.B) {
	text := benchmarkText()
	r := strings.NewReader(text)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		m, err := Parse(r, int64(len(text)))
		if err != nil {
			b.Fatal(err)
		}
		buf = m.AppendEnvelope(buf[:0])
		buf = m.AppendBodyStructure(buf)
	}
}

func BenchmarkParseLarge(b *testing.B) {
	text := "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat(strings.Repeat("QUJD", 19)+"\n", 200000) + "--b--\n"
	r := strings.NewReader(text)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Parse(r, int64(len(text))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBody(b *testing.B) {
	text := "Subject: x\n\n" + strings.Repeat("This is a line of text in a mail that somebody wrote to somebody.\n", 150)
	r := strings.NewReader(text)
	tree := parsed(b, text).Tree
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var s Source
	for b.Loop() {
		s.Reset(r, tree)
		x, err := s.Section(Section{}, All)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := x.WriteTo(discard{}); err != nil {
			b.Fatal(err)
		}
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

package mbox

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	gombox "github.com/emersion/go-mbox"
)

// from begins every message of these tests.
const from = "From a@b Thu Nov  9 22:33:52 2001\n"

// messages reads a whole file.
func messages(t testing.TB, file string, d Dialect) (texts []string, err error) {
	t.Helper()
	r := strings.NewReader(file)
	s := newScanner(r, int64(len(file)), d, time.UTC)
	defer s.release()
	if err := s.begin(); err != nil {
		return nil, err
	}
	for {
		e, _, _, ok := s.message(len(texts) == 0)
		if !ok {
			return texts, s.w.err
		}
		parts, err := messageSpans(r, &e, d, time.UTC)
		if err != nil {
			return texts, err
		}
		var b strings.Builder
		if _, err := parts.copyTo(&b, r); err != nil {
			return texts, err
		}
		texts = append(texts, b.String())
	}
}

func TestGrammar(t *testing.T) {
	for _, tc := range []struct {
		name    string
		dialect Dialect
		file    string
		want    []string
	}{
		{"nothing", Auto, "", nil},
		{"only empty lines", Auto, "\n\r\n", nil},
		{"one message", Auto, from + "A: b\n\nx\n\n", []string{"A: b\n\nx\n"}},
		{"two messages", Auto, from + "A: b\n\nx\n\n" + from + "C: d\n\ny\n\n", []string{"A: b\n\nx\n", "C: d\n\ny\n"}},
		{"no empty line between", Auto, from + "A: b\n\nx\n" + from + "C: d\n\ny\n", []string{"A: b\n\nx", "C: d\n\ny"}},
		{"no line end at the end of the file", Auto, from + "A: b\n\nx", []string{"A: b\n\nx"}},
		{"CRLF everywhere", Auto, strings.ReplaceAll(from+"A: b\n\nx\n\n"+from+"C: d\n\ny\n\n", "\n", "\r\n"), []string{"A: b\r\n\r\nx\r\n", "C: d\r\n\r\ny\r\n"}},
		{"a sentence that begins with From", Auto, from + "A: b\n\nFrom here on\n\n", []string{"A: b\n\nFrom here on\n"}},
		{"an unquoted From_ line divides", Auto, from + "A: b\n\nx\n" + from + "y\n\n", []string{"A: b\n\nx", "y\n"}},
		{"but not when Content-Length says so", Auto, from + "A: b\nContent-Length: 38\n\nx\n" + from + "y\n\n" + from + "\n", []string{"A: b\n\nx\n" + from + "y\n", ""}},
		{"a body that begins with a From_ line", Auto, from + "A: b\nContent-Length: 36\n\n" + from + "y\n\n", []string{"A: b\n\n" + from + "y\n"}},
		{"a Content-Length that leads nowhere", Auto, from + "A: b\nContent-Length: 1\n\nxy\n\n" + from + "\n", []string{"A: b\n\nxy\n", ""}},
		{"a Content-Length beyond the end", Auto, from + "A: b\nContent-Length: 99999\n\nxy\n\n" + from + "C: d\n\nz\n", []string{"A: b\n\nxy\n", "C: d\n\nz"}},
		{"a Content-Length beyond all numbers", Auto, from + "A: b\nContent-Length: 99999999999999999999\n\nxy\n", []string{"A: b\n\nxy"}},
		{"Content-Length is not asked in mboxo", MboxO, from + "Content-Length: 38\n\nx\n" + from + "y\n\n", []string{"\nx", "y\n"}},
		{"a header alone", Auto, from + "A: b\n" + from + "C: d\n\n", []string{"A: b", "C: d\n"}},
		{"a header with its empty line", Auto, from + "A: b\n\n\n" + from + "C: d\n\n\n", []string{"A: b\n\n", "C: d\n\n"}},
		{"hidden fields, folded", Auto, from + "X-IMAPbase: 1 0000000001 a\n\tb\nA: b\nX-UID: 1\nstatus : RO\n\nx\n\n", []string{"A: b\n\nx\n"}},
		{"nothing is unquoted by itself", Auto, from + "A: b\n\n>From x\n>>From y\n\n", []string{"A: b\n\n>From x\n>>From y\n"}},
		{"mboxo", MboxO, from + "A: b\n\n>From x\n>>From y\na >From z\n\n", []string{"A: b\n\nFrom x\n>>From y\na >From z\n"}},
		{"mboxrd", MboxRD, from + "A: b\n\n>From x\n>>From y\na >From z\n>>>From \n\n", []string{"A: b\n\nFrom x\n>From y\na >From z\n>>From \n"}},
		{"mboxcl", MboxCL, from + "A: b\nContent-Length: 8\n\n>From x\n\n", []string{"A: b\n\nFrom x\n"}},
		{"mboxcl2", MboxCL2, from + "A: b\nContent-Length: 8\n\n>From x\n\n", []string{"A: b\n\n>From x\n"}},
		{"a byte order mark", Auto, "\xef\xbb\xbf" + from + "A: b\n\nx\n\n", []string{"A: b\n\nx\n"}},
		{"NUL bytes", Auto, from + "A: \x00\n\n\x00\n\n" + from + "\n", []string{"A: \x00\n\n\x00\n", ""}},
		{"a torn From_ line at the end is text", Auto, from + "A: b\n\nx\nFrom a@b Thu Nov  9 22:33:52 2001", []string{"A: b\n\nx\nFrom a@b Thu Nov  9 22:33:52 2001"}},
	} {
		got, err := messages(t, tc.file, tc.dialect)
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q gave %q, %v; want %q", tc.name, tc.file, got, err, tc.want)
		}
	}
}

func TestWhatIsNoMboxIsRefused(t *testing.T) {
	for _, file := range []string{"Subject: x\n\ny\n", "\x00\x00\x00", "From nobody\n\n", "junk\n" + from} {
		if got, err := messages(t, file, Auto); err == nil {
			t.Errorf("%q gave %q", file, got)
		}
	}
}

func TestLinesLongerThanTheWindow(t *testing.T) {
	long := strings.Repeat("long ", windowSize/2)
	want := []string{"A: " + long + "\nB: c\n\n" + long + "\n" + long + "\n", "X-Other: y\n\nz\n"}
	file := from + want[0] + "\n" + from + "X-Keywords: " + long + "\n" + want[1] + "\n"
	got, err := messages(t, file, Auto)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d messages, %v", len(got), err)
	}
}

// TestAnotherReaderAgrees reads a plain mboxo file with go-mbox.
func TestAnotherReaderAgrees(t *testing.T) {
	var file bytes.Buffer
	w := gombox.NewWriter(&file)
	for i := range 20 {
		m, err := w.CreateMessage("ann@example.org", time.Unix(int64(i)*1e8, 0).UTC())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(m, "Subject: %d\r\n\r\nFrom here\r\n>From there\r\ntext\r\n", i)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := messages(t, file.String(), MboxO)
	if err != nil {
		t.Fatal(err)
	}
	r := gombox.NewReader(&file)
	for i, text := range got {
		m, err := r.NextMessage()
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(m); err != nil {
			t.Fatal(err)
		}
		plain := func(s string) string { return strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\n") }
		if plain(b.String()) != plain(text) {
			t.Errorf("message %d: %q, the other reader has %q", i, text, b.String())
		}
	}
	if len(got) != 20 {
		t.Errorf("%d messages, want 20", len(got))
	}
}

func FuzzMbox(f *testing.F) {
	f.Add([]byte(from + "A: b\nContent-Length: 3\nX-IMAPbase: 1 0000000002\nX-UID: 1\n\nx\n\n\n" + from + "\n>From x\n\r\n"))
	f.Add([]byte("\xef\xbb\xbf\n" + from + from + "\n" + from))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, d := range []Dialect{Auto, MboxO, MboxRD, MboxCL, MboxCL2} {
			s := newScanner(bytes.NewReader(b), int64(len(b)), d, time.UTC)
			if s.begin() != nil {
				s.release()
				return
			}
			last := int64(-1)
			for n := 0; ; n++ {
				e, _, _, ok := s.message(n == 0)
				if !ok {
					break
				}
				if e.from <= last || e.start() > e.end || e.end > int64(len(b)) || e.body() > e.end || s.next <= e.from {
					t.Fatalf("%q: message %d is %+v, the next one at %d", b, n, e, s.next)
				}
				last = e.from
				parts, err := messageSpans(bytes.NewReader(b), &e, d, time.UTC)
				if err != nil || d.quoteMark() == nil && parts.size() != e.size() {
					t.Fatalf("%q: message %d %+v has %d bytes, %v", b, n, e, parts.size(), err)
				}
			}
			s.release()
		}
	})
}

func FuzzMetadataHeaders(f *testing.F) {
	f.Add([]byte("X-IMAPbase: 1 0000000002 a b\nX-UID: 1\nStatus: RO\nX-Status: AF\nX-Keywords: a   \nContent-Length: 3\n\n"))
	f.Add([]byte("X-IMAP: 9 10\n\tk\nX-UID: x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newScanner(bytes.NewReader(b), int64(len(b)), Auto, time.UTC)
		defer s.release()
		m := interpret(s.headers.read(0), true)
		own := ownFields{base: m.base, uid: m.uid, flags: m.flags, pad: 1, contentLength: m.contentLength}
		text, _ := own.append(nil)
		again := newScanner(bytes.NewReader(text), int64(len(text)), Auto, time.UTC)
		defer again.release()
		got := interpret(again.headers.read(0), true)
		if got.flags != m.flags || got.contentLength != m.contentLength || m.base != nil && (got.uid != m.uid || got.base == nil ||
			got.base.validity != m.base.validity || got.base.last != m.base.last || !slices.Equal(got.base.keywords, m.base.keywords)) {
			t.Fatalf("%q: %+v, written %q: %+v", b, m, text, got)
		}
	})
}

// BenchmarkScan reads 1 GiB of messages of 17 KB without Content-Length, in the page cache.
func BenchmarkScan(b *testing.B) {
	f, size := bigFile(b, 1<<30)
	b.SetBytes(size)
	for b.Loop() {
		s := newScanner(f, size, Auto, time.UTC)
		if err := s.begin(); err != nil {
			b.Fatal(err)
		}
		for n := 0; ; n++ {
			if _, _, _, ok := s.message(n == 0); !ok {
				break
			}
		}
		s.release()
	}
}

func bigFile(b *testing.B, size int64) (*os.File, int64) {
	f, err := os.CreateTemp(b.TempDir(), "big")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	body := strings.Repeat("The quick brown fox jumps over the lazy dog, and then does it again.\n", 236)
	var buf bytes.Buffer
	at := int64(0)
	for i := 1; at < size; i++ {
		fmt.Fprintf(&buf, "From a@b  Thu Nov  9 22:33:52 2001 +0000\nReceived: from x by y with z id %d;\n\tThu, 9 Nov 2001 22:33:52 +0000\n"+
			"Message-ID: <%d@example.org>\nDate: Thu, 9 Nov 2001 22:33:52 +0000\nSubject: hello\nTo: me@example.org\nFrom: you <you@example.org>\nX-UID: %d\nStatus: RO\n\n%s\n", i, i, i, body)
		if buf.Len() > 4<<20 {
			n, err := buf.WriteTo(f)
			if err != nil {
				b.Fatal(err)
			}
			at += n
		}
	}
	return f, at
}

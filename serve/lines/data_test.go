package lines

import (
	"bufio"
	"errors"
	"io"
	"net/textproto"
	"strings"
	"testing"
	"testing/iotest"
)

func TestAMessageEndsAtADotBetweenCRLFOnly(t *testing.T) {
	for _, tc := range []struct{ name, sent, want string }{
		{"empty", ".\r\n", ""},
		{"one line", "a\r\n.\r\n", "a\r\n"},
		{"dots", "..a\r\n...\r\n.b\r\nc.\r\n.\r\n", ".a\r\n..\r\nb\r\nc.\r\n"},
		{"LF dot LF", "a\n.\nb\r\n.\r\n", "a\n.\nb\r\n"},
		{"CRLF dot LF", "a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n"},
		{"LF dot CRLF", "a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n"},
		{"CR dot CR", "a\r.\rb\r\n.\r\n", "a\r.\rb\r\n"},
		{"CRLF dot CR", "a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n"},
		{"CRLF dot CR CRLF", "a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n"},
		{"CRLF NUL dot CRLF", "a\r\n\x00.\r\nb\r\n.\r\n", "a\r\n\x00.\r\nb\r\n"},
		{"CRCRLF", "a\r\r\n.\r\n", "a\r\r\n"},
		{"no line end before the dot", "a.\r\n\r\n.\r\n", "a.\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for kind, src := range pieces(tc.sent + "NOOP\r\n") {
				r := NewReader(src)
				got, err := io.ReadAll(r.Data())
				if err != nil || string(got) != tc.want {
					t.Errorf("%s: got %q, %v; want %q", kind, got, err, tc.want)
				}
				if line, err := r.Line(100); err != nil || string(line) != "NOOP" {
					t.Errorf("%s: behind it %q, %v", kind, line, err)
				}
			}
		})
	}
}

func pieces(s string) map[string]io.Reader {
	return map[string]io.Reader{"at once": strings.NewReader(s), "byte by byte": iotest.OneByteReader(strings.NewReader(s)), "in halves": iotest.HalfReader(strings.NewReader(s))}
}

func TestAMessageThatIsCutOffIsAnError(t *testing.T) {
	for _, sent := range []string{"", "a", "a\r\n", "a\r\n.", "a\r\n.\r", "."} {
		if got, err := io.ReadAll(NewReader(strings.NewReader(sent)).Data()); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: got %q, %v", sent, got, err)
		}
	}
	if _, err := io.ReadAll(NewReader(strings.NewReader("abc")).Chunk(4)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestChunksAreTakenAsTheyAre(t *testing.T) {
	text := "BDAT 8\r\n\r\n.\r\nabcNOOP\r\n"
	for kind, src := range pieces(text) {
		r := NewReader(src)
		r.Line(100)
		got, err := io.ReadAll(r.Chunk(8))
		if err != nil || string(got) != "\r\n.\r\nabc" {
			t.Errorf("%s: %q, %v", kind, got, err)
		}
		if line, err := r.Line(100); string(line) != "NOOP" {
			t.Errorf("%s: behind it %q, %v", kind, line, err)
		}
	}
}

// What has CRLF alone is read as everybody else reads it.
func FuzzData(f *testing.F) {
	for _, seed := range []string{"a\n.b\n..c\n\n.", "", ".", "\n", strings.Repeat("x", size) + "\n."} {
		f.Add(seed, uint8(7))
	}
	f.Fuzz(func(t *testing.T, text string, piece uint8) {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "\r", ""), "\n", "\r\n")
		var sent strings.Builder
		w := textproto.NewWriter(bufio.NewWriter(&sent)).DotWriter()
		io.WriteString(w, text)
		if w.Close() != nil {
			t.Skip()
		}
		if text != "" && !strings.HasSuffix(text, "\r\n") || text == "" {
			text += "\r\n"
		}
		r := NewReader(&inPieces{sent.String() + "NOOP\r\n", int(piece)%50 + 1})
		got, err := io.ReadAll(r.Data())
		if err != nil || string(got) != text {
			t.Fatalf("got %q, %v; want %q", got, err, text)
		}
		if line, err := r.Line(100); string(line) != "NOOP" {
			t.Fatalf("behind it %q, %v", line, err)
		}
	})
}

type inPieces struct {
	s string
	n int
}

func (r *inPieces) Read(p []byte) (int, error) {
	if r.s == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.n)], r.s)
	r.s = r.s[n:]
	return n, nil
}

package pop3

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"dovetail/serve/lines"
)

// stuffed says simply what text does.
func stuffed(message string, noNULs bool, count int64, endHeader bool) string {
	var b strings.Builder
	inBody := false
	for line := range strings.Lines(message) {
		if inBody && count == 0 {
			break
		}
		whole := strings.HasSuffix(line, "\n")
		line = strings.TrimSuffix(line, "\n")
		if inBody && count > 0 {
			count--
		}
		if !inBody && (strings.HasPrefix(line, "\r") || line == "" && whole) {
			inBody = true
		}
		if strings.HasPrefix(line, ".") {
			b.WriteByte('.')
		}
		if noNULs {
			line = strings.ReplaceAll(line, "\x00", "\x80")
		}
		b.WriteString(line)
		if whole {
			if !strings.HasSuffix(line, "\r") {
				b.WriteByte('\r')
			}
			b.WriteByte('\n')
		}
	}
	if !strings.HasSuffix(b.String(), "\n") {
		b.WriteString("\r\n")
	}
	if endHeader && !inBody {
		b.WriteString("\r\n")
	}
	return b.String()
}

// However a message comes in pieces, it is sent as one would say simply.
func FuzzText(f *testing.F) {
	for _, m := range []string{"A: b\n\n.x\n..\n.\n", "A: b\r\n\r\nx\r\n.", "\n\n\n", "", ".", "A\n.b\n\r\n\x00\n", "no end", "a\rb\r\r\n\n\r"} {
		f.Add([]byte(m), 3, int64(-1), false, true)
		f.Add([]byte(m), 1, int64(1), true, false)
	}
	f.Fuzz(func(t *testing.T, message []byte, piece int, count int64, noNULs, endHeader bool) {
		if piece < 1 || count < -1 || count > 1000 {
			t.Skip()
		}
		var out bytes.Buffer
		w := lines.NewWriter(&out)
		x := text{out: w, noNULs: noNULs, lines: count}
		for rest := message; len(rest) > 0; {
			n := min(piece, len(rest))
			if _, err := x.Write(rest[:n]); err != nil {
				break
			}
			rest = rest[n:]
		}
		x.end(endHeader)
		w.Flush()
		if got, want := out.String(), stuffed(string(message), noNULs, count, endHeader); got != want || x.n != int64(len(want)) {
			t.Errorf("%q in pieces of %d, %d lines: %q (%d), want %q", message, piece, count, got, x.n, want)
		}
	})
}

func BenchmarkText(b *testing.B) {
	message := []byte("Subject: x\n\n" + strings.Repeat(strings.Repeat("y", 79)+"\n", 128))
	b.SetBytes(int64(len(message)))
	w := lines.NewWriter(io.Discard)
	for b.Loop() {
		x := text{out: w, lines: -1}
		x.Write(message)
		x.end(false)
	}
}

package message

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func FuzzWithoutCR(f *testing.F) {
	for _, s := range []string{"", "a\r\nb\r\n", "\r", "\r\r\n\r", "\n\r\n", "a\rb", strings.Repeat("x\r\n", 5000)} {
		f.Add(s, uint8(3))
	}
	f.Fuzz(func(t *testing.T, s string, room uint8) {
		want := strings.ReplaceAll(s, "\r\n", "\n")
		for name, r := range map[string]io.Reader{
			"at once": strings.NewReader(s), "byte by byte": iotest.OneByteReader(strings.NewReader(s)),
			"error with bytes": iotest.DataErrReader(strings.NewReader(s)), "in halves": iotest.HalfReader(strings.NewReader(s)),
		} {
			var got bytes.Buffer
			p := make([]byte, int(room)%40+1)
			w := WithoutCR(r)
			for {
				n, err := w.Read(p)
				got.Write(p[:n])
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if got.String() != want {
				t.Fatalf("%s, %d bytes at a time: %q gives %q, want %q", name, len(p), s, got.String(), want)
			}
		}
	})
}

func TestWithoutCRGivesErrorsOn(t *testing.T) {
	_, err := io.ReadAll(WithoutCR(io.MultiReader(strings.NewReader("a\r"), iotest.ErrReader(io.ErrClosedPipe))))
	if err != io.ErrClosedPipe {
		t.Error(err)
	}
}

package lines

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestLinesAreReadWhateverPiecesTheyComeIn(t *testing.T) {
	long := strings.Repeat("x", 3000)
	text := "USER ann\r\nPASS a b\n\r\n" + long + "\r\nNOOP\r\nhalf"
	for name, src := range map[string]io.Reader{
		"at once":          strings.NewReader(text),
		"byte by byte":     iotest.OneByteReader(strings.NewReader(text)),
		"in halves":        iotest.HalfReader(strings.NewReader(text)),
		"error with bytes": iotest.DataErrReader(strings.NewReader(text)),
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReader(src)
			for _, want := range []string{"USER ann", "PASS a b", "", long, "NOOP"} {
				if line, err := r.Line(Max); err != nil || string(line) != want {
					t.Fatalf("got %.20q, %v; want %.20q", line, err, want)
				}
			}
			if line, err := r.Line(Max); !errors.Is(err, io.EOF) {
				t.Errorf("half a line is given: %q, %v", line, err)
			}
		})
	}
}

func TestALongLineIsRefusedBeforeItsEnd(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("NOOP\r\n"), zeros{})
	r := NewReader(endless)
	if line, err := r.Line(100); err != nil || string(line) != "NOOP" {
		t.Fatal(line, err)
	}
	if _, err := r.Line(100); !errors.Is(err, ErrLong) {
		t.Errorf("got %v", err)
	}
	for _, n := range []int{99, 100, 101} {
		r := NewReader(strings.NewReader(strings.Repeat("a", n) + "\r\n"))
		if _, err := r.Line(100); (n > 100) != errors.Is(err, ErrLong) {
			t.Errorf("%d of 100 bytes: %v", n, err)
		}
	}
	r = NewReader(io.MultiReader(strings.NewReader("x\n"), strings.NewReader(strings.Repeat("a", Max)+"\r\n")))
	if line, err := r.Line(Max); err != nil || len(line) != 1 {
		t.Error(err)
	}
	if line, err := r.Line(Max); err != nil || len(line) != Max {
		t.Errorf("the longest line: %d bytes, %v", len(line), err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestWhatWaitsHoldsNoBuffer(t *testing.T) {
	in, out := io.Pipe()
	r := NewReader(in)
	go func() {
		io.WriteString(out, "a\r\nb\r\n")
		out.Close()
	}()
	r.Line(10)
	if !r.Pending() {
		t.Error("the second line is not there")
	}
	r.Line(10)
	if r.Pending() {
		t.Error("a third line is there")
	}
	if _, err := r.Line(10); err != io.EOF || r.buf != nil {
		t.Errorf("%v, buffer %p", err, r.buf)
	}
	r = NewReader(strings.NewReader("STLS\r\nPASS x\r\n"))
	r.Line(10)
	r.Drop()
	if line, err := r.Line(10); err != io.EOF {
		t.Errorf("what was dropped is given: %q", line)
	}
}

func TestAnswersAreSentTogether(t *testing.T) {
	var sent counting
	w := NewWriter(&sent)
	for range 10 {
		w.Line("+OK")
	}
	if sent.calls != 0 {
		t.Error("sent before Flush")
	}
	if err := w.Flush(); err != nil || sent.calls != 1 || sent.String() != strings.Repeat("+OK\r\n", 10) || w.buf != nil {
		t.Errorf("%v, %d calls, %q", err, sent.calls, sent.String())
	}
	big := bytes.Repeat([]byte("abcdefgh"), 10<<10)
	sent.Reset()
	w.Write(big)
	if w.Flush(); !bytes.Equal(sent.Bytes(), big) {
		t.Error("a long text is not what was written")
	}
	broken := NewWriter(failing{})
	broken.Write(big)
	if err := broken.Flush(); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

type counting struct {
	bytes.Buffer
	calls int
}

func (c *counting) Write(p []byte) (int, error) { c.calls++; return c.Buffer.Write(p) }

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

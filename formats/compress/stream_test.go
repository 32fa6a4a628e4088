package compress

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestEachWriteOfADeflaterCanBeReadAtOnce(t *testing.T) {
	r, w := io.Pipe()
	other := flate.NewReader(r)
	d := NewDeflater(w)
	for _, text := range []string{"* OK\r\n", strings.Repeat("* 1 FETCH (FLAGS ())\r\n", 3000), "a OK done\r\n"} {
		go d.Write([]byte(text))
		got := make([]byte, len(text))
		if _, err := io.ReadFull(other, got); err != nil || string(got) != text {
			t.Fatalf("%d bytes: %v", len(text), err)
		}
	}
}

func TestAnInflaterReadsWhatOthersFlush(t *testing.T) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, 6)
	if err != nil {
		t.Fatal(err)
	}
	in := NewInflater(&packed)
	for _, text := range []string{"a NOOP\r\n", strings.Repeat("b NOOP\r\n", 5000), "c IDLE\r\n"} {
		io.WriteString(w, text)
		w.Flush()
		if err := in.Wait(); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(in, got); err != nil || string(got) != text {
			t.Fatalf("%d bytes: %v", len(text), err)
		}
	}
}

// TestWhatOnlyEndsATextIsNothingToRead: the end of a flush may come after what it flushes has been read, and a server that
// waits for its client to say something must go on waiting.
func TestWhatOnlyEndsATextIsNothingToRead(t *testing.T) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, 6)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "a IDLE\r\n")
	w.Flush()
	said := packed.Len()
	io.WriteString(w, "DONE\r\n")
	w.Flush()
	for cut := 1; cut < packed.Len(); cut++ {
		come := bytes.NewReader(packed.Bytes()[:cut])
		in := NewInflater(io.MultiReader(come, late{}))
		read := ""
		for read != "a IDLE\r\nDONE\r\n" {
			err := in.Wait()
			if err == errLate { // nothing more can be read of what has come
				if cut == said && read != "a IDLE\r\n" {
					t.Errorf("cut at %d: %q was read", cut, read)
				}
				in.in.Reset(bytes.NewReader(packed.Bytes()[cut:]))
				continue
			}
			if err != nil {
				t.Fatalf("cut at %d, behind %q: %v", cut, read, err)
			}
			p := make([]byte, 3)
			n, err := in.Read(p)
			if err != nil || n == 0 {
				t.Fatalf("cut at %d: %d bytes behind %q, %v", cut, n, read, err)
			}
			read += string(p[:n])
		}
	}
}

var errLate = errors.New("nothing has come")

// late is a connection that is silent.
type late struct{}

func (late) Read([]byte) (int, error) { return 0, errLate }

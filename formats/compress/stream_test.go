package compress

import (
	"bytes"
	"compress/flate"
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

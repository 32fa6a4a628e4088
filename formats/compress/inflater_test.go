package compress

import (
	"bytes"
	"compress/flate"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// inflateTexts are of all kinds that make different blocks.
func inflateTexts() map[string][]byte {
	random := make([]byte, 200_000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	skewed := make([]byte, 300_000)
	for i := range skewed {
		skewed[i] = byte(r.ExpFloat64() * 6)
	}
	return map[string][]byte{"nothing": {}, "one": {'x'}, "words": []byte(strings.Repeat("a NOOP\r\nb UID FETCH 1:* FLAGS\r\n", 5000)),
		"random": random, "skewed": skewed, "one byte many times": bytes.Repeat([]byte{'a'}, 100_000)}
}

func TestInflaterReadsWhatIsDeflated(t *testing.T) {
	for name, text := range inflateTexts() {
		for level := -2; level <= 9; level++ {
			var b bytes.Buffer
			w, err := flate.NewWriter(&b, level)
			if err != nil {
				t.Fatal(err)
			}
			for rest := text; len(rest) > 0; rest = rest[min(len(rest), 70_000):] {
				w.Write(rest[:min(len(rest), 70_000)])
				w.Flush()
			}
			w.Close()
			got, err := io.ReadAll(NewInflater(&b))
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("%s at level %d: %d bytes of %d, %v", name, level, len(got), len(text), err)
			}
		}
	}
}

// partial is what zlib makes of "a NOOP\r\n" and "b LOGOUT\r\n", each followed by Z_PARTIAL_FLUSH: no empty stored block,
// and the last byte of the first is not full.
var partial = [][]byte{
	{0x4a, 0x54, 0xf0, 0xf3, 0xf7, 0x0f, 0xe0, 0xe5, 0x02, 0x08},
	{0xa0, 0x24, 0x05, 0x1f, 0x7f, 0x77, 0xff, 0xd0, 0x10, 0x5e, 0x2e, 0x80, 0x00},
}

// What has come is given at once, however the sender has flushed.
func TestInflaterHoldsNothingBack(t *testing.T) {
	r, w := io.Pipe()
	f := NewInflater(r)
	for i, want := range []string{"a NOOP\r\n", "b LOGOUT\r\n"} {
		go w.Write(partial[i])
		got := make([]byte, 0, 100)
		for len(got) < len(want) {
			n, err := f.Read(got[len(got):cap(got)])
			if err != nil {
				t.Fatal(err)
			}
			got = got[:len(got)+n]
		}
		if string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// FuzzInflater: what the standard library reads, this reads, too, in any pieces; what it refuses is refused.
func FuzzInflater(f *testing.F) {
	for _, text := range inflateTexts() {
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, 6)
		w.Write(text[:min(len(text), 1000)])
		w.Close()
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 1 << 20
		want, wantErr := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(b)), most))
		got, err := io.ReadAll(io.LimitReader(NewInflater(&oneByOne{b}), most))
		if wantErr == nil && (err != nil || !bytes.Equal(got, want)) {
			t.Fatalf("%x: %q, %v; want %q", b, got, err, want)
		}
		if len(got) > len(want) && wantErr != nil && !bytes.HasPrefix(got, want) {
			t.Fatalf("%x: %q, want %q", b, got, want)
		}
	})
}

// oneByOne gives single bytes.
type oneByOne struct{ rest []byte }

func (o *oneByOne) Read(p []byte) (int, error) {
	if len(o.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:1], o.rest)
	o.rest = o.rest[n:]
	return n, nil
}

func BenchmarkInflater(b *testing.B) {
	text := inflateTexts()["skewed"]
	var packed bytes.Buffer
	w, _ := flate.NewWriter(&packed, 6)
	w.Write(text)
	w.Close()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		io.Copy(io.Discard, NewInflater(bytes.NewReader(packed.Bytes())))
	}
}

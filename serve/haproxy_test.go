package serve

import (
	"bytes"
	"io"
	"testing"
)

// FuzzProxyHeader: a header is read or refused, and nothing behind it is taken.
func FuzzProxyHeader(f *testing.F) {
	for _, s := range []string{"PROXY TCP4 192.0.2.1 198.51.100.2 4711 143\r\n", "PROXY UNKNOWN\r\n", "PROXY TCP6 ::1 ::2 1 2\r\n",
		signature2 + "\x21\x11\x00\x0c\xcb\x00\x71\x05\xc6\x33\x64\x07\x12\x67\x00\x8f", signature2 + "\x20\x00\x00\x00",
		signature2 + "\x21\x11\x00\x14\xcb\x00\x71\x05\xc6\x33\x64\x07\x12\x67\x00\x8f\x20\x00\x05\x01\x00\x00\x00\x00", signature2 + "\x21\x21\xff\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(append(b, "a NOOP"...))
		h, err := readProxyHeader(r)
		if err != nil {
			return
		}
		if h.remote.IsValid() != h.local.IsValid() {
			t.Fatalf("%q: %+v", b, h)
		}
		used := len(b) + len("a NOOP") - r.Len()
		again, err := readProxyHeader(io.LimitReader(bytes.NewReader(append(b, "a NOOP"...)), int64(used)))
		if err != nil || again != h {
			t.Fatalf("%q: %+v, and without what follows %+v, %v", b, h, again, err)
		}
	})
}

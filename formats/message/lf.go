package message

import (
	"bytes"
	"io"
)

// WithoutCR gives what r gives with every CRLF as LF. A CR elsewhere stays.
func WithoutCR(r io.Reader) io.Reader { return &withoutCR{r: r} }

type withoutCR struct {
	r  io.Reader
	cr bool // the last byte was a CR and is not given yet
}

func (w *withoutCR) Read(p []byte) (int, error) {
	if len(p) < 2 {
		if len(p) == 0 {
			return 0, nil
		}
		return w.one(p)
	}
	for {
		n, err := w.r.Read(p[1:]) // one byte of room for a CR that was held back
		if n > 0 || err != nil {
			if n = w.squeeze(p, n, err != nil); n == 0 && err == nil {
				continue
			}
			return n, err
		}
	}
}

// one is for who wants a byte at a time.
func (w *withoutCR) one(p []byte) (int, error) {
	var two [2]byte
	for {
		n, err := w.r.Read(two[1:2])
		if n = w.squeeze(two[:], n, err != nil); n > 1 { // a CR and what follows it
			w.r = io.MultiReader(bytes.NewReader([]byte{two[1]}), w.r)
			n = 1
			err = nil
		}
		p[0] = two[0]
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// squeeze makes n bytes from p[1] on what is given, from p[0] on.
func (w *withoutCR) squeeze(p []byte, n int, last bool) int {
	src := p[1 : 1+n]
	out := 0
	if w.cr && (n > 0 && src[0] != '\n' || n == 0 && last) {
		p[0], out = '\r', 1
	}
	if n == 0 {
		w.cr = w.cr && !last
		return out
	}
	w.cr = false
	for {
		i := bytes.IndexByte(src, '\r')
		if i < 0 {
			return out + copy(p[out:], src)
		}
		out += copy(p[out:], src[:i])
		switch {
		case i+1 == len(src) && !last:
			w.cr = true
			return out
		case i+1 == len(src) || src[i+1] != '\n':
			p[out] = '\r'
			out++
		}
		src = src[i+1:]
	}
}

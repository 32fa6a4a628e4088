package mbox

import (
	"bytes"
	"io"
)

// windowSize is how much of a file is looked at in one piece; a line that is longer is read in pieces.
const windowSize = 1 << 20

// window looks at a file through a buffer, at any place but quickly only forwards.
type window struct {
	r    io.ReaderAt
	size int64 // end of what may be seen
	buf  []byte
	off  int64 // of buf in the file
	n    int   // bytes in buf
	err  error // the first error other than the end
}

// reset makes the window look at another file; it allocates the buffer once.
func (w *window) reset(r io.ReaderAt, size int64) {
	buf := w.buf
	if buf == nil {
		buf = make([]byte, windowSize)
	}
	*w = window{r: r, size: size, buf: buf}
}

// at gives the bytes from pos on: want or more of them unless the file ends before, valid until the next call.
func (w *window) at(pos int64, want int) []byte {
	if pos >= w.size || pos < 0 {
		return nil
	}
	want = int(min(int64(want), w.size-pos, int64(len(w.buf))))
	if pos < w.off || pos+int64(want) > w.off+int64(w.n) {
		w.fill(pos)
	}
	if pos > w.off+int64(w.n) {
		return nil
	}
	return w.buf[pos-w.off : w.n]
}

func (w *window) fill(pos int64) {
	n := int(min(int64(len(w.buf)), w.size-pos))
	got, err := w.r.ReadAt(w.buf[:n], pos)
	w.off, w.n = pos, got
	if got < n && w.err == nil {
		if err == io.EOF || err == nil {
			err = io.ErrUnexpectedEOF // it was longer when we began
		}
		w.err = err
		w.size = pos + int64(got)
	}
}

// line gives the line at pos with its line end, or as much of it as the window holds.
func (w *window) line(pos int64) []byte {
	for want := 1 << 10; ; want = len(w.buf) {
		b := w.at(pos, want)
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			return b[:i+1]
		}
		if len(b) < want || want == len(w.buf) {
			return b
		}
	}
}

// index finds sep at pos or later and gives its place, -1 if there is none.
func (w *window) index(pos int64, sep []byte) int64 {
	for {
		b := w.at(pos, len(sep))
		if len(b) < len(sep) {
			return -1
		}
		if i := bytes.Index(b, sep); i >= 0 {
			return pos + int64(i)
		}
		pos += int64(len(b) - len(sep) + 1)
	}
}

// Package lines reads and writes the protocols that are lines of text: POP3, LMTP, submission. What waits for a client
// holds next to nothing: buffers come when there is something to put into them, and go with it.
package lines

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// Max is the longest line that can be read, without its end.
const Max = size - 2

const size = 16 << 10

var buffers = sync.Pool{New: func() any { return new([size]byte) }}

// ErrLong is about a line that is longer than its reader allows. Nothing sensible can be read behind it.
var ErrLong = errors.New("line is too long")

// Reader reads lines. It is for one goroutine.
type Reader struct {
	src     io.Reader
	buf     *[size]byte // nil while nothing is read ahead
	at, end int
	first   [128]byte // where a client that had nothing to say begins
}

// NewReader reads from src.
func NewReader(src io.Reader) *Reader { return &Reader{src: src} }

// Line gives the next line without its end, which is CRLF or LF. It is valid until the next call. A line of more than max
// bytes is ErrLong; max is at most Max.
func (r *Reader) Line(max int) ([]byte, error) {
	r.giveBack()
	seen := 0
	for {
		if r.buf != nil {
			if i := bytes.IndexByte(r.buf[r.at+seen:r.end], '\n'); i >= 0 {
				line := r.buf[r.at : r.at+seen+i]
				r.at += seen + i + 1
				line = bytes.TrimSuffix(line, []byte{'\r'})
				if len(line) > max {
					return nil, ErrLong
				}
				return line, nil
			}
			if seen = r.end - r.at; seen > max+1 {
				return nil, ErrLong
			}
		}
		if err := r.more(); err != nil {
			return nil, err
		}
	}
}

// more reads some bytes.
func (r *Reader) more() error {
	if r.buf == nil {
		n, err := r.src.Read(r.first[:])
		if n == 0 {
			return noProgress(err)
		}
		r.buf = buffers.Get().(*[size]byte)
		r.at, r.end = 0, copy(r.buf[:], r.first[:n])
		return nil
	}
	if r.end == size {
		r.end = copy(r.buf[:], r.buf[r.at:r.end])
		r.at = 0
	}
	n, err := r.src.Read(r.buf[r.end:])
	r.end += n
	if n == 0 {
		return noProgress(err)
	}
	return nil
}

// empty tells that nothing is read ahead, and makes room for as much as possible.
func (r *Reader) empty() bool {
	if r.buf != nil && r.at == r.end {
		r.at, r.end = 0, 0
	}
	return r.buf == nil || r.at == r.end
}

func noProgress(err error) error {
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// giveBack ends the use of a buffer in which nothing is left.
func (r *Reader) giveBack() {
	if r.buf != nil && r.at == r.end {
		buffers.Put(r.buf)
		r.buf, r.at, r.end = nil, 0, 0
	}
}

// Pending tells whether a whole line is there already, so that an answer need not be sent yet.
func (r *Reader) Pending() bool {
	return r.buf != nil && bytes.IndexByte(r.buf[r.at:r.end], '\n') >= 0
}

// Drop forgets what was read ahead, and the last line.
func (r *Reader) Drop() {
	r.at = r.end
	r.giveBack()
}

// Writer collects answers and sends them when there are many, or on Flush. An error of the stream stays, and everything
// after it is dropped. It is for one goroutine.
type Writer struct {
	dst io.Writer
	buf *[size]byte
	n   int
	err error
}

// NewWriter writes to dst.
func NewWriter(dst io.Writer) *Writer { return &Writer{dst: dst} }

// Write adds bytes.
func (w *Writer) Write(p []byte) (int, error) { return add(w, p) }

// WriteString adds bytes.
func (w *Writer) WriteString(s string) (int, error) { return add(w, s) }

func add[T string | []byte](w *Writer, p T) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if w.buf == nil {
			w.buf = buffers.Get().(*[size]byte)
		}
		n := copy(w.buf[w.n:], p)
		w.n += n
		if p = p[n:]; w.n == size {
			w.send()
		}
	}
	return total, w.err
}

// Room gives the free part of the buffer, of at least n bytes (a few KB at most), to be filled from its beginning. What is in it counts when Wrote
// says so, and is to be used before anything else is written.
func (w *Writer) Room(n int) []byte {
	if w.buf == nil {
		w.buf = buffers.Get().(*[size]byte)
	}
	if size-w.n < n {
		w.send()
	}
	return w.buf[w.n:]
}

// Wrote adds the first n bytes of what Room gave.
func (w *Writer) Wrote(n int) {
	if w.n += n; w.n == size {
		w.send()
	}
}

// Line writes a line with its end.
func (w *Writer) Line(text string) {
	w.WriteString(text)
	w.WriteString("\r\n")
}

// Err is the error of the stream, if there was one.
func (w *Writer) Err() error { return w.err }

func (w *Writer) send() {
	if w.err == nil && w.n > 0 {
		_, w.err = w.dst.Write(w.buf[:w.n])
	}
	w.n = 0
}

// Flush sends everything and gives the buffer back.
func (w *Writer) Flush() error {
	if w.buf != nil {
		w.send()
		buffers.Put(w.buf)
		w.buf = nil
	}
	return w.err
}

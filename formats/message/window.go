package message

import (
	"bytes"
	"io"
)

// windowSize is how much of a message is in memory; a line longer than that comes in pieces.
const windowSize = 32 << 10

// window is a moving view of bytes that are read through io.ReaderAt.
type window struct {
	r          io.ReaderAt
	next, stop int64 // where the file is read next, and where it ends
	buf        []byte
	pos, end   int  // what is unread in buf
	nuls       bool // a NUL was read
	err        error
}

// reset begins at offset and ends before stop.
func (w *window) reset(r io.ReaderAt, offset, stop int64) {
	if w.buf == nil {
		w.buf = make([]byte, windowSize)
	}
	w.r, w.next, w.stop, w.pos, w.end, w.nuls, w.err = r, offset, stop, 0, 0, false, nil
}

// offset is the place of the first unread byte.
func (w *window) offset() int64 { return w.next - int64(w.end-w.pos) }

// more moves what is unread to the front and reads behind it. It gives false when nothing was added: the end is reached or
// the buffer is full.
func (w *window) more() bool {
	if w.next >= w.stop || w.err != nil {
		return false
	}
	if w.pos > 0 {
		w.end = copy(w.buf, w.buf[w.pos:w.end])
		w.pos = 0
	}
	room := w.buf[w.end:]
	if len(room) == 0 {
		return false
	}
	if rest := w.stop - w.next; int64(len(room)) > rest {
		room = room[:rest]
	}
	n, err := w.r.ReadAt(room, w.next)
	w.nuls = w.nuls || bytes.IndexByte(room[:n], 0) >= 0
	w.next += int64(n)
	w.end += n
	if err == io.EOF || err == nil && n == 0 {
		// The message is shorter than was said: it ends here.
		w.stop = w.next
	} else if err != nil && n < len(room) {
		w.err = err
	}
	return n > 0
}

// line gives the next bytes up to the line end, which is included. A line that does not fit comes in pieces; the last one
// of the message may have no end. Empty at the end. The bytes are valid until the next call.
func (w *window) line() []byte {
	b := w.peekLine()
	w.pos += len(b)
	return b
}

// peekLine is line without taking it.
func (w *window) peekLine() []byte {
	seen := 0
	for {
		if i := bytes.IndexByte(w.buf[w.pos+seen:w.end], '\n'); i >= 0 {
			return w.buf[w.pos : w.pos+seen+i+1]
		}
		seen = w.end - w.pos
		if !w.more() {
			return w.buf[w.pos:w.end]
		}
	}
}

// peek gives the byte at i from the first unread one, or 0 behind the end. i must be below windowSize.
func (w *window) peek(i int) byte {
	for w.end-w.pos <= i {
		if !w.more() {
			return 0
		}
	}
	return w.buf[w.pos+i]
}

// rest gives what can be had in one piece; empty at the end.
func (w *window) rest() []byte {
	if w.pos == w.end && !w.more() {
		return nil
	}
	b := w.buf[w.pos:w.end]
	w.pos = w.end
	return b
}

package pop3

import (
	"bytes"
	"errors"

	"dovetail/serve/lines"
)

// text sends a message: line ends become CRLF, and a dot that begins a line is doubled (RFC 1939 section 3).
type text struct {
	out    *lines.Writer
	noNULs bool
	lines  int64 // of the body that are still wanted behind its empty line; -1: all

	last   byte // that was sent; 0 at the beginning
	inBody bool
	n      int64 // bytes sent
}

// errEnough ends a message of which no more is wanted.
var errEnough = errors.New("enough")

// Write takes a piece of the message as stored.
func (t *text) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if t.last == '\n' || t.last == 0 {
			if t.inBody && t.lines == 0 {
				return total - len(p), errEnough
			}
			if !t.begin(p[0]) {
				t.lines--
			}
		}
		n := bytes.IndexByte(p, '\n')
		if n < 0 {
			t.put(p)
			break
		}
		if n < usualLine && !t.noNULs {
			t.line(p[:n])
			p = p[n+1:]
			continue
		}
		t.put(p[:n])
		if t.last != '\r' {
			t.raw([]byte{'\r'})
		}
		t.raw([]byte{'\n'})
		p = p[n+1:]
	}
	return total, t.out.Err()
}

// usualLine is one that is sent without further ado, together with its end.
const usualLine = 1024

// line ends the line of which this is the rest.
func (t *text) line(p []byte) {
	room := t.out.Room(len(p) + 2)
	n := copy(room, p)
	if n > 0 {
		t.last = p[n-1]
	}
	if t.last != '\r' {
		room[n] = '\r'
		n++
	}
	room[n] = '\n'
	t.out.Wrote(n + 1)
	t.last = '\n'
	t.n += int64(n + 1)
}

// begin begins a line. It tells whether that is of the header, or the empty line behind it.
func (t *text) begin(first byte) bool {
	if first == '.' {
		t.raw([]byte{'.'})
	}
	if t.inBody {
		return t.lines < 0
	}
	t.inBody = first == '\r' || first == '\n'
	return true
}

func (t *text) put(p []byte) {
	for t.noNULs {
		i := bytes.IndexByte(p, 0)
		if i < 0 {
			break
		}
		t.raw(p[:i])
		t.raw([]byte{0x80})
		p = p[i+1:]
	}
	t.raw(p)
}

func (t *text) raw(p []byte) {
	if len(p) == 0 {
		return
	}
	t.out.Write(p)
	t.n += int64(len(p))
	t.last = p[len(p)-1]
}

// end completes a last line, and the header of a message without a body if that is wanted.
func (t *text) end(endHeader bool) {
	if t.last != '\n' {
		t.raw([]byte("\r\n"))
	}
	if endHeader && !t.inBody {
		t.raw([]byte("\r\n"))
	}
}

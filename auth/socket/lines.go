package socket

import (
	"bytes"
	"errors"
	"io"
)

// errTooLong is a line beyond the protocol's limit; the connection cannot go on.
var errTooLong = errors.New("line too long")

// lines reads lines of limited length. Between lines it holds little memory, however long the last one was, and it
// forgets what passwords were in it.
type lines struct {
	r     io.Reader
	max   int
	small [512]byte
	buf   []byte // what was read and not yet given
}

func newLines(r io.Reader, max int) *lines {
	l := &lines{r: r, max: max}
	l.reset()
	return l
}

func (l *lines) reset() { l.buf = l.small[:0] }

// next gives the next line without its end; it is valid until next is called again. io.EOF is the end between or in
// lines, which nobody will complete.
func (l *lines) next() (string, error) {
	from := 0
	for {
		if end := bytes.IndexByte(l.buf[from:], '\n'); end >= 0 {
			line := string(l.buf[:from+end])
			l.drop(from + end + 1)
			return line, nil
		}
		from = len(l.buf)
		if from >= l.max {
			return "", errTooLong
		}
		if len(l.buf) == cap(l.buf) {
			l.grow()
		}
		n, err := l.r.Read(l.buf[len(l.buf):cap(l.buf)])
		l.buf = l.buf[:len(l.buf)+n]
		if n == 0 && err != nil {
			clear(l.buf)
			return "", err
		}
	}
}

// drop removes n bytes from the front.
func (l *lines) drop(n int) {
	rest := copy(l.buf, l.buf[n:])
	clear(l.buf[rest:])
	l.buf = l.buf[:rest]
	if rest == 0 {
		l.reset()
	}
}

func (l *lines) grow() {
	bigger := make([]byte, len(l.buf), min(2*cap(l.buf), l.max))
	copy(bigger, l.buf)
	clear(l.buf)
	l.buf = bigger
}

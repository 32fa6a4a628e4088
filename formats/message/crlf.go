package message

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"
)

// buffers are for reading stored bytes and for sending them with CRLF.
type buffers struct {
	w   window
	out []byte
}

var bufferPool = sync.Pool{New: func() any { return new(buffers) }}

// writeStored sends stored bytes: as they are if that is the same, else with CRLF line ends and without NULs.
func (t *Text) writeStored(out *limited) (int64, error) {
	b := bufferPool.Get().(*buffers)
	defer func() {
		b.w.r = nil
		bufferPool.Put(b)
	}()
	s := t.source
	stop := t.start + t.stored
	plain := t.stored == t.size
	begin, skip := t.start, t.from
	if plain {
		begin, skip = t.start+t.from, 0
	} else if m := s.mark; m.start == t.start && m.virtual <= t.from {
		begin, skip = t.start+m.stored, t.from-m.virtual
	}
	out.skip = 0
	b.w.reset(s.r, begin, stop)
	c := crlf{plain: plain, nuls: t.Binary, out: b.out[:0]}
	if begin > t.start && !plain {
		c.last = s.mark.last
	}
	for out.left > 0 {
		data := b.w.rest()
		if len(data) == 0 {
			break
		}
		if skip > 0 {
			n, k := c.skip(data, skip)
			if skip -= k; skip == 0 {
				s.mark = mark{t.start, b.w.offset() - int64(len(data)-n) - t.start, t.from, c.last}
				if c.half {
					s.mark.virtual--
					c.last = '\r' // as if it had been there
				}
			}
			if data = data[n:]; len(data) == 0 {
				continue
			}
		}
		if err := c.write(out, data); err != nil && err != errEnough {
			return t.Size() - out.left, err
		}
	}
	b.out = c.out
	return t.Size() - out.left, t.ended(out, &b.w)
}

func (t *Text) ended(out *limited, w *window) error {
	switch {
	case w.err != nil:
		return fmt.Errorf("read message: %w", w.err)
	case out.left > 0:
		return ErrShort
	}
	return nil
}

// crlf adds the CRs that are missing and makes NULs 0x80.
type crlf struct {
	plain bool // none is missing
	nuls  bool // NULs stay
	last  byte // the last byte of what came before
	half  bool // the CR of the next line end was skipped
	out   []byte
}

// skip passes n bytes of what would be sent. It gives how many stored bytes that are and how many sent ones.
func (c *crlf) skip(data []byte, n int64) (stored int, sent int64) {
	for stored < len(data) && sent < n {
		i := bytes.IndexByte(data[stored:], '\n')
		text := i
		if i < 0 {
			text = len(data) - stored
		}
		if int64(text) >= n-sent {
			stored += int(n - sent)
			c.last = data[stored-1]
			return stored, n
		}
		stored, sent = stored+text, sent+int64(text)
		if text > 0 {
			c.last = data[stored-1]
		}
		if i < 0 {
			break
		}
		if c.last != '\r' {
			sent++
			if sent == n {
				c.half = true
				return stored, n
			}
		}
		stored, sent = stored+1, sent+1
		c.last = '\n'
	}
	return stored, sent
}

func (c *crlf) write(w io.Writer, data []byte) error {
	nuls := !c.nuls && bytes.IndexByte(data, 0) >= 0
	if c.plain && !nuls {
		_, err := w.Write(data)
		return err
	}
	out := c.out[:0]
	for rest := data; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			out = append(out, rest...)
			break
		}
		out = append(out, rest[:i]...)
		before := c.last
		if i > 0 {
			before = rest[i-1]
		} else if len(out) > 0 {
			before = out[len(out)-1]
		}
		if before != '\r' && !c.plain {
			out = append(out, '\r')
		}
		out = append(out, '\n')
		rest = rest[i+1:]
	}
	c.last = data[len(data)-1]
	if nuls {
		withoutNULs(out)
	}
	c.out = out
	_, err := w.Write(out)
	return err
}

// withoutNULs makes them 0x80, as Dovecot does.
func withoutNULs(b []byte) {
	for {
		i := bytes.IndexByte(b, 0)
		if i < 0 {
			return
		}
		b[i] = 0x80
		b = b[i+1:]
	}
}

// appendCRLF appends the beginning of a text with the CRs that are missing.
func appendCRLF(dst, data []byte) []byte {
	dst = slices.Grow(dst, len(data)+len(data)/32)
	for {
		i := bytes.IndexByte(data, '\n')
		switch {
		case i < 0:
			return append(dst, data...)
		case i > 0 && data[i-1] == '\r':
			dst = append(dst, data[:i+1]...)
		default:
			dst = append(append(dst, data[:i]...), "\r\n"...)
		}
		data = data[i+1:]
	}
}

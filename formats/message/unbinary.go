package message

import (
	encode "encoding/base64"
	"io"
)

// WriteEncoded writes the message as stored, but for parts whose transfer encoding is "binary": they get base64 in its
// place, so that the message can be kept and sent where lines of text are wanted (RFC 3516 section 4.4). Multiparts and
// messages in a message keep what they have: their parts count (Dovecot 2.3.19, src/lib-mail/istream-binary-converter.c).
func (s *Source) WriteEncoded(w io.Writer) error {
	e := encoder{s: s, w: w}
	for n := range s.tree {
		if err := e.part(&s.tree[n]); err != nil {
			return err
		}
	}
	return e.stored(s.tree.Size().Stored)
}

// encoder writes a message from its begin to its end.
type encoder struct {
	s    *Source
	w    io.Writer
	next int64 // what lies before was written
}

// stored writes what lies before end as it is.
func (e *encoder) stored(end int64) error {
	n, err := io.Copy(e.w, io.NewSectionReader(e.s.r, e.next, end-e.next))
	if err == nil && n < end-e.next {
		err = ErrShort
	}
	e.next = end
	return err
}

func (e *encoder) part(p *Part) error {
	if p.Child != 0 || p.Flags&Multipart != 0 {
		return nil
	}
	from, to, err := e.s.binaryField(p)
	if err != nil || from == to {
		return err
	}
	if err := e.stored(from); err != nil {
		return err
	}
	if _, err := io.WriteString(e.w, "Content-Transfer-Encoding: base64\r\n"); err != nil {
		return err
	}
	e.next = to
	body := p.Offset + p.Header.Stored
	if err := e.stored(body); err != nil {
		return err
	}
	lines := encodedLines{w: e.w}
	coded := encode.NewEncoder(encode.StdEncoding, &lines)
	n, err := io.Copy(coded, io.NewSectionReader(e.s.r, body, p.Body.Stored))
	if err == nil && n < p.Body.Stored {
		err = ErrShort
	}
	e.next = body + p.Body.Stored
	if err != nil {
		return err
	}
	return coded.Close()
}

// binaryField finds the line that says "Content-Transfer-Encoding: binary" in the header of a part; from is to if none
// does. One that is folded does not.
func (s *Source) binaryField(p *Part) (from, to int64, err error) {
	b := bufferPool.Get().(*buffers)
	defer func() {
		b.w.r = nil
		bufferPool.Put(b)
	}()
	b.w.reset(s.r, p.Offset, p.Offset+p.Header.Stored)
	for start := true; ; {
		at := b.w.offset()
		line := b.w.line()
		if len(line) == 0 {
			return 0, 0, b.w.err
		}
		text, whole := cutLineEnd(line)
		if start && whole && !isBlank(line[0]) {
			name, value := splitField(text)
			if name == contentEncoding && equalFold(value, "binary") {
				if to = b.w.offset(); !isBlank(b.w.peek(0)) {
					return at, to, nil
				}
			}
		}
		start = whole
	}
}

// encodedLines cuts base64 into lines of 76 characters, between which are line ends (RFC 2045 section 6.8).
type encodedLines struct {
	w io.Writer
	n int // characters of the line
}

func (l *encodedLines) Write(b []byte) (written int, err error) {
	const longest = 76
	for len(b) > 0 {
		if l.n == longest {
			if _, err := io.WriteString(l.w, "\r\n"); err != nil {
				return written, err
			}
			l.n = 0
		}
		n, err := l.w.Write(b[:min(len(b), longest-l.n)])
		written += n
		if err != nil {
			return written, err
		}
		l.n += n
		b = b[n:]
	}
	return written, nil
}

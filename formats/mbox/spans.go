package mbox

import (
	"bytes"
	"io"
	"sort"
	"sync"
	"time"
)

// span is a run of bytes of the file that belongs to a message as clients see it.
type span struct {
	pos int64 // in the message
	off int64 // in the file
	n   int64
}

// spans are a message: what is between them in the file (hidden fields, quoting) is not part of it.
type spans []span

func (s spans) size() int64 {
	if len(s) == 0 {
		return 0
	}
	last := s[len(s)-1]
	return last.pos + last.n
}

// add appends the bytes from off to end.
func (s *spans) add(off, end int64) {
	if end <= off {
		return
	}
	if n := len(*s); n > 0 && (*s)[n-1].off+(*s)[n-1].n == off {
		(*s)[n-1].n += end - off
		return
	}
	*s = append(*s, span{pos: s.size(), off: off, n: end - off})
}

// visible gives the parts of a header that are no hidden fields.
func (h *header) visible(start, end int64) spans {
	s := make(spans, 0, len(h.hidden)+1)
	for _, f := range h.hidden {
		s.add(start, f.start)
		start = f.end
	}
	s.add(start, end)
	return s
}

// messageSpans gives the parts of a message.
func messageSpans(r io.ReaderAt, e *entry, dialect Dialect, zone *time.Location) (spans, error) {
	s := newScanner(r, e.end, dialect, zone)
	defer s.release()
	s.headers.exact = true
	h := s.headers.read(e.start())
	parts := h.visible(e.start(), h.end)
	switch mark := dialect.quoteMark(); {
	case h.unfinished:
	case mark != nil:
		s.unquote(&parts, h.end, e.end, mark)
	default:
		parts.add(h.end, e.end)
	}
	return parts, s.w.err
}

// quoteMark is what every line contains that lost something by quoting, nil when the dialect does not quote.
func (d Dialect) quoteMark() []byte {
	switch d {
	case MboxO, MboxRD, MboxCL:
		return []byte(">From ")
	}
	return nil
}

// unquote leaves out one ">" of every quoted line between off and end.
func (s *scanner) unquote(parts *spans, off, end int64, mark []byte) {
	bodyStart := off
	for pos := off; ; {
		at := s.w.index(pos, mark)
		if at < 0 || at >= end {
			break
		}
		pos = at + int64(len(mark))
		line := s.quoteStart(bodyStart, at)
		if line < 0 {
			continue
		}
		parts.add(off, line)
		off = line + 1
	}
	parts.add(off, end)
}

// quoteStart gives the place of the first ">" of the line whose last one is at, or -1 when something else stands before
// it in the line, or the dialect knows no double quoting.
func (s *scanner) quoteStart(bodyStart, at int64) int64 {
	const longest = 256 // nobody quotes more often
	from := max(bodyStart, at-longest)
	b := s.w.at(from, int(at-from)+1)
	if int64(len(b)) <= at-from {
		return -1
	}
	b = bytes.TrimRight(b[:at-from], ">")
	line := from + int64(len(b))
	if len(b) > 0 && b[len(b)-1] != '\n' || len(b) == 0 && from > bodyStart {
		return -1
	}
	if line != at && s.dialect != MboxRD {
		return -1
	}
	return line
}

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 128<<10); return &b }}

// copyTo writes the whole message to w. It reads over the gaps between spans, which are small.
func (s spans) copyTo(w io.Writer, r io.ReaderAt) (int64, error) {
	if len(s) == 0 {
		return 0, nil
	}
	p := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(p)
	buf := *p
	stop := s[len(s)-1].off + s[len(s)-1].n
	written := int64(0)
	for off := s[0].off; len(s) > 0; {
		off = max(off, s[0].off)
		raw := buf[:min(int64(len(buf)), stop-off)]
		if n, err := r.ReadAt(raw, off); n < len(raw) {
			return written, noEOF(err)
		}
		var out []byte
		out, s = s.squeeze(raw, off)
		off += int64(len(raw))
		n, err := w.Write(out)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// squeeze moves what belongs to the message to the front of raw, which was read at off, and gives the spans that are
// not yet done.
func (s spans) squeeze(raw []byte, off int64) ([]byte, spans) {
	n, end := 0, off+int64(len(raw))
	for len(s) > 0 && s[0].off < end {
		lo, hi := max(s[0].off, off), min(s[0].off+s[0].n, end)
		n += copy(raw[n:], raw[lo-off:hi-off])
		if hi < s[0].off+s[0].n {
			break
		}
		s = s[1:]
	}
	return raw[:n], s
}

func (s spans) readAt(p []byte, pos int64, r io.ReaderAt) (int, error) {
	done := 0
	for i := sort.Search(len(s), func(i int) bool { return s[i].pos+s[i].n > pos }); i < len(s) && done < len(p); i++ {
		skip := pos + int64(done) - s[i].pos
		part := p[done:min(len(p), done+int(min(s[i].n-skip, int64(len(p)))))]
		n, err := r.ReadAt(part, s[i].off+skip)
		done += n
		if n < len(part) {
			return done, noEOF(err)
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// noEOF is for reads inside a message: the end of the file is no proper end there.
func noEOF(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

package mbox

import (
	"bytes"
	"crypto/md5"
	"io"
	"sync"
	"time"

	"dovetail/formats"
)

// entry is where one message stands in the file and what is known of it. It is kept for every message of an open
// mailbox, so it is small: 100,000 messages take 7 MB.
type entry struct {
	from int64 // offset of the From_ line
	end  int64 // behind the message, before the line end that separates it from the next From_ line
	date int64 // unix time

	line   uint32 // length of the From_ line
	head   uint32 // length of the header with the empty line
	hidden uint32 // length of the hidden fields in it
	uid    formats.UID
	given  formats.UID // X-UID in the file, 0 none
	keys   uint32      // place in snapshot.keySets
	flags  formats.Flags
	bits   uint8
	digest [md5.Size]byte
}

const (
	unfinished uint8 = 1 << iota // the header has no empty line
	old                          // not \Recent
	wrongCL                      // Content-Length does not lead to the next message
	noCL                         // no Content-Length
	odd                          // hidden fields that Dovecot would rewrite
)

func (e *entry) start() int64 { return e.from + int64(e.line) }
func (e *entry) body() int64  { return e.start() + int64(e.head) }

// size of the message as clients see it, before any unquoting.
func (e *entry) size() int64 { return e.end - e.start() - int64(e.hidden) }

// scanner finds the messages of a file.
type scanner struct {
	w       *window
	headers *headerReader
	dialect Dialect
	zone    *time.Location
	next    int64 // place of the next From_ line, w.size at the end
}

// scanners keeps their buffers for the next file: a scanner is needed for every message that is opened.
var scanners = sync.Pool{New: func() any {
	s := &scanner{w: &window{}}
	s.headers = newHeaderReader(s.w, nil)
	return s
}}

func newScanner(r io.ReaderAt, size int64, dialect Dialect, zone *time.Location) *scanner {
	s := scanners.Get().(*scanner)
	s.w.reset(r, size)
	s.headers.reset(zone)
	s.dialect, s.zone, s.next = dialect, zone, 0
	return s
}

// release gives the buffers back; what was read from them is void.
func (s *scanner) release() {
	s.w.r = nil
	scanners.Put(s)
}

var (
	fromMark = []byte("\nFrom ")
	bom      = []byte("\xef\xbb\xbf")
)

// begin finds the first From_ line. A byte order mark and empty lines before it, which Dovecot does not accept, are
// skipped. Anything else is not an mbox file.
func (s *scanner) begin() error {
	if s.w.size == 0 {
		return nil
	}
	b := s.w.at(0, 1<<10)
	if s.w.err != nil {
		return s.w.err
	}
	lead := len(b) - len(bytes.TrimLeft(bytes.TrimPrefix(b, bom), "\r\n"))
	if lead == len(b) && int64(lead) == s.w.size {
		s.next = s.w.size // only empty lines: what some programs leave of an empty mailbox
		return nil
	}
	if _, _, ok := s.fromLine(int64(lead)); !ok {
		return formats.Corrupt("not an mbox file: it does not begin with a From_ line but with %.40q", b[lead:])
	}
	s.next = int64(lead)
	return nil
}

// fromLine reads the From_ line at pos.
func (s *scanner) fromLine(pos int64) (f fromLine, size int, ok bool) {
	line := s.w.line(pos)
	if !bytes.HasPrefix(line, fromPrefix) {
		return fromLine{}, 0, false
	}
	if line[len(line)-1] != '\n' && pos+int64(len(line)) < s.w.size {
		return fromLine{}, 0, false // longer than any line that means something
	}
	if line[len(line)-1] != '\n' && pos > 0 {
		return fromLine{}, 0, false // the file ends in it: still text of the message before
	}
	f, err := parseFromLine(trimEOL(line), s.zone)
	return f, len(line), err == nil
}

// message reads the next message; false at the end of the file. The header is valid until the next call.
func (s *scanner) message(first bool) (e entry, h *header, m metadata, ok bool) {
	if s.next >= s.w.size {
		return entry{}, nil, metadata{}, false
	}
	f, n, _ := s.fromLine(s.next)
	e = entry{from: s.next, line: uint32(n), date: f.date.Unix()}
	h = s.headers.read(e.start())
	m = interpret(h, first)
	e.head = uint32(h.end - e.start())
	for _, f := range h.hidden {
		e.hidden += uint32(f.end - f.start)
	}
	e.digest, e.given, e.flags = h.digest, m.uid, m.flags
	if m.old {
		e.bits |= old
	}
	s.finish(&e, h, m.contentLength)
	return e, h, m, s.w.err == nil
}

// finish finds the end of the message and the next From_ line.
func (s *scanner) finish(e *entry, h *header, length int64) {
	if h.unfinished {
		e.bits |= unfinished | noCL
		e.end = h.end
		s.next = s.skipEOL(h.end)
		return
	}
	if length < 0 {
		e.bits |= noCL
	} else if s.dialect.usesLength() {
		if end := h.end + length; length <= s.w.size && s.boundary(end) {
			e.end = end
			s.next = s.skipEOL(end)
			return
		}
		e.bits |= wrongCL
	}
	s.search(e, h)
}

// skipEOL gives the place behind a line end, or the same place.
func (s *scanner) skipEOL(pos int64) int64 {
	b := s.w.at(pos, 2)
	if len(b) == 0 {
		return s.w.size
	}
	return pos + int64(blankLine(append(b[:min(2, len(b)):min(2, len(b))], 0)))
}

// boundary tells whether a message may end at pos: there is one line end and then the end of the file or a From_ line
// (Dovecot 2.3.19.1, istream-raw-mbox.c: istream_raw_mbox_is_valid_from).
func (s *scanner) boundary(pos int64) bool {
	if pos > s.w.size {
		return false
	}
	if pos == s.w.size {
		return s.dialect != Auto // Dovecot does not take a file without final line end for complete
	}
	next := s.skipEOL(pos)
	if next == pos {
		return false
	}
	if next == s.w.size {
		return true
	}
	_, _, ok := s.fromLine(next)
	return ok
}

// search looks for the next From_ line in the body. The empty line behind the header may be the one before it.
func (s *scanner) search(e *entry, h *header) {
	for pos := h.end - 1; ; pos++ {
		pos = s.w.index(pos, fromMark)
		if pos < 0 {
			s.next = s.w.size
			e.end = trimLineEnd(s.w, e.start(), s.w.size)
			s.unblank(e, h)
			return
		}
		if _, _, ok := s.fromLine(pos + 1); !ok {
			continue
		}
		e.end = trimLineEnd(s.w, e.start(), pos+1)
		s.next = pos + 1
		s.unblank(e, h)
		return
	}
}

// unblank sees to a message whose empty line turned out to be the separator.
func (s *scanner) unblank(e *entry, h *header) {
	if e.end < h.end {
		e.head = uint32(e.end - e.start())
		e.bits |= unfinished
	}
}

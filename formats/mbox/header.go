package mbox

import (
	"bytes"
	"crypto/md5"
	"hash"
	"strings"
	"time"
)

// hiddenHeaders are the header fields in which Dovecot keeps what it knows of a message. It does not show them to
// clients, and drops them from what they save (2.3.19.1, mbox-storage.c: mbox_hide_headers, mbox_save_drop_headers).
var hiddenHeaders = []string{"Content-Length", "Status", "X-IMAP", "X-IMAPbase", "X-Keywords", "X-Status", "X-UID"}

// The places of the names above.
const (
	fieldContentLength = iota
	fieldStatus
	fieldIMAP
	fieldIMAPBase
	fieldKeywords
	fieldXStatus
	fieldUID
	notHidden = -1
)

// hiddenField tells which of hiddenHeaders a name is. The cheap look at the first letter matters: every header line of
// a mailbox passes here.
func hiddenField(name []byte) int {
	if len(name) == 0 || len(name) > len("Content-Length") {
		return notHidden
	}
	if c := name[0] | 0x20; c != 'x' && c != 's' && c != 'c' {
		return notHidden
	}
	for i, h := range hiddenHeaders {
		if len(h) == len(name) && strings.EqualFold(h, string(name)) {
			return i
		}
	}
	return notHidden
}

// fieldName is what stands before the colon of a header line without the white space there; "" if there is none.
func fieldName(line []byte) []byte {
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		return nil
	}
	return bytes.TrimRight(line[:i], " \t")
}

// fieldValue is what stands behind the colon, without one space and the line end. A line without colon is all value.
func fieldValue(line []byte) []byte {
	v := trimEOL(line)
	if i := bytes.IndexByte(v, ':'); i >= 0 {
		v = v[i+1:]
	}
	if len(v) > 0 && isBlank(v[0]) {
		v = v[1:]
	}
	return v
}

func trimEOL(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
		if n := len(b); n > 0 && b[n-1] == '\r' {
			b = b[:n-1]
		}
	}
	return b
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// field is one of the hidden fields as it stands in a file.
type field struct {
	kind       int
	start, end int64 // of its lines, line ends included
	valueAt    int64 // where its value begins
	value      []byte
}

// header is what reading the header of a message gave.
type header struct {
	// end is where the body begins, or where the header ends if it has no body.
	end int64

	// unfinished: there was no empty line; a From_ line or the end of the file came first. end is then before the line
	// end that belongs to the From_ line, or to the end of the file.
	unfinished bool

	// blank is the length of the empty line, line end included.
	blank int

	hidden []field
	digest [md5.Size]byte
}

// headerReader reads headers of messages; it is used again and again to save garbage.
type headerReader struct {
	w      *window
	exact  bool // the window ends where the message does: no line end there belongs to what follows
	zone   *time.Location
	md5    hash.Hash
	h      header
	values []byte // of the hidden fields

	current  int  // kind of the field that continuation lines belong to
	valueOff int  // its value in values
	summed   bool // does it go into the digest
	received bool // is it a Received field, or was there one before
	gotRecv  bool // the first Received field is complete
}

func newHeaderReader(w *window, zone *time.Location) *headerReader {
	return &headerReader{w: w, zone: zone, md5: md5.New()}
}

// reset prepares for the headers of another file.
func (r *headerReader) reset(zone *time.Location) {
	r.zone, r.exact = zone, false
}

// read reads the header that begins at pos. The result is valid until the next call.
func (r *headerReader) read(pos int64) *header {
	r.h = header{hidden: r.h.hidden[:0]}
	r.md5.Reset()
	r.values = r.values[:0]
	r.current, r.summed, r.received, r.gotRecv = notHidden, false, false, false
	start := pos
	for {
		line := r.w.line(pos)
		if len(line) == 0 {
			r.stop(start, pos)
			break
		}
		if blank := blankLine(line); blank > 0 {
			r.h.end, r.h.blank = pos+int64(blank), blank
			break
		}
		if r.isFrom(line) {
			r.stop(start, pos)
			break
		}
		pos = r.line(pos, line)
	}
	r.md5.Sum(r.h.digest[:0])
	return &r.h
}

// stop ends a header that has no empty line: the line end before pos is not part of it.
func (r *headerReader) stop(start, pos int64) {
	r.h.unfinished = true
	r.h.end = pos
	if !r.exact {
		r.h.end = max(start, trimLineEnd(r.w, start, pos))
	}
	if n := len(r.h.hidden); n > 0 && r.h.hidden[n-1].end > r.h.end {
		r.h.hidden[n-1].end = r.h.end
	}
}

// trimLineEnd gives the place before the LF or CR LF that ends at end, but not before start.
func trimLineEnd(w *window, start, end int64) int64 {
	from := max(start, end-2)
	b := w.at(from, int(end-from))
	if int64(len(b)) < end-from {
		return end
	}
	return from + int64(len(trimEOL(b[:end-from])))
}

func blankLine(line []byte) int {
	if line[0] == '\n' {
		return 1
	}
	if len(line) >= 2 && line[0] == '\r' && line[1] == '\n' {
		return 2
	}
	return 0
}

func (r *headerReader) isFrom(line []byte) bool {
	if line[0] != 'F' || line[len(line)-1] != '\n' || !bytes.HasPrefix(line, fromPrefix) {
		return false
	}
	_, err := parseFromLine(trimEOL(line), r.zone)
	return err == nil
}

// line takes one header line and gives the place behind it.
func (r *headerReader) line(pos int64, line []byte) int64 {
	end := pos + int64(len(line))
	if isBlank(line[0]) {
		r.continuation(end, line)
	} else {
		r.begin(pos, line)
	}
	if line[len(line)-1] != '\n' && end < r.w.size {
		return r.rest(end)
	}
	return end
}

// rest reads on in a line that is longer than the window.
func (r *headerReader) rest(pos int64) int64 {
	for {
		line := r.w.line(pos)
		if len(line) == 0 {
			return pos
		}
		pos += int64(len(line))
		r.add(trimEOL(line))
		if n := len(r.h.hidden); r.current != notHidden && n > 0 {
			r.h.hidden[n-1].end = pos
		}
		if line[len(line)-1] == '\n' {
			return pos
		}
	}
}

func (r *headerReader) begin(pos int64, line []byte) {
	name := fieldName(line)
	r.gotRecv = r.received
	r.current = hiddenField(name)
	if r.current == notHidden {
		if r.summed = r.inDigest(name); r.summed {
			r.add(fieldValue(line))
		}
		return
	}
	r.summed = false
	value := fieldValue(line)
	r.valueOff = len(r.values)
	r.values = append(r.values, value...)
	r.h.hidden = append(r.h.hidden, field{
		kind: r.current, start: pos, end: pos + int64(len(line)),
		valueAt: pos + int64(len(trimEOL(line))-len(value)),
		value:   r.values[r.valueOff:],
	})
}

func (r *headerReader) continuation(end int64, line []byte) {
	if r.current == notHidden {
		r.add(trimEOL(line))
		return
	}
	r.values = append(append(r.values, '\n'), trimEOL(line)...)
	f := &r.h.hidden[len(r.h.hidden)-1]
	f.end, f.value = end, r.values[r.valueOff:]
}

func (r *headerReader) add(value []byte) {
	if r.summed {
		r.md5.Write(value)
	}
}

// inDigest tells whether a field is part of the message's GUID. Dovecot 2.3.19.1 takes an MD5 sum over the values of
// Date, Delivered-To, Message-ID, Received and X-Delivery-ID (mbox-md5-apop3d.c); behind the first Received field, Date,
// Message-ID and further Received fields no longer count.
func (r *headerReader) inDigest(name []byte) bool {
	switch len(name) {
	case len("Date"):
		return !r.gotRecv && equalFold(name, "Date")
	case len("Received"):
		if !equalFold(name, "Received") || r.gotRecv {
			return false
		}
		r.received = true
		return true
	case len("Message-ID"):
		return !r.gotRecv && equalFold(name, "Message-ID")
	case len("Delivered-To"):
		return equalFold(name, "Delivered-To")
	case len("X-Delivery-ID"):
		return equalFold(name, "X-Delivery-ID")
	}
	return false
}

func equalFold(name []byte, want string) bool { return strings.EqualFold(string(name), want) }

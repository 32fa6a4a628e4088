package mbox

import (
	"bytes"
	"fmt"
	"strconv"

	"dovetail/formats"
)

// lastUIDDigits is the width of the last UID in X-IMAPbase: always ten digits, so that it can be changed in place.
const lastUIDDigits = 10

// foldAt is the length of a line of keywords at which Dovecot begins a new one (2.3.19.1, mbox-sync-update.c).
const foldAt = 1024

// base is the value of X-IMAPbase in the first message, or of X-IMAP in a pseudo message.
type base struct {
	validity formats.UIDValidity
	last     formats.UID // the highest UID ever given
	keywords []string

	// lastAt is where the ten digits of last stand in the value, 0 if it has another width.
	lastAt int
}

// parseBase reads the value; ok is false for one that means nothing, which Dovecot takes for missing.
func parseBase(value []byte) (b base, ok bool) {
	validity, n := leadingNumber(value)
	if validity == 0 || validity > maxUint32 || n < len(value) && value[n] != ' ' {
		return base{}, false
	}
	at := n
	for at < len(value) && isSpace(value[at]) {
		at++
	}
	last, digits := leadingNumber(value[at:])
	rest := value[at+digits:]
	if last >= maxUint32 || len(rest) > 0 && !isSpace(rest[0]) {
		return base{}, false
	}
	b.validity, b.last = formats.UIDValidity(validity), formats.UID(last)
	if digits == lastUIDDigits {
		b.lastAt = at
	}
	for _, k := range bytes.Fields(rest) {
		b.keywords = append(b.keywords, string(k))
	}
	return b, true
}

const maxUint32 = 1<<32 - 1

// leadingNumber reads digits; a number that is too large is given as too large for any use.
func leadingNumber(b []byte) (v uint64, n int) {
	for n < len(b) && isDigit(b[n]) {
		v = min(v*10+uint64(b[n]-'0'), 1<<48)
		n++
	}
	return v, n
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// appendBase writes the value as Dovecot does: folded where a line gets long.
func appendBase(b []byte, v base) []byte {
	start := len(b)
	b = fmt.Appendf(b, "%d %010d", v.validity, v.last)
	for _, k := range v.keywords {
		if len(b)-start < foldAt {
			b = append(b, ' ')
		} else {
			b = append(b, '\n', '\t')
			start = len(b)
		}
		b = append(b, k...)
	}
	return b
}

// number reads a field that is one number with nothing behind it.
func number(value []byte) (uint64, bool) {
	v, n := leadingNumber(value)
	return v, n > 0 && len(bytes.TrimLeft(value[n:], " \t\r\n")) == 0
}

// Letters of Status and X-Status (c-client's, as Dovecot uses them).
var statusLetters = map[byte]formats.Flags{
	'R': formats.Seen,
	'A': formats.Answered, 'F': formats.Flagged, 'T': formats.Draft, 'D': formats.Deleted,
}

// metadata is what the hidden fields of one message say, before anything is checked against other messages.
type metadata struct {
	base   *base
	baseAt int // index of the field in header.hidden
	pseudo bool

	uid           formats.UID // 0 missing or unusable
	flags         formats.Flags
	old           bool // O: not \Recent
	keywords      []byte
	hasKeywords   bool
	contentLength int64 // -1 missing or unusable
}

// interpret gives the meaning of a header; first says that it is that of the first message of the file, which alone may
// have X-IMAPbase. Its X-UID counts only behind that.
func interpret(h *header, first bool) metadata {
	m := metadata{contentLength: -1}
	for i := range h.hidden {
		m.take(i, &h.hidden[i], first)
	}
	return m
}

func (m *metadata) take(i int, f *field, first bool) {
	switch f.kind {
	case fieldContentLength:
		if v, ok := number(f.value); ok && m.contentLength < 0 {
			m.contentLength = int64(v)
		}
	case fieldStatus:
		m.old = m.old || bytes.IndexByte(f.value, 'O') >= 0
		if bytes.IndexByte(f.value, 'R') >= 0 {
			m.flags |= formats.Seen
		}
	case fieldXStatus:
		for _, c := range f.value {
			m.flags |= statusLetters[c] &^ formats.Seen
		}
	case fieldIMAP, fieldIMAPBase:
		if b, ok := parseBase(f.value); ok && first && m.base == nil {
			m.base, m.baseAt, m.pseudo = &b, i, f.kind == fieldIMAP
		}
	case fieldKeywords:
		if !m.hasKeywords {
			m.keywords, m.hasKeywords = f.value, true
		}
	case fieldUID:
		if v, ok := number(f.value); ok && m.uid == 0 && v < maxUint32 && (!first || m.base != nil) {
			m.uid = formats.UID(v)
		}
	}
}

// padding is the number of spaces that Dovecot leaves behind keywords, so that flags can be changed in place.
const padding = 50

// ownFields are the fields that we write behind the header of a message.
type ownFields struct {
	base          *base // in the first message only
	baseRoom      int   // spaces behind it
	uid           formats.UID
	flags         formats.Flags
	keywords      []string
	pad           int   // spaces behind the keywords
	contentLength int64 // -1 none: the message has no body
}

// append writes the fields in Dovecot's order. It says where the number of X-UID begins, counted from b's start.
func (o ownFields) append(b []byte) (out []byte, uidAt int) {
	if o.base != nil {
		b = append(b, "X-IMAPbase: "...)
		b = appendBase(b, *o.base)
		b = appendSpaces(b, o.baseRoom)
		b = append(b, '\n')
	}
	b = append(b, "X-UID: "...)
	uidAt = len(b)
	b = strconv.AppendUint(b, uint64(o.uid), 10)
	b = append(b, '\n')
	return o.appendFlags(b), uidAt
}

// appendFlags writes everything behind X-UID.
func (o ownFields) appendFlags(b []byte) []byte {
	b = append(b, "Status: "...)
	if o.flags&formats.Seen != 0 {
		b = append(b, 'R')
	}
	if o.flags&formats.Recent == 0 {
		b = append(b, 'O')
	}
	b = append(b, '\n')
	if o.flags&(formats.SystemFlags&^formats.Seen) != 0 {
		b = append(b, "X-Status: "...)
		for _, c := range []byte("AFTD") {
			if o.flags&statusLetters[c] != 0 {
				b = append(b, c)
			}
		}
		b = append(b, '\n')
	}
	b = appendKeywords(append(b, "X-Keywords:"...), o.keywords)
	b = appendSpaces(b, o.pad)
	b = append(b, '\n')
	if o.contentLength >= 0 {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, o.contentLength, 10)
		b = append(b, '\n')
	}
	return b
}

func appendKeywords(b []byte, keywords []string) []byte {
	start := len(b)
	for _, k := range keywords {
		if len(b)-start < foldAt {
			b = append(b, ' ')
		} else {
			b = append(b, '\n', '\t')
			start = len(b)
		}
		b = append(b, k...)
	}
	return b
}

func appendSpaces(b []byte, n int) []byte {
	for range n {
		b = append(b, ' ')
	}
	return b
}

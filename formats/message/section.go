package message

import (
	"errors"
	"io"
	"math"
	"slices"
)

// Which is what of a part a section is (RFC 9051 section 6.4.5).
type Which uint8

// The texts of a part.
const (
	Whole           Which = iota // the part's body; of the message itself with the header
	Header                       // of the message, or of the message in a part
	HeaderFields                 // those named by Section.Fields
	HeaderFieldsNot              // all others
	MIMEHeader                   // of a part
	BodyText                     // the body of the message, or of the message in a part
)

// Section names a text of a message.
type Section struct {
	Part   []uint32 // "1.2" as numbers; empty: the message itself
	Which  Which
	Fields []string
}

// Range is a part of a text, in bytes of what is sent.
type Range struct{ Offset, Length int64 }

// All is the range of everything.
var All = Range{0, math.MaxInt64}

// Source gives texts of one stored message. It is used by one goroutine at a time.
type Source struct {
	r    io.ReaderAt
	tree Tree
	mark mark
}

// mark is a place that was reached by counting line ends, so that a client that reads a text in pieces does not make us
// begin at the front each time.
type mark struct {
	start           int64 // the text's offset
	stored, virtual int64 // the place in it
	last            byte  // what is stored before it
}

// NewSource takes the message and its tree. For the whole message, a tree of one part with Body alone is enough, for its
// header one with Header.
func NewSource(r io.ReaderAt, tree Tree) *Source { return &Source{r: r, tree: tree} }

// Reset is NewSource for another message.
func (s *Source) Reset(r io.ReaderAt, tree Tree) { *s = Source{r: r, tree: tree} }

// Leave makes the Source one that may be kept while the message is not open.
func (s *Source) Leave() { s.r, s.tree = nil, slices.Clone(s.tree) }

// Continue goes on with the same message, opened again.
func (s *Source) Continue(r io.ReaderAt) { s.r = r }

// Tree is the message's.
func (s *Source) Tree() Tree { return s.tree }

// Text is bytes to be sent. It is valid as long as its Source is not used for another one.
type Text struct {
	source *Source
	start  int64 // stored
	stored int64
	size   int64 // of all of it, with CRLF
	from   int64
	to     int64

	// made writes a text that is not stored as it is; buffered has it if it is short.
	made     func(io.Writer) error
	buffered []byte

	// Binary: it may hold NULs and must be sent as a literal8 (RFC 3516).
	Binary bool
}

// Size is how many bytes WriteTo writes.
func (t *Text) Size() int64 { return t.to - t.from }

// cut takes a range of the text.
func (t *Text) cut(r Range) {
	t.from = min(max(r.Offset, 0), t.size)
	t.to = t.size
	if r.Length < t.size-t.from {
		t.to = t.from + r.Length
	}
}

// ErrShort: a message is shorter than its tree says.
var ErrShort = errors.New("message is shorter than it was")

// WriteTo writes the text. Having written less than Size, it gives an error.
func (t *Text) WriteTo(w io.Writer) (int64, error) {
	out := limited{w: w, skip: t.from, left: t.Size()}
	if out.left == 0 {
		return 0, nil
	}
	var err error
	switch {
	case t.buffered != nil:
		_, err = out.Write(t.buffered)
	case t.made != nil:
		err = t.made(&out)
	default:
		return t.writeStored(&out)
	}
	if err == errEnough {
		err = nil
	}
	if err == nil && out.left > 0 {
		err = ErrShort
	}
	return t.Size() - out.left, err
}

// Append appends the text to dst, if that is easily done: it lies in memory, in a reader with a method Bytes, and is wanted
// from its beginning to its end. Else it gives false; so it does when its length is not the one that Size tells.
func (t *Text) Append(dst []byte) ([]byte, bool) {
	if t.from != 0 || t.to != t.size {
		return dst, false
	}
	start := len(dst)
	switch memory := t.memory(); {
	case t.buffered != nil:
		dst = append(dst, t.buffered...)
	case memory == nil || t.start+t.stored > int64(len(memory)):
		return dst, false
	case t.stored == t.size:
		dst = append(dst, memory[t.start:t.start+t.stored]...)
	default:
		dst = appendCRLF(dst, memory[t.start:t.start+t.stored])
	}
	if int64(len(dst)-start) != t.size {
		return dst[:start], false
	}
	if t.buffered == nil && !t.Binary {
		withoutNULs(dst[start:])
	}
	return dst, true
}

// memory is the message, if it lies in memory.
func (t *Text) memory() []byte {
	if t.source == nil || t.made != nil {
		return nil
	}
	if m, ok := t.source.r.(interface{ Bytes() []byte }); ok {
		return m.Bytes()
	}
	return nil
}

// errEnough ends the making of a text of which only a piece is wanted.
var errEnough = errors.New("enough")

// limited passes on a piece of what is written to it.
type limited struct {
	w          io.Writer
	skip, left int64
}

func (l *limited) Write(b []byte) (int, error) {
	n := len(b)
	if int64(len(b)) <= l.skip {
		l.skip -= int64(len(b))
		return n, nil
	}
	b = b[l.skip:]
	l.skip = 0
	if int64(len(b)) > l.left {
		b = b[:l.left]
	}
	written, err := l.w.Write(b)
	l.left -= int64(written)
	if err == nil && l.left == 0 {
		err = errEnough
	}
	return n, err
}

// find gives the part a section's numbers name (imap-msgpart.c imap_msgpart_find).
func (t Tree) find(numbers []uint32) (int32, bool) {
	part := int32(0)
	for i, n := range numbers {
		deeper := i+1 < len(numbers)
		p := &t[part]
		if p.Flags&Multipart != 0 {
			for part = p.Child; n > 1 && part != 0; n-- {
				part = t[part].Next
			}
			if part == 0 {
				return 0, false
			}
		} else if n != 1 || deeper && p.Flags&RFC822 == 0 {
			return 0, false
		}
		if deeper && t[part].Flags&RFC822 != 0 {
			part = t[part].Child
		}
	}
	return part, true
}

// part gives the part a section is about: of a message in a part, that message.
func (s *Source) part(sec *Section) (int32, bool) {
	part, ok := s.tree.find(sec.Part)
	if !ok || len(sec.Part) == 0 || sec.Which == Whole || sec.Which == MIMEHeader {
		return part, ok
	}
	if s.tree[part].Flags&RFC822 == 0 {
		return 0, false
	}
	return s.tree[part].Child, true
}

// Section gives a text. Of a part that is not there it is empty, as Dovecot has it.
func (s *Source) Section(sec Section, r Range) (*Text, error) {
	n, ok := s.part(&sec)
	if !ok {
		return &Text{}, nil
	}
	p := &s.tree[n]
	t := &Text{source: s, start: p.Offset}
	switch {
	case sec.Which == HeaderFields || sec.Which == HeaderFieldsNot:
		if err := t.make(s.filtered(p, &sec)); err != nil {
			return nil, err
		}
	case sec.Which == Header || sec.Which == MIMEHeader:
		t.stored, t.size = p.Header.Stored, p.Header.Virtual
	case sec.Which == Whole && len(sec.Part) == 0:
		t.stored, t.size = p.Header.Stored+p.Body.Stored, p.Header.Virtual+p.Body.Virtual
	default:
		t.start += p.Header.Stored
		t.stored, t.size = p.Body.Stored, p.Body.Virtual
	}
	t.cut(r)
	return t, nil
}

// keptText is the longest made text that is held in memory; a longer one is made twice, once to know its length.
const keptText = 256 << 10

func (t *Text) make(write func(io.Writer) error) error {
	m := measure{}
	if err := write(&m); err != nil {
		return err
	}
	t.size = m.size
	if m.size <= keptText {
		t.buffered = m.kept
	}
	t.made = write
	return nil
}

// measure counts, and keeps what is short.
type measure struct {
	size int64
	kept []byte
}

func (m *measure) Write(b []byte) (int, error) {
	m.size += int64(len(b))
	if m.size <= keptText {
		m.kept = append(m.kept, b...)
	} else {
		m.kept = nil
	}
	return len(b), nil
}

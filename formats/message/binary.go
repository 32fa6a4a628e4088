package message

import (
	"errors"
	"fmt"
	"io"
	"math"
)

// Errors of Source.Binary.
var (
	// ErrUnknownEncoding: the transfer encoding is none that can be taken away (RFC 3516 section 4.3).
	ErrUnknownEncoding = errors.New("unknown content transfer encoding")

	// ErrInvalidEncoding: the text is not what its transfer encoding says.
	ErrInvalidEncoding = errors.New("invalid data in MIME part")
)

// block is a piece of a message without its transfer encoding.
type block struct {
	offset, stored int64
	header         bool // the header of a part, whose transfer encoding becomes "binary"
	encoding       encoding
}

// Binary gives a part without its transfer encoding, and the message or a multipart with all its parts so (RFC 3516). It
// reads the part twice if it is long. Its errors wrap ErrUnknownEncoding and ErrInvalidEncoding.
func (s *Source) Binary(numbers []uint32, r Range) (*Text, error) {
	n, ok := s.tree.find(numbers)
	if !ok {
		return &Text{}, nil
	}
	b := binary{s: s}
	if err := b.part(n, len(numbers) == 0); err != nil {
		return nil, err
	}
	p := &s.tree[n]
	t := &Text{source: s, start: p.Offset, Binary: b.converted || b.nuls}
	switch {
	case b.converted:
		if err := t.make(b.write); err != nil {
			return nil, err
		}
	case len(numbers) == 0:
		t.stored, t.size = p.Header.Stored+p.Body.Stored, p.Header.Virtual+p.Body.Virtual
	default:
		t.start += p.Header.Stored
		t.stored, t.size = p.Body.Stored, p.Body.Virtual
	}
	t.cut(r)
	return t, nil
}

// binary collects the pieces of a converted message (index-mail-binary.c).
type binary struct {
	s               *Source
	blocks          []block
	copied          int64 // where the next stored piece begins
	converted, nuls bool
}

// stored adds what lies before end as it is.
func (b *binary) stored(end int64) {
	if end > b.copied {
		b.blocks = append(b.blocks, block{offset: b.copied, stored: end - b.copied})
	}
	b.copied = end
}

func (b *binary) part(n int32, header bool) error {
	p := &b.s.tree[n]
	e, err := b.s.encoding(p)
	if err != nil {
		return err
	}
	if e == unknownEncoding {
		return fmt.Errorf("part at byte %d: %w", p.Offset, ErrUnknownEncoding)
	}
	b.nuls = b.nuls || p.Flags&NULs != 0
	body := p.Offset + p.Header.Stored
	end := body + p.Body.Stored
	switch {
	case !header:
	case e == asIs:
		b.stored(body)
	default:
		b.stored(p.Offset)
		b.blocks = append(b.blocks, block{offset: p.Offset, header: true})
	}
	b.copied = body
	if p.Child != 0 {
		for c := p.Child; c != 0; c = b.s.tree[c].Next {
			if err := b.part(c, true); err != nil {
				return err
			}
		}
		b.stored(end)
		return nil
	}
	if e != asIs && p.Body.Stored > 0 {
		b.blocks = append(b.blocks, block{offset: body, stored: p.Body.Stored, encoding: e})
		b.converted = true
		b.copied = end
	}
	b.stored(end)
	return nil
}

// encoding finds the transfer encoding in the header of a part. The last field counts, and one that is folded is not
// understood, as with Dovecot.
func (s *Source) encoding(p *Part) (encoding, error) {
	b := bufferPool.Get().(*buffers)
	defer func() {
		b.w.r = nil
		bufferPool.Put(b)
	}()
	b.w.reset(s.r, p.Offset, p.Offset+p.Header.Stored)
	e, mine, start := asIs, false, true
	var l lexer
	for first := true; ; first = false {
		line := b.w.line()
		if len(line) == 0 {
			break
		}
		text, whole := cutLineEnd(line)
		switch {
		case first || start && !isBlank(line[0]):
			var n name
			n, text = splitField(text)
			if mine = n == contentEncoding; mine {
				e = encodingOf(&l, text)
			}
		case start && mine:
			e = unknownEncoding
		}
		start = whole
	}
	if b.w.err != nil {
		return 0, fmt.Errorf("read message: %w", b.w.err)
	}
	return e, nil
}

func (b *binary) write(w io.Writer) error {
	for i := range b.blocks {
		if err := b.s.writeBlock(w, &b.blocks[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Source) writeBlock(w io.Writer, b *block) error {
	buf := bufferPool.Get().(*buffers)
	defer func() {
		buf.w.r = nil
		bufferPool.Put(buf)
	}()
	if b.header {
		buf.w.reset(s.r, b.offset, s.tree.Size().Stored)
		f := filter{w: w, fields: []string{names[contentEncoding]}, not: true, before: "Content-Transfer-Encoding: binary\r\n", nuls: true}
		f.eachLine(&buf.w)
		return f.err
	}
	buf.w.reset(s.r, b.offset, b.offset+b.stored)
	if b.encoding == asIs {
		c := crlf{nuls: true, out: buf.out}
		for data := buf.w.rest(); len(data) > 0; data = buf.w.rest() {
			if err := c.write(w, data); err != nil {
				return err
			}
		}
		buf.out = c.out
		return buf.w.err
	}
	d := newDecoder(b.encoding)
	for data := buf.w.rest(); len(data) > 0; data = buf.w.rest() {
		buf.out = d.decode(buf.out[:0], data)
		if d.broken() {
			return fmt.Errorf("part at byte %d: %w", b.offset, ErrInvalidEncoding)
		}
		if len(buf.out) == 0 {
			continue
		}
		if _, err := w.Write(buf.out); err != nil {
			return err
		}
	}
	if buf.w.err == nil && !d.complete() {
		return fmt.Errorf("part at byte %d ends early: %w", b.offset, ErrInvalidEncoding)
	}
	return buf.w.err
}

// BinarySize is the size of Binary's text.
func (s *Source) BinarySize(numbers []uint32) (int64, error) {
	t, err := s.Binary(numbers, Range{0, math.MaxInt64})
	if err != nil {
		return 0, err
	}
	return t.Size(), nil
}

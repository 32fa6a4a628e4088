package message

import (
	"bytes"
	"fmt"
	"io"
	"iter"
)

// Field is a field of a header as it is stored, its lines joined by LF.
type Field struct {
	Name, Value []byte // valid until the next one
}

// Decoded appends the value in UTF-8, its encoded words decoded.
func (f Field) Decoded(dst []byte) []byte { return DecodeHeader(dst, f.Value) }

// HeaderFields gives the fields of a part's header in their order. A line that is no field has an empty name. A value is
// cut at MaxField. An error ends it.
func (s *Source) HeaderFields(part int32) iter.Seq2[Field, error] {
	return func(yield func(Field, error) bool) {
		b := bufferPool.Get().(*buffers)
		defer func() {
			b.w.r = nil
			bufferPool.Put(b)
		}()
		p := &s.tree[part]
		b.w.reset(s.r, p.Offset, p.Offset+p.Header.Stored)
		var f Field
		open, start := false, true
		for {
			line := b.w.line()
			text, whole := cutLineEnd(line)
			if len(line) == 0 || start && len(text) == 0 {
				break
			}
			switch {
			case start && open && isBlank(line[0]):
				f.Value = append(f.Value, '\n')
				fallthrough
			case !start:
				f.Value = append(f.Value, text[:max(0, min(len(text), MaxField-len(f.Value)))]...)
			default:
				if open && !yield(f, nil) {
					return
				}
				key, value := cutField(text)
				f.Name, f.Value = append(f.Name[:0], key...), append(f.Value[:0], skipBlank(value)...)
				open = true
			}
			start = whole
		}
		if b.w.err != nil {
			yield(Field{}, fmt.Errorf("read message: %w", b.w.err))
		} else if open {
			yield(f, nil)
		}
	}
}

// ContentType tells of what type a part is, "text/html", as far as can be read. It is empty where no field says so.
func (m *Message) ContentType(part int32) string {
	c := m.content(part)
	if c.kind == nil || len(c.subtype) == 0 {
		return string(c.kind)
	}
	return string(c.kind) + "/" + string(c.subtype)
}

// WriteText writes the text of a part in UTF-8, without its transfer encoding and charset; of a part with others in it
// the text around them is not meant. What is invalid becomes U+FFFD, and of an unknown transfer encoding there is nothing
// (message-decoder.c).
func (m *Message) WriteText(w io.Writer, r io.ReaderAt, part int32) error {
	if m.Tree[part].Child != 0 {
		return nil
	}
	return m.writeBody(w, r, part)
}

// writeBody is WriteText of any part, whatever is in its body.
func (m *Message) writeBody(w io.Writer, r io.ReaderAt, part int32) error {
	p := &m.Tree[part]
	e, charset := m.decoding(part)
	if e == unknownEncoding {
		return nil
	}
	b := bufferPool.Get().(*buffers)
	defer func() {
		b.w.r = nil
		bufferPool.Put(b)
	}()
	start := p.Offset + p.Header.Stored
	b.w.reset(r, start, start+p.Body.Stored)
	d := newDecoder(e)
	var t textWriter
	t.reset(w, charset)
	for data := b.w.rest(); len(data) > 0; data = b.w.rest() {
		if e != asIs {
			b.out = d.decode(b.out[:0], data)
			data = b.out
		}
		if _, err := t.Write(data); err != nil {
			return err
		}
	}
	if b.w.err != nil {
		return fmt.Errorf("read message: %w", b.w.err)
	}
	return t.Close()
}

// decoding gives how a part's text is encoded.
func (m *Message) decoding(part int32) (e encoding, charset []byte) {
	var l lexer
	typed := false
	for _, f := range m.fieldsOf(part) {
		switch f.name {
		case contentEncoding:
			e = encodingOf(&l, m.value(f))
		case contentType:
			if typed {
				continue
			}
			typed = true
			l.reset(m.value(f))
			l.skip()
			if _, r := l.contentType(nil); r == bad {
				continue
			}
			for _, p := range l.parameters(nil) {
				if equalFold(p.key, "charset") {
					charset = []byte(p.value)
					break
				}
			}
		}
	}
	return e, bytes.TrimSpace(charset)
}

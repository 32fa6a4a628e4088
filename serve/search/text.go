package search

import (
	"bytes"
	"io"

	"dovetail/formats/message"
	"dovetail/formats/message/charset"
	"dovetail/formats/message/titlecase"
	"dovetail/formats/parsed"
)

// textScan is the space in which texts are looked for.
type textScan struct {
	raw, plain, utf8, name []byte
	hay                    []byte // what was read of the part at hand, as far as a pattern may still begin in it
	body                   int    // where its body begins in hay
	longest                int    // length of the longest pattern
	left                   int    // patterns that were not found yet
}

// findTexts looks for all texts of BODY and TEXT keys in one reading of the message.
func (s *scan) findTexts(m *mail, p *Program) error {
	t := &s.text
	t.longest, t.left = 0, 0
	for _, text := range p.texts {
		text.found = false
		if len(text.text) > 0 {
			t.left++
			t.longest = max(t.longest, len(text.text))
		}
	}
	if t.left == 0 {
		return nil
	}
	if err := m.read(); err != nil {
		return err
	}
	if m.data().Tree == nil {
		if err := m.parse(); err != nil {
			return err
		}
	}
	for i := range m.d.Tree {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		if err := s.inPart(m, &m.d.Tree[i], p); err != nil || t.left == 0 {
			return err
		}
	}
	return nil
}

// contents is what the header of a part says of its body.
type contents struct {
	text     bool // is searched
	charset  string
	encoding string // lower case
}

// inPart searches a part's header and, if it is text, its own body.
func (s *scan) inPart(m *mail, part *message.Part, p *Program) error {
	t := &s.text
	t.hay, t.body = t.hay[:0], 0
	header := part.Header.Stored
	if int64(cap(t.raw)) < min(header, maxHeader) {
		t.raw = make([]byte, min(header, maxHeader))
	}
	raw := t.raw[:min(header, maxHeader)]
	if n, err := m.body.ReadAt(raw, part.Offset); err != nil && (err != io.EOF || n < len(raw)) {
		return err
	}
	c := contents{text: true, encoding: "7bit"}
	for f := range parsed.Fields(raw) {
		t.name = parsed.AppendUnfolded(t.name[:0], f.Value)
		if f.Is("CONTENT-TYPE") {
			c.takeType(t.name)
		} else if f.Is("CONTENT-TRANSFER-ENCODING") {
			c.encoding = encodingName(t.name)
		}
		t.hay, _ = titlecase.Append(t.hay, f.Name)
		t.hay = append(t.hay, f.Gap...)
		t.hay = appendField(t.hay, t.name)
	}
	t.hay = append(t.hay, "\r\n"...)
	t.look(p, true)
	t.forget()
	t.body = len(t.hay)
	if !c.text || part.Child != 0 || part.Flags&message.Multipart != 0 {
		return nil
	}
	return s.inBody(io.NewSectionReader(m.body, part.Offset+header, part.Body.Stored), &c, p)
}

// block is how much of a body is decoded at once.
const block = 32 << 10

func (s *scan) inBody(from io.Reader, c *contents, p *Program) error {
	t := &s.text
	decoder := transferDecoder(from, c.encoding)
	if decoder == nil {
		return nil
	}
	set, _ := charset.NewDecoder(c.charset)
	if t.plain == nil {
		t.plain = make([]byte, block)
	}
	for {
		n, err := io.ReadFull(decoder, t.plain)
		last := err != nil
		t.utf8 = set.Append(t.utf8[:0], t.plain[:n], last)
		t.hay, _ = titlecase.Append(t.hay, t.utf8)
		t.look(p, false)
		if t.forget(); t.left == 0 {
			return nil
		}
		if last {
			return readError(err)
		}
		if err := s.ctx.Err(); err != nil {
			return err
		}
	}
}

// readError: the end is none, nor is broken encoding.
func readError(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// look looks for what was not found yet: in a header for TEXT alone, in a body for BODY, too.
func (t *textScan) look(p *Program, header bool) {
	for _, text := range p.texts {
		if text.found || len(text.text) == 0 || header && !text.header {
			continue
		}
		hay := t.hay
		if !text.header {
			hay = hay[t.body:]
		}
		if bytes.Contains(hay, text.text) {
			text.found = true
			t.left--
		}
	}
}

// forget keeps only that end of what was searched in which a pattern may begin.
func (t *textScan) forget() {
	gone := len(t.hay) - (t.longest - 1)
	if gone <= 0 {
		return
	}
	t.hay = t.hay[:copy(t.hay, t.hay[gone:])]
	t.body = max(0, t.body-gone)
}

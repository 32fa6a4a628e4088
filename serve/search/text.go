package search

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"dovetail/formats/message"
	"dovetail/formats/message/titlecase"
	"dovetail/formats/parsed"
)

// textScan is the space in which texts are looked for.
type textScan struct {
	whole     []byte // a small message
	raw, name []byte
	hay       []byte // what was read of the part at hand, as far as a pattern may still begin in it
	body      int    // where its body begins in hay
	longest   int    // length of the longest pattern
	left      int    // patterns that were not found yet
	headers   bool   // some are looked for in headers, too
	p         *Program
}

// errFound ends the reading of a message in which everything was found.
var errFound = errors.New("found")

// findTexts looks for all texts of BODY and TEXT keys in one reading of the message.
func (s *scan) findTexts(m *mail, p *Program) error {
	t := &s.text
	t.p, t.longest, t.left, t.headers = p, 0, 0, false
	for _, text := range p.texts {
		text.found = false
		if len(text.text) > 0 {
			t.left++
			t.headers = t.headers || text.header
			t.longest = max(t.longest, len(text.text))
		}
	}
	if t.left == 0 {
		return nil
	}
	whole, err := m.parse()
	if err != nil {
		return err
	}
	for i := range whole.Tree {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		if err := s.inPart(m, whole, int32(i)); err != nil || t.left == 0 {
			return err
		}
	}
	return nil
}

// inPart searches a part's header and, if it is text, its own body: only text and messages are searched, and what has no
// type is text (message-search.c).
func (s *scan) inPart(m *mail, whole *message.Message, n int32) error {
	t, part := &s.text, &whole.Tree[n]
	t.hay, t.body = t.hay[:0], 0
	header := min(part.Header.Stored, maxHeader)
	if int64(cap(t.raw)) < header {
		t.raw = make([]byte, header)
	}
	raw := t.raw[:header]
	if k, err := m.text.ReadAt(raw, part.Offset); err != nil && (err != io.EOF || k < len(raw)) {
		return err
	}
	typed := false
	for f := range parsed.Fields(raw) {
		typed = typed || f.Is("CONTENT-TYPE")
		if t.headers {
			t.name = parsed.AppendUnfolded(t.name[:0], f.Value)
			t.hay, _ = titlecase.Append(t.hay, f.Name)
			t.hay = append(t.hay, f.Gap...)
			t.hay = s.compare.AppendLine(t.hay, t.name)
		}
	}
	if t.headers {
		t.hay = append(t.hay, "\r\n"...)
		t.look(true)
		t.forget()
		t.body = len(t.hay)
	}
	if part.Child != 0 || part.Flags&message.Multipart != 0 || t.left == 0 {
		return nil
	}
	kind := strings.ToLower(whole.ContentType(n))
	if typed && !strings.HasPrefix(kind, "text/") && !strings.HasPrefix(kind, "message/") {
		return nil
	}
	err := whole.WriteText(searching{s}, m.text, n)
	if errors.Is(err, errFound) {
		return nil
	}
	return err
}

// searching looks for texts in the body that is written to it.
type searching struct{ s *scan }

func (w searching) Write(b []byte) (int, error) {
	t := &w.s.text
	t.hay, _ = titlecase.Append(t.hay, b)
	t.look(false)
	if t.forget(); t.left == 0 {
		return 0, errFound
	}
	return len(b), w.s.ctx.Err()
}

// look looks for what was not found yet: in a header for TEXT alone, in a body for BODY, too.
func (t *textScan) look(header bool) {
	for _, text := range t.p.texts {
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

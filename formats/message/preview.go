package message

import (
	"bytes"
	"io"
	"unicode/utf8"
)

// PreviewLength is how many characters a preview has at most (RFC 8970 section 3.2 recommends 200).
const PreviewLength = 200

// Preview gives the beginning of the message's text as PREVIEW shows it: of the first part that is text, without quoted
// lines unless there is nothing else, with single spaces (message-snippet.c). Empty if there is no text.
func (m *Message) Preview(r io.ReaderAt) (string, error) {
	part, ok := m.previewPart(0)
	if !ok {
		return "", nil
	}
	s := snippet{}
	s.own.left, s.quoted.left = PreviewLength, PreviewLength-1
	kind := m.ContentType(part)
	var w io.Writer = &s
	switch {
	case equalFold(kind, "text/html"):
		w = &htmlText{w: &s}
	case kind != "" && !hasPrefixFold(kind, "text/"):
		return "", nil
	}
	if err := m.writeBody(w, r, part); err != nil && err != errEnough {
		return "", err
	}
	if len(s.own.text) > 0 {
		return string(bytes.TrimLeft(s.own.text, " ")), nil
	}
	if len(s.quoted.text) > 0 {
		return ">" + string(bytes.TrimLeft(s.quoted.text, " ")), nil
	}
	return "", nil
}

// previewPart finds the first text: of alternatives plain text, or HTML (index-mail.c
// index_mail_find_first_text_mime_part).
func (m *Message) previewPart(part int32) (int32, bool) {
	c := m.content(part)
	if c.kind == nil || equalFold(c.kind, "text") {
		return part, true
	}
	if !equalFold(c.kind, "multipart") {
		return 0, false
	}
	if equalFold(c.subtype, "alternative") {
		return m.previewAlternative(part)
	}
	for child := m.Tree[part].Child; child != 0; child = m.Tree[child].Next {
		if found, ok := m.previewPart(child); ok {
			return found, true
		}
	}
	return 0, false
}

func (m *Message) previewAlternative(part int32) (int32, bool) {
	var html, other int32
	for child := m.Tree[part].Child; child != 0; child = m.Tree[child].Next {
		switch c := m.content(child); {
		case c.kind != nil && !equalFold(c.kind, "text"):
		case c.kind == nil || equalFold(c.subtype, "plain"):
			return child, true
		case equalFold(c.subtype, "html"):
			html = child
		default:
			other = child
		}
	}
	if html != 0 {
		return html, true
	}
	return other, other != 0
}

// snippet takes the beginning of a text, quoted lines apart from others.
type snippet struct {
	own, quoted snippetText
	inQuote     bool
	inLine      bool
	blank       bool // white space was left out
}

type snippetText struct {
	text []byte
	left int // characters
}

// Write takes whole characters of UTF-8.
func (s *snippet) Write(b []byte) (int, error) {
	total := len(b)
	for len(b) > 0 {
		if !s.inLine {
			s.inLine = true
			if s.inQuote = b[0] == '>'; s.inQuote {
				if b = b[1:]; len(b) == 0 {
					break
				}
			}
		}
		b = b[s.take(b):]
		if s.own.left == 0 {
			return total, errEnough
		}
	}
	return total, nil
}

// take takes one character.
func (s *snippet) take(b []byte) int {
	to := &s.own
	if s.inQuote {
		to = &s.quoted
	}
	r, n := utf8.DecodeRune(b)
	switch {
	case r == '\ufeff':
		return n
	case r == 0:
		return 1
	case r == ' ' || r >= '\t' && r <= '\r':
		s.blank = s.blank || len(to.text) > 0
		s.inLine = r != '\n'
		return 1
	case to.left == 0:
		return n
	}
	to.left--
	if s.blank {
		if to.left == 0 {
			return n // no white space at the end
		}
		to.text = append(to.text, ' ')
		s.blank = false
		to.left--
	}
	to.text = append(to.text, b[:n]...)
	return n
}

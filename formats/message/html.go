package message

import (
	"encoding/xml"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// htmlText takes the tags out of HTML that is written to it, for a preview (mail-html2text.c). It does not mean to be an
// HTML parser: what it gives is what Dovecot gives.
type htmlText struct {
	w       io.Writer
	state   htmlState
	quotes  int  // blockquotes that are open
	newline bool // one has just ended
	in, out []byte
}

type htmlState uint8

const (
	htmlInText htmlState = iota
	htmlTag
	htmlDouble       // in "…" in a tag
	htmlDoubleEscape // behind a backslash there
	htmlSingle
	htmlSingleEscape
	htmlComment
	htmlCommentEnd // "--" was seen
	htmlScript
	htmlStyle
	htmlCDATA
)

func (h *htmlText) Write(b []byte) (int, error) {
	h.in = append(h.in, b...)
	h.out = h.out[:0]
	n := h.parse(h.in)
	h.in = append(h.in[:0], h.in[n:]...)
	if len(h.out) > 0 {
		if _, err := h.w.Write(h.out); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// parse gives how much it has taken; the rest, a few bytes, waits for more.
func (h *htmlText) parse(b []byte) int {
	i := 0
	for i < len(b) {
		n := h.step(b[i:])
		if n == 0 {
			return i
		}
		i += n
	}
	return i
}

// step takes some bytes, or none if there are too few.
func (h *htmlText) step(b []byte) int {
	c := b[0]
	switch h.state {
	case htmlInText:
		switch c {
		case '<':
			return h.tag(b)
		case '&':
			return h.entity(b)
		}
		h.out = append(h.out, c)
	case htmlTag:
		h.inTag(c)
	case htmlDouble, htmlSingle:
		if quote := map[htmlState]byte{htmlDouble: '"', htmlSingle: '\''}[h.state]; c == quote {
			h.state = htmlTag
		} else if c == '\\' {
			h.state++
		}
	case htmlDoubleEscape, htmlSingleEscape:
		h.state--
	case htmlComment:
		if c == '-' {
			if len(b) < 2 {
				return 0
			}
			if b[1] == '-' {
				h.state = htmlCommentEnd
				return 2
			}
		}
	case htmlCommentEnd:
		if c == '>' {
			h.state = htmlInText
		} else if !isHTMLBlank(c) {
			h.state = htmlComment
		}
	case htmlScript:
		return h.upTo(b, "</script>")
	case htmlStyle:
		return h.upTo(b, "</style>")
	case htmlCDATA:
		if c == ']' {
			if n := min(len(b), 3); string(b[:n]) == "]]>"[:n] {
				if n == 3 {
					h.state = htmlInText
					return 3
				}
				return 0
			}
		}
		h.out = append(h.out, c)
	}
	return 1
}

func (h *htmlText) inTag(c byte) {
	switch c {
	case '"':
		h.state = htmlDouble
	case '\'':
		h.state = htmlSingle
	case '>':
		h.state = htmlInText
		if h.quotes > 0 {
			h.out = append(h.out, "\n>"...)
		} else if h.newline {
			h.out = append(h.out, '\n')
		}
		h.newline = false
		h.space()
	}
}

// upTo skips to the end of a script or style sheet.
func (h *htmlText) upTo(b []byte, end string) int {
	if b[0] != '<' {
		return 1
	}
	n := min(len(b), len(end))
	if !equalFold(b[:n], end[:n]) {
		return 1
	}
	if n < len(end) {
		return 0
	}
	h.space()
	h.state = htmlInText
	return n
}

func (h *htmlText) space() {
	if n := len(h.out); n > 0 && h.out[n-1] != ' ' && h.out[n-1] != '\n' {
		h.out = append(h.out, ' ')
	}
}

func isHTMLBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// named tells whether a tag's name is at the start.
func tagNamed(b []byte, name string) bool {
	n := len(name)
	return len(b) > n && equalFold(b[:n], name) && (isHTMLBlank(b[n]) || b[n] == '>')
}

// tag takes "<" and, of tags that matter, the name.
func (h *htmlText) tag(b []byte) int {
	name := b[1:]
	switch {
	case len(name) >= 3 && string(name[:3]) == "!--":
		h.state = htmlComment
		return 4
	case tagNamed(name, "script"):
		h.state = htmlScript
		return 8
	case tagNamed(name, "style"):
		h.state = htmlStyle
		return 7
	case hasPrefixFold(name, "![cdata["):
		h.state = htmlCDATA
		return 9
	case tagNamed(name, "blockquote"):
		h.quotes++
	case h.quotes > 0 && hasPrefixFold(name, "/blockquote>"):
		h.quotes--
		h.newline = true
	case len(name) < 12 && !strings.ContainsAny(string(name), " \t\r\n>"):
		return 0
	}
	h.state = htmlTag
	return 1
}

// maxEntity is the longest name of an entity, with its "#".
const maxEntity = 9

// entity takes "&name;". What is none loses its "&", and a name that is not known gives nothing.
func (h *htmlText) entity(b []byte) int {
	for i, c := range b[1:] {
		if isHTMLBlank(c) || i > maxEntity {
			return 1
		}
		if c == ';' {
			if r, ok := entityRune(string(b[1 : 1+i])); ok {
				h.out = utf8.AppendRune(h.out, r)
			}
			return i + 2
		}
	}
	return 0
}

func entityRune(name string) (rune, bool) {
	if name == "apos" {
		return '\'', true
	}
	if text, ok := xml.HTMLEntity[name]; ok {
		r, _ := utf8.DecodeRuneInString(text)
		return r, true
	}
	number, ok := strings.CutPrefix(name, "#")
	base := 10
	if hex, found := strings.CutPrefix(number, "x"); found {
		number, base = hex, 16
	}
	n, err := strconv.ParseUint(number, base, 32)
	if !ok || err != nil || !utf8.ValidRune(rune(n)) || n > utf8.MaxRune {
		return 0, false
	}
	return rune(n), true
}

package search

import (
	"bytes"
	"strings"
)

// nextID takes the next message ID out of a value; nil if there is none. White space in it is dropped, quotes and comments
// are taken away, and what is no ID is passed over (Dovecot's message-id.c).
func nextID(value []byte) (id, rest []byte) {
	for {
		start := bytes.IndexByte(value, '<')
		if start < 0 {
			return nil, nil
		}
		value = value[start+1:]
		end := bytes.IndexAny(value, `>"([`)
		if end < 0 {
			return nil, nil
		}
		if value[end] != '>' {
			if id, rest, ok := oddID(value); ok {
				return id, rest
			}
			continue
		}
		id, rest = value[:end], value[end+1:]
		if bytes.IndexByte(id, '@') >= 0 {
			return withoutSpace(id), rest
		}
		value = rest
	}
}

func withoutSpace(b []byte) []byte {
	if bytes.IndexAny(b, " \t\r\n") < 0 {
		return b
	}
	return bytes.Join(bytes.FieldsFunc(b, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) }), nil)
}

// oddID reads an ID with quotes, comments or white space up to its ">".
func oddID(b []byte) (id, rest []byte, ok bool) {
	b = skipSpace(b)
	if len(b) > 0 && b[0] == '"' {
		id, b, ok = quotedPart(b)
	} else {
		id, b, ok = dotAtom(nil, b)
	}
	if !ok || len(b) == 0 || b[0] != '@' {
		return nil, nil, false
	}
	id, b, ok = dotAtom(append(id, '@'), skipSpace(b[1:]))
	if !ok || len(b) == 0 || b[0] != '>' {
		return nil, nil, false
	}
	return id, b[1:], true
}

// skipSpace passes white space and comments; one that does not end is the end of all.
func skipSpace(b []byte) []byte {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '(':
			depth++
		case depth > 0 && c == ')':
			depth--
		case depth > 0 && c == '\\':
			i++
		case depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return b[i:]
		}
	}
	return nil
}

func quotedPart(b []byte) (text, rest []byte, ok bool) {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '"':
			return text, skipSpace(b[i+1:]), true
		case '\\':
			if i++; i < len(b) {
				text = append(text, b[i])
			}
		case '\r', '\n':
		default:
			text = append(text, b[i])
		}
	}
	return nil, nil, false
}

// dotAtom reads words with dots between them, and white space and comments around these.
func dotAtom(dst, b []byte) (text, rest []byte, ok bool) {
	for {
		n := 0
		for n < len(b) && (b[n] >= 0x80 || b[n] > ' ' && b[n] != 0x7f && strings.IndexByte(`()<>@,;:\".[]`, b[n]) < 0) {
			n++
		}
		if n == 0 {
			return nil, nil, false
		}
		dst = append(dst, b[:n]...)
		if b = skipSpace(b[n:]); len(b) == 0 || b[0] != '.' {
			return dst, b, true
		}
		dst = append(dst, '.')
		b = skipSpace(b[1:])
	}
}

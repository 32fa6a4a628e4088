package parsed

import (
	"bytes"

	"dovetail/formats/message"
)

// A file may be written by the mailbox's owner, or by a disk that is dying, with checksums that are right. What is checked
// here is that nobody else is hurt: no answer of a server is broken by a text, and no tree is a maze.

// sound tells whether a text can stand in the line of an answer: its line ends are in literals.
func sound(text []byte) bool {
	if bytes.IndexByte(text, 0) >= 0 {
		return false
	}
	quoted := false
	for bytes.IndexByte(text, '\n') >= 0 || bytes.IndexByte(text, '\r') >= 0 {
		i := bytes.IndexAny(text, "\"\\{\r\n")
		b := text[i]
		text = text[i+1:]
		switch {
		case b == '"':
			quoted = !quoted
		case b == '\\' && quoted && len(text) > 0:
			text = text[1:]
		case b == '{' && !quoted:
			n, ok := literal(text)
			if !ok {
				return false
			}
			text = text[n:]
		case b == '\r', b == '\n':
			return false
		}
	}
	return true
}

// literal gives the length of what follows "{": "5}", a line end and five bytes.
func literal(text []byte) (length int, ok bool) {
	size, digits := 0, 0
	for digits < len(text) && digits < 9 && text[digits]-'0' < 10 {
		size = size*10 + int(text[digits]-'0')
		digits++
	}
	length = digits + len("}\r\n") + size
	return length, digits > 0 && bytes.HasPrefix(text[digits:], []byte("}\r\n")) && length <= len(text)
}

// soundTree tells whether each part of a tree can be reached in one way at most, as a parser makes them: the first child
// behind its parent, and each further one once, from the one before.
func soundTree(t message.Tree) bool {
	for i := range t {
		p := &t[i]
		if p.Child != 0 && (int(p.Child) != i+1 || int(t[p.Child].Parent) != i) {
			return false
		}
		if p.Next != 0 && (i == 0 || t[p.Next].Parent != p.Parent) {
			return false
		}
	}
	return true
}

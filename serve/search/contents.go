package search

import (
	"bytes"
	"strings"
)

// takeType reads a Content-Type: only text and messages are searched, and of the parameters only charset counts
// (message-search.c, message-decoder.c).
func (c *contents) takeType(value []byte) {
	word, rest := cutParameter(value)
	kind := strings.ToLower(strings.Join(strings.Fields(string(word)), ""))
	c.text = strings.HasPrefix(kind, "text/") || strings.HasPrefix(kind, "message/")
	for len(rest) > 0 {
		word, rest = cutParameter(rest)
		name, text, ok := bytes.Cut(word, []byte{'='})
		if ok && strings.EqualFold(string(bytes.TrimSpace(name)), "charset") {
			c.charset = string(bytes.TrimSpace(text))
			return
		}
	}
}

// cutParameter takes what stands before the next ";", without comments and quotes.
func cutParameter(b []byte) (word, rest []byte) {
	quoted, comment := false, 0
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\' && (quoted || comment > 0) && i+1 < len(b):
			i++
			if comment == 0 {
				word = append(word, b[i])
			}
		case comment > 0 && c == ')':
			comment--
		case !quoted && c == '(':
			comment++
		case comment > 0:
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			return word, b[i+1:]
		default:
			word = append(word, c)
		}
	}
	return word, nil
}

// encodingName reads a Content-Transfer-Encoding.
func encodingName(value []byte) string {
	word, _ := cutParameter(value)
	return strings.ToLower(string(bytes.TrimSpace(word)))
}

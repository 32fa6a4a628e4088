package socket

import "strings"

// special are the bytes that cannot stand in a line, and escapes what is written for each after byte 1
// (str_append_tabescaped of lib/strescape.c).
const (
	special = "\x00\x01\t\r\n"
	escapes = "01trn"
)

// Escape writes a value so that it can be a word of a line.
func Escape(value string) string {
	if !strings.ContainsAny(value, special) {
		return value
	}
	return string(appendEscaped(nil, value))
}

func appendEscaped(line []byte, value string) []byte {
	for i := range len(value) {
		if at := strings.IndexByte(special, value[i]); at >= 0 {
			line = append(line, 1, escapes[at])
			continue
		}
		line = append(line, value[i])
	}
	return line
}

// Unescape is the reverse of Escape. An unknown escape is the byte itself and one that is cut off is nothing.
func Unescape(word string) string {
	if strings.IndexByte(word, 1) < 0 {
		return word
	}
	plain := make([]byte, 0, len(word))
	for i := 0; i < len(word); i++ {
		c := word[i]
		if c == 1 {
			if i++; i == len(word) {
				break
			}
			c = word[i]
			if at := strings.IndexByte(escapes, c); at >= 0 {
				c = special[at]
			}
		}
		plain = append(plain, c)
	}
	return string(plain)
}

// words splits a line; an empty line has none.
func words(line string) []string {
	if line == "" {
		return nil
	}
	list := strings.Split(line, "\t")
	for i, w := range list {
		list[i] = Unescape(w)
	}
	return list
}

// appendWord adds a tab and key=value.
func appendWord(line []byte, key, value string) []byte {
	line = append(line, '\t')
	line = append(line, key...)
	line = append(line, '=')
	return appendEscaped(line, value)
}

// verb is what the log may have of a line that is not understood: its first word. What follows may be a password, or a
// cookie: also where the client has missed out the handshake, or came to the wrong socket.
func verb(w []string, line string) string {
	if len(w) > 0 {
		line = w[0]
	}
	word, _ := keyed(line)
	return sanitize(word)
}

// sanitize is a word of a client in a line of the log: bytes that could forge one are replaced, and it is cut at 80
// bytes (str_sanitize).
func sanitize(text string) string {
	cut := ""
	if len(text) > 80 {
		text, cut = text[:77], "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 127 {
			return '?'
		}
		return r
	}, text) + cut
}

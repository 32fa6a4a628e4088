package variable

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// token is a piece of what stands between "%{" and "}". Kind is the name that
// error messages give it.
type token struct {
	kind string // NAME, VALUE, NUMBER or one of punctuation
	text string // of a VALUE without quotes
}

// punctuation gives the names of the single characters.
var punctuation = map[byte]string{'}': "CCBRACE", '%': "PERC", '|': "PIPE", '(': "OBRACE", ')': "CBRACE", ',': "COMMA",
	'=': "EQ", '+': "PLUS", '-': "MINUS", '*': "STAR", '/': "SLASH"}

// lexer24 reads tokens of an expression.
type lexer24 struct {
	rest string
	tok  token // the one to look at
}

// next reads one token into tok. "end of file" is a token too.
func (x *lexer24) next() error {
	x.rest = strings.TrimLeft(x.rest, " \t")
	if x.rest == "" {
		x.tok = token{kind: "end of file"}
		return nil
	}
	c := x.rest[0]
	switch {
	case c == '\'' || c == '"':
		return x.quoted(c)
	case c >= '0' && c <= '9':
		x.take("NUMBER", len(x.rest)-len(strings.TrimLeft(x.rest, "0123456789")))
	case nameStart(c):
		n := 1
		for n < len(x.rest) && (nameStart(x.rest[n]) || strings.IndexByte("0123456789_/;:.-", x.rest[n]) >= 0) {
			n++
		}
		x.take("NAME", n)
		if !utf8.ValidString(x.tok.text) {
			return errors.New("Invalid UTF-8 string")
		}
	case punctuation[c] != "":
		x.take(punctuation[c], 1)
	default:
		return errors.New("Premature program end")
	}
	return nil
}

func nameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func (x *lexer24) take(kind string, n int) {
	x.tok = token{kind, x.rest[:n]}
	x.rest = x.rest[n:]
}

// quoted reads a string. Escapes: \\ \' \" \t \r \n \xHH and one to three
// octal digits.
func (x *lexer24) quoted(quote byte) error {
	var b strings.Builder
	for i := 1; i < len(x.rest); i++ {
		c := x.rest[i]
		switch {
		case c == quote:
			x.tok = token{"VALUE", b.String()}
			x.rest = x.rest[i+1:]
			return nil
		case c != '\\':
			b.WriteByte(c)
		default:
			escaped, n, ok := unescape(x.rest[i+1:])
			if !ok {
				return errors.New("Invalid character escape")
			}
			b.WriteByte(escaped)
			i += n
		}
	}
	return errors.New("Premature program end")
}

// unescape reads what follows a backslash and tells how long it is.
func unescape(s string) (c byte, n int, ok bool) {
	if s == "" {
		return 0, 0, false
	}
	if i := strings.IndexByte(`\'"trn`, s[0]); i >= 0 {
		return "\\'\"\t\r\n"[i], 1, true
	}
	if s[0] == 'x' && len(s) > 2 {
		v, err := strconv.ParseUint(s[1:3], 16, 8)
		return byte(v), 3, err == nil
	}
	for n < len(s) && n < 3 && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	v, err := strconv.ParseUint(s[:n], 8, 8)
	return byte(v), n, err == nil
}

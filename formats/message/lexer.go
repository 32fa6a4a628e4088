package message

import "bytes"

// lexer reads the tokens of structured header fields (RFC 5322 section 3.2, RFC 2045 section 5.1) as leniently as
// Dovecot's src/lib-mail/rfc822-parser.c does. White space and comments behind a token are skipped with it.
type lexer struct {
	b []byte
	i int

	// comment is the text of the last comment, if withComments.
	comment      []byte
	withComments bool

	// nul stands for NUL bytes in quoted text; nil leaves them.
	nul []byte
}

// result is what a token leaves behind.
type result int8

const (
	bad  result = iota - 1 // not what was expected
	done                   // nothing follows; the token may have been read
	more                   // something follows
)

var replacement = []byte("\ufffd")

func (l *lexer) reset(b []byte) { *l = lexer{b: b, comment: l.comment[:0]} }

func (l *lexer) atEnd() bool { return l.i >= len(l.b) }

// at tells whether c is next.
func (l *lexer) at(c byte) bool { return l.i < len(l.b) && l.b[l.i] == c }

func (l *lexer) rest() result {
	if l.atEnd() {
		return done
	}
	return more
}

// Classes of characters.
const (
	atomChar  = 1 << iota // atext (RFC 5322), with all of 8 bits
	tokenChar             // of MIME tokens, without the dot: atext that is no tspecial
)

var classes [256]uint8

func init() {
	for c := range classes {
		letter := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= 0x80
		if letter || bytes.IndexByte([]byte("!#$%&'*+-^_`{|}~"), byte(c)) >= 0 {
			classes[c] = atomChar | tokenChar
		}
	}
	for _, c := range []byte("/=?") {
		classes[c] = atomChar
	}
}

// skip skips white space and comments.
func (l *lexer) skip() result {
	for l.i < len(l.b) {
		switch l.b[l.i] {
		case ' ', '\t', '\r', '\n':
			l.i++
		case '(':
			if l.skipComment() == bad {
				return bad
			}
		default:
			return more
		}
	}
	return done
}

// skipComment skips a comment with those inside of it.
func (l *lexer) skipComment() result {
	l.i++
	if !l.withComments {
		_, r := l.enclosed(nil, comment, false)
		return r
	}
	var r result
	l.comment, r = l.enclosed(l.comment[:0], comment, true)
	return r
}

// enclosure is a kind of text between two characters.
type enclosure uint8

const (
	comment enclosure = iota
	quotes
	brackets // of a domain literal, which keeps them and its backslashes
)

// enclosed reads up to the closing character. Line ends are taken out, backslashes, too. White space behind it is not
// skipped.
func (l *lexer) enclosed(dst []byte, kind enclosure, collect bool) ([]byte, result) {
	start, depth := l.i, 1
	flush := func(end int) {
		if collect {
			dst = append(dst, l.b[start:end]...)
		}
	}
	for ; l.i < len(l.b); l.i++ {
		switch c := l.b[l.i]; {
		case c == 0 && l.nul != nil:
			if flush(l.i); collect {
				dst = append(dst, l.nul...)
			}
			start = l.i + 1
		case c == '(' && kind == comment:
			depth++
		case c == '[' && kind == brackets:
			return dst, bad
		case c == ')' && kind == comment, c == '"' && kind == quotes, c == ']' && kind == brackets:
			if depth--; depth > 0 {
				continue
			}
			flush(l.i)
			l.i++
			return dst, l.rest()
		case c == '\n':
			end := l.i
			if end > start && l.b[end-1] == '\r' {
				end--
			}
			flush(end)
			start = l.i + 1
		case c == '\\':
			if l.i++; l.atEnd() {
				return dst, bad
			}
			if c := l.b[l.i]; c == '\r' || c == '\n' || c == 0 {
				// obs-qp: the backslash stays.
				l.i--
			} else if kind != brackets {
				flush(l.i - 1)
				start = l.i
			}
		}
	}
	return dst, bad
}

// run appends the characters of a class, and dots if asked for.
func (l *lexer) run(dst []byte, class uint8, dots bool) []byte {
	start := l.i
	for l.i < len(l.b) && (classes[l.b[l.i]]&class != 0 || dots && l.b[l.i] == '.') {
		l.i++
	}
	return append(dst, l.b[start:l.i]...)
}

func (l *lexer) atAtom() bool { return l.i < len(l.b) && classes[l.b[l.i]]&atomChar != 0 }

// behind skips white space behind a token, if anything is there.
func (l *lexer) behind() result {
	if l.atEnd() {
		return done
	}
	return l.skip()
}

// atom reads an atom.
func (l *lexer) atom(dst []byte) ([]byte, result) {
	if !l.atAtom() {
		return dst, bad
	}
	dst = l.run(dst, atomChar, false)
	return dst, l.behind()
}

// dotAtom reads atoms with dots between them; white space around the dots is dropped.
func (l *lexer) dotAtom(dst []byte) ([]byte, result) {
	for {
		if !l.atAtom() {
			return dst, bad
		}
		dst = l.run(dst, atomChar, false)
		if r := l.behind(); r != more || !l.at('.') {
			return dst, r
		}
		l.i++
		dst = append(dst, '.')
		if l.skip() != more {
			return dst, bad
		}
	}
}

// token reads a MIME token, which may be empty.
func (l *lexer) token(dst []byte) ([]byte, result) {
	dst = l.run(dst, tokenChar, true)
	return dst, l.behind()
}

// quotedString reads a quoted string; the quote is next.
func (l *lexer) quotedString(dst []byte) ([]byte, result) {
	l.i++
	dst, r := l.enclosed(dst, quotes, true)
	if r == bad {
		return dst, bad
	}
	return dst, l.behind()
}

// phrase reads words, with one space between them.
func (l *lexer) phrase(dst []byte) ([]byte, result) {
	if l.atEnd() {
		return dst, done
	}
	if l.at('.') {
		return dst, bad
	}
	for {
		var r result
		if l.at('"') {
			dst, r = l.quotedString(dst)
		} else {
			dst = l.run(dst, atomChar, true)
			r = l.behind()
		}
		if r != more {
			return dst, r
		}
		if !l.atAtom() && !l.at('"') && !l.at('.') {
			return dst, l.skip()
		}
		dst = append(dst, ' ')
	}
}

// domain reads "@" and what follows: a dot-atom or a literal in brackets.
func (l *lexer) domain(dst []byte) ([]byte, result) {
	l.i++
	if l.skip() != more {
		return dst, bad
	}
	if !l.at('[') {
		return l.dotAtom(dst)
	}
	l.i++
	dst, r := l.enclosed(append(dst, '['), brackets, true)
	if r == bad {
		return dst, bad
	}
	return append(dst, ']'), l.behind()
}

// contentType reads "type/subtype" up to the parameters. On bad input dst holds a type without a slash or nothing.
func (l *lexer) contentType(dst []byte) ([]byte, result) {
	begin := len(dst)
	if l.skip() != more {
		return dst, bad
	}
	dst, r := l.token(dst)
	if r != more || len(dst) == begin {
		return dst, bad
	}
	if !l.at('/') {
		return dst[:begin], bad
	}
	l.i++
	if l.skip() != more {
		return dst[:begin], bad
	}
	dst = append(dst, '/')
	before := len(dst)
	dst, r = l.token(dst)
	if r == bad || len(dst) == before || !l.atEnd() && !l.at(';') {
		return dst[:begin], bad
	}
	return dst, r
}

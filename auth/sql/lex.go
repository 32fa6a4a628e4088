package sql

import (
	"errors"
	"strings"

	"dovetail/formats/conf/variable"
)

// lexer finds the strings of a query, across its variables.
type lexer struct {
	q      *query
	sql    []byte  // text outside of strings since the last segment
	open   string  // what ends what we are in: a quote, a comment; "": nothing
	inside bool    // what we are in is a string
	raw    []byte  // text of that string since its last variable
	pieces []piece // of that string, up to raw
	before byte    // the byte before it
	escape bool    // \ hides the next character of it
}

// text reads SQL.
func (l *lexer) text(s string) {
	for s != "" {
		s = s[l.step(s):]
	}
}

// step reads a byte or more and gives their number.
func (l *lexer) step(s string) int {
	switch {
	case l.inside && l.escape && s[0] == '\\' && len(s) > 1, l.inside && strings.HasPrefix(s, l.open+l.open):
		l.raw = append(l.raw, s[:2]...)
		return 2
	case l.inside && strings.HasPrefix(s, l.open):
		l.close()
		return 1
	case l.inside:
		l.raw = append(l.raw, s[0])
		return 1
	case l.open != "" && strings.HasPrefix(s, l.open):
		n := len(l.open)
		l.open = ""
		return l.keep(s, n)
	case l.open != "":
		return l.keep(s, 1)
	}
	return l.start(s)
}

// keep takes SQL text as it is.
func (l *lexer) keep(s string, n int) int {
	l.sql = append(l.sql, s[:n]...)
	return n
}

// start reads SQL outside of strings and comments.
func (l *lexer) start(s string) int {
	d := l.q.dialect
	switch {
	case s[0] == '\'', s[0] == '"' && d.DoubleQuotes:
		l.open, l.inside = s[:1], true
		if l.before = 0; len(l.sql) > 0 {
			l.before = l.sql[len(l.sql)-1]
		}
		l.escape = d.Backslash || d.Escape && l.before|0x20 == 'e' && (len(l.sql) < 2 || !isLetter(l.sql[len(l.sql)-2]))
		return 1
	case s[0] == '"', s[0] == '`' && d.Backticks:
		l.open = s[:1]
	case s[0] == '#' && d.Hashes, strings.HasPrefix(s, "--") && (!d.Hashes || len(s) > 2 && s[2] <= ' '):
		l.open = "\n"
	case strings.HasPrefix(s, "/*"):
		l.open = "*/"
		return l.keep(s, 2)
	case s[0] == '$' && d.Dollars:
		if tag, _, ok := strings.Cut(s[1:], "$"); ok && isName(tag) {
			l.open = "$" + tag + "$"
			return l.keep(s, len(l.open))
		}
	}
	return l.keep(s, 1)
}

// isName tells whether s may stand between the $ of PostgreSQL's quotes.
func isName(s string) bool {
	for i, c := range []byte(s) {
		if !isLetter(c) && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80 }

// close ends a string; without variables it was SQL text like any other.
func (l *lexer) close() {
	quote := l.open[0]
	l.open, l.inside = "", false
	if l.pieces == nil {
		l.sql = append(append(append(l.sql, quote), l.raw...), quote)
		l.raw = nil
		return
	}
	l.piece(quote)
	l.flush()
	word := isLetter(l.before) || l.before >= '0' && l.before <= '9' || l.before == '&'
	l.q.segments = append(l.q.segments, segment{literal: &literal{quote: quote, prefix: word, pieces: l.pieces}})
	l.pieces = nil
}

// piece takes the text of a string up to here.
func (l *lexer) piece(quote byte) {
	if len(l.raw) == 0 {
		return
	}
	raw, one := string(l.raw), string(quote)
	l.pieces = append(l.pieces, piece{raw: raw, text: strings.ReplaceAll(raw, one+one, one)})
	l.raw = nil
}

// flush takes the SQL text up to here.
func (l *lexer) flush() {
	if len(l.sql) > 0 {
		l.q.segments = append(l.q.segments, segment{text: string(l.sql)})
	}
	l.sql = nil
}

// hole reads a variable; %% of 2.x is none.
func (l *lexer) hole(value *variable.Template) {
	if text, err := value.Expand(variable.Values(nil)); err == nil && text == "%" {
		l.text(text)
		return
	}
	if l.inside {
		l.piece(l.open[0])
		l.pieces = append(l.pieces, piece{value: value})
		return
	}
	l.flush()
	l.q.segments = append(l.q.segments, segment{bare: value})
}

func (l *lexer) end() error {
	if l.inside {
		return errors.New("a quote " + l.open + " in the query has no end")
	}
	l.flush()
	return nil
}

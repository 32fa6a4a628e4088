package conf

import (
	"errors"
	"strings"
)

// SetValue changes the value of an assignment to text, which must be as it is
// to stand in the file (see Quote). Indentation, key and comment stay; a value
// that went over several lines becomes one line.
func (l *Line) SetValue(text string) {
	before, after := l.raw[:l.from], l.raw[l.to:]
	if text != "" && l.from == l.to && strings.HasSuffix(before, "=") {
		before += " "
	}
	if l.Pos.First != l.Pos.Line {
		after = l.ending()
		if l.Comment != "" {
			after = " " + l.Comment + after
		}
		key := l.Key
		if l.KeyQuoted {
			key = `"` + quotable.Replace(key) + `"`
		}
		before = l.Indent() + key + " = "
		l.Pos.First = l.Pos.Line
	}
	if text != "" && strings.HasPrefix(after, "#") {
		after = " " + after
	}
	l.raw = before + text + after
	l.from, l.to = len(before), len(before)+len(text)
	fresh := Line{Pos: l.Pos}
	if _, complaint := l.rules.parse(&fresh, "k = "+text); complaint == "" {
		l.Value, l.Form = fresh.Value, fresh.Form
	}
}

// Rewrite replaces all bytes of a line, of which any number of lines may come.
// It does not change what the line means to this package.
func (l *Line) Rewrite(text string) { l.raw, l.from, l.to = text, len(text), len(text) }

// Indent gives the blanks before a line.
func (l *Line) Indent() string {
	return l.raw[:len(l.raw)-len(strings.TrimLeft(l.raw, " \t"))]
}

// ending gives the line end of a line, LF if it has none.
func (l *Line) ending() string {
	if strings.HasSuffix(l.raw, "\r\n") {
		return "\r\n"
	}
	return "\n"
}

// Quote writes a value so that it is read back as exactly these bytes, in
// quotes only where that is needed. A line break or NUL cannot be written.
func Quote(value string, d Dialect) (string, error) {
	if strings.ContainsAny(value, "\n\x00") || strings.HasSuffix(value, "\r") {
		return "", errors.New("a value with a line break or NUL cannot be written in one line")
	}
	if !d.rules().needsQuotes(value) {
		return value, nil
	}
	return `"` + quotable.Replace(value) + `"`, nil
}

// quotable escapes what stands in quotes.
var quotable = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func (r *rules) needsQuotes(s string) bool {
	if s == "" {
		return false
	}
	first, last := s[0], s[len(s)-1]
	return r.blank(first) || r.blank(last) || last == '\\' || first == '"' || first == '\'' || first == '<' ||
		strings.Contains(s, "#") || r.refs && strings.Contains(s, "$") || openQuote(s)
}

// openQuote tells whether a quote in s would hide a comment after it.
func openQuote(s string) bool {
	open := byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case open == 0 && (c == '"' || c == '\''):
			open = c
		case open != 0 && c == '\\':
			i++
		case c == open:
			open = 0
		}
	}
	return open != 0
}

// QuoteName writes the name of a section. Quotes cannot hold a quote, and V1
// and Ext have none around names.
func QuoteName(name string, d Dialect) (string, error) {
	r := d.rules()
	bare := name != "" && name[0] != '{' && name[0] != '"' && !strings.ContainsAny(name, " \t\n\v\f\r#\x00")
	switch {
	case bare && (!openQuote(name) || r.tail):
		return name, nil
	case r.tail, strings.ContainsAny(name, "\n\x00\""):
		return "", errors.New("the name " + name + " cannot be written")
	}
	return `"` + strings.ReplaceAll(name, `\`, `\\`) + `"`, nil
}

package conf

import (
	"strings"
	"unicode/utf8"
)

// logical parses the parts that were collected and adds the line.
func (x *lexer) logical() {
	text := x.join()
	l := &Line{Pos: Pos{Col: x.column(x.parts[0].at)}, Comment: x.comment, rules: x.rules}
	parts := x.parts // valid until the next physical line
	begin, end := x.done, parts[len(parts)-1].at+len(parts[len(parts)-1].text)
	x.emit(l, x.end)
	value, complaint := x.rules.parse(l, text)
	l.from, l.to = end-begin, end-begin
	if value >= 0 && value < len(text) {
		l.from = x.place(parts, value) - begin
	}
	switch {
	case strings.IndexByte(text, 0) >= 0:
		x.bad(l, "NUL byte in line")
	case complaint != "":
		x.bad(l, complaint)
	case !utf8.ValidString(text):
		x.notice(l, "the line is not valid UTF-8", "save the file as UTF-8")
	}
	if l.Kind == Open && l.tail {
		x.notice(l, "text after '{' is ignored", "put it on lines of its own")
	}
}

func (x *lexer) notice(l *Line, text, hint string) {
	x.report(&Problem{Severity: Notice, Pos: l.Pos, Text: text, Hint: hint})
}

// join gives the text of the logical line.
func (x *lexer) join() string {
	if len(x.parts) == 1 {
		return x.parts[0].text
	}
	n := 0
	for _, p := range x.parts {
		n += len(p.text) + 1
	}
	var b strings.Builder
	b.Grow(n)
	for i, p := range x.parts {
		if i > 0 && !x.rules.glue {
			b.WriteByte(' ')
		}
		b.WriteString(p.text)
	}
	return b.String()
}

// place finds in src what stands at an offset of the joined text.
func (x *lexer) place(parts []part, offset int) int {
	for _, p := range parts {
		if offset < len(p.text) {
			return p.at + offset
		}
		offset -= len(p.text)
		if !x.rules.glue {
			offset--
		}
	}
	last := parts[len(parts)-1]
	return last.at + len(last.text)
}

// parse fills a line from its text, which begins and ends with a byte that is
// not blank. It gives the offset of the value, or -1, and Dovecot's complaint.
func (r *rules) parse(l *Line, s string) (value int, complaint string) {
	rest, complaint := r.key(l, s)
	if complaint != "" {
		return -1, complaint
	}
	rest = r.trimLeft(rest)
	switch {
	case r.includes && (l.Key == "!include" || l.Key == "!include_try"):
		l.Kind, l.Value, l.Try = Include, rest, l.Key == "!include_try"
		return len(s) - len(rest), ""
	case rest != "" && rest[0] == '=':
		rest = r.trimLeft(rest[1:])
		l.Kind = Assign
		return len(s) - len(rest), r.value(l, rest)
	case l.Key == "}" && rest == "":
		l.Kind = Close
		return -1, ""
	}
	l.Kind = Open
	return -1, r.section(l, rest)
}

// key takes the first word, which "=" ends too.
func (r *rules) key(l *Line, s string) (rest, complaint string) {
	if !r.modern || s[0] != '"' {
		i := 0
		for i < len(s) && s[i] != '=' && !r.blank(s[i]) {
			i++
		}
		l.Key = s[:i]
		return s[i:], ""
	}
	l.KeyQuoted = true
	for i := 1; i < len(s); i++ {
		if s[i] == '\\' {
			i++
		} else if s[i] == '"' {
			l.Key, complaint = r.unescape(s[1:i])
			return s[i+1:], complaint
		}
	}
	l.Key, complaint = r.unescape(s[1:])
	return "", complaint
}

// value takes what follows "=".
func (r *rules) value(l *Line, s string) (complaint string) {
	l.Value = s
	if s == "" {
		return ""
	}
	first, last := s[0], s[len(s)-1]
	quote := first == '"' || first == '\''
	switch {
	case r.files && first == '<':
		l.Form, l.Value = FromFile, r.trimLeft(s[1:])
	case r.refs && !quote && strings.IndexByte(s, '$') >= 0:
		l.Form = Reference
	case quote && first == last:
		// One quote alone is an empty value, as in Dovecot.
		l.Form = Quoted
		l.Value, complaint = r.unescape(s[1:max(1, len(s)-1)])
	}
	return complaint
}

// section takes what follows the first word of "type [name] {".
func (r *rules) section(l *Line, s string) (complaint string) {
	switch {
	case s != "" && s[0] == '{':
	case r.modern && l.Key == "group" && s != "":
		return r.group(l, s)
	case !r.tail && s != "" && s[0] == '"':
		name, after, closed := strings.Cut(s[1:], `"`)
		if !closed {
			return r.expecting
		}
		if l.Name, complaint = r.unescape(name); complaint != "" {
			return complaint
		}
		l.NameSet, l.Quoted = true, true
		s = r.trimLeft(after)
	default:
		l.Name, s = r.word(s)
		l.NameSet = true
	}
	if s == "" || s[0] != '{' {
		return r.expecting
	}
	if len(s) > 1 && !r.tail {
		return "Garbage after '{'"
	}
	l.tail = len(s) > 1
	return ""
}

// group takes what follows "group" in "group @label name {".
func (r *rules) group(l *Line, s string) (complaint string) {
	l.Group = true
	l.Key, s = r.word(s)
	if s == "" {
		return "Expecting group name"
	}
	l.Name, s = r.word(s)
	l.NameSet = true
	if s == "" || s[0] != '{' {
		return r.expecting
	}
	if len(s) > 1 {
		return "Garbage after '{'"
	}
	return ""
}

// unescape takes the backslashes out of what stood in quotes. The old readers
// let a backslash stand before any character and drop one at the end.
func (r *rules) unescape(s string) (text, complaint string) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, ""
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
			if i == len(s) {
				if r.modern {
					return s, `Unknown escape sequence \`
				}
				break
			}
			if r.modern && s[i] != '\\' && s[i] != '"' {
				return s, `Unknown escape sequence \` + s[i:i+1]
			}
		}
		b = append(b, s[i])
	}
	return string(b), ""
}

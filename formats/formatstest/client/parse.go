package client

import (
	"fmt"
	"strconv"
	"strings"
)

// token is one value of an IMAP response: an atom or string (text), or a list.
type token struct {
	text   string
	list   []token
	isList bool
}

// parser reads the values of one response. It knows just enough to understand Dovecot.
type parser struct{ rest string }

// parseTokens reads everything on the line.
func parseTokens(s string) ([]token, error) {
	p := &parser{rest: s}
	var all []token
	for {
		p.rest = strings.TrimLeft(p.rest, " ")
		if p.rest == "" {
			return all, nil
		}
		t, err := p.value()
		if err != nil {
			return nil, fmt.Errorf("%w in %.200q", err, s)
		}
		all = append(all, t)
	}
}

func (p *parser) value() (token, error) {
	switch p.rest[0] {
	case '(':
		return p.listed()
	case '"':
		return p.quoted()
	case '{':
		return p.literal()
	}
	return p.atom()
}

func (p *parser) listed() (token, error) {
	t := token{isList: true}
	p.rest = p.rest[1:]
	for {
		p.rest = strings.TrimLeft(p.rest, " ")
		if p.rest == "" {
			return t, fmt.Errorf("list without end")
		}
		if p.rest[0] == ')' {
			p.rest = p.rest[1:]
			return t, nil
		}
		v, err := p.value()
		if err != nil {
			return t, err
		}
		t.list = append(t.list, v)
	}
}

func (p *parser) quoted() (token, error) {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; c {
		case '\\':
			i++
			if i < len(p.rest) {
				b.WriteByte(p.rest[i])
			}
		case '"':
			p.rest = p.rest[i+1:]
			return token{text: b.String()}, nil
		default:
			b.WriteByte(c)
		}
	}
	return token{}, fmt.Errorf("string without end")
}

func (p *parser) literal() (token, error) {
	head, rest, ok := strings.Cut(p.rest[1:], "}\r\n")
	n, err := strconv.Atoi(head)
	if !ok || err != nil || n > len(rest) {
		return token{}, fmt.Errorf("bad literal")
	}
	p.rest = rest[n:]
	return token{text: rest[:n]}, nil
}

// atom ends at a space or parenthesis outside brackets: BODY[HEADER.FIELDS (X)] is one.
func (p *parser) atom() (token, error) {
	depth := 0
	end := len(p.rest)
	for i, c := range []byte(p.rest) {
		if c == '[' {
			depth++
		}
		if c == ']' {
			depth--
		}
		if depth <= 0 && (c == ' ' || c == '(' || c == ')') {
			end = i
			break
		}
	}
	if end == 0 {
		return token{}, fmt.Errorf("unexpected %q", p.rest[0])
	}
	t := token{text: p.rest[:end]}
	p.rest = p.rest[end:]
	return t, nil
}

// pairs reads a list of names and values: FETCH's and STATUS's.
func pairs(list []token) map[string]token {
	m := make(map[string]token, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		m[strings.ToUpper(list[i].text)] = list[i+1]
	}
	return m
}

func (t token) number() uint64 {
	n, _ := strconv.ParseUint(t.text, 10, 64) // Dovecot sends numbers; 0 shows in the comparison
	return n
}

func (t token) texts() []string {
	var out []string
	for _, v := range t.list {
		out = append(out, v.text)
	}
	return out
}

// Words gives the words after the name of an untagged response; ok says whether the line is such a response.
func Words(line, name string) (words []string, ok bool) {
	all, err := parseTokens(line)
	if err != nil || len(all) < 2 || all[0].text != "*" || !strings.EqualFold(all[1].text, name) {
		return nil, false
	}
	for _, t := range all[2:] {
		words = append(words, t.text)
	}
	return words, true
}

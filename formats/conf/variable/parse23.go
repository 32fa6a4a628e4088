package variable

import (
	"errors"
	"strconv"
	"strings"
)

// maxNesting bounds %{if;...} inside %{if;...} and hashes of hashes.
const maxNesting = 32

// maxPadding bounds what zero padding may add; a template cannot make a value
// larger than a small multiple of itself.
const maxPadding = 4096

// modifiers are the letters of 2.x that change a value.
const modifiers = "LUEXRHNMDT"

// field is one variable of 2.x with all that changes it.
type field struct {
	offset, width int
	zero          bool
	modifiers     string
	value         source
}

// source is what a field takes its value from.
type source interface {
	get(l Lookup) (string, error)
}

// Parse23 parses a template of 2.x. Unknown variables are found by Expand;
// errors here are functions with wrong arguments.
func Parse23(template string) (*Template, error) {
	p := parser23{names: &names{}}
	t, err := p.template(template)
	if err != nil {
		return nil, err
	}
	t.names = p.names.list
	return t, nil
}

type parser23 struct {
	names *names
	depth int
}

func (p *parser23) template(s string) (*Template, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, errors.New("variables are nested too deeply")
	}
	defer func() { p.depth-- }()
	t := &Template{}
	for s != "" {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			t.text(s)
			break
		}
		t.text(s[:i])
		f, rest, err := p.field(s[i+1:])
		if err != nil {
			return nil, err
		}
		if f != nil {
			t.parts = append(t.parts, part{field: f})
		}
		s = rest
	}
	return t, nil
}

// text adds literal text.
func (t *Template) text(s string) {
	if s == "" {
		return
	}
	if n := len(t.parts); n > 0 && t.parts[n-1].field == nil && t.parts[n-1].chain == nil {
		t.parts[n-1].text += s
		return
	}
	t.parts = append(t.parts, part{text: s})
}

// field parses what follows a "%". A template that ends before the key loses
// all of it, so the field is nil then.
func (p *parser23) field(s string) (*field, string, error) {
	f := &field{}
	s = f.numbers(s)
	i := 0
	for i < len(s) && i < 10 && strings.IndexByte(modifiers, s[i]) >= 0 {
		i++
	}
	f.modifiers, s = s[:i], s[i:]
	if s == "" {
		return nil, "", nil
	}
	if s[0] != '{' || strings.IndexByte(s, '}') < 0 {
		f.value = short(s[:1])
		if s[0] != '%' {
			p.names.add(s[:1])
		}
		return f, s[1:], nil
	}
	key, rest := braced(s[1:])
	var err error
	f.value, err = p.long(key)
	return f, rest, err
}

// numbers takes "[-][0][offset.][0][-][width]". A minus without a dot after
// the number means nothing.
func (f *field) numbers(s string) string {
	s, minus := strings.CutPrefix(s, "-")
	s, f.zero = strings.CutPrefix(s, "0")
	f.width, s = number(s)
	if !strings.HasPrefix(s, ".") {
		return s
	}
	f.offset = f.width
	if minus {
		f.offset = -f.width
	}
	s, f.zero = strings.CutPrefix(s[1:], "0")
	s, minus = strings.CutPrefix(s, "-")
	f.width, s = number(s)
	if minus {
		f.width = -f.width
	}
	return s
}

// number takes the digits at the start of s; what is too large for 31 bits
// becomes the largest such number.
func number(s string) (int, string) {
	rest := strings.TrimLeft(s, "0123456789")
	if len(rest) == len(s) {
		return 0, s
	}
	n, err := strconv.ParseInt(s[:len(s)-len(rest)], 10, 32)
	if err != nil {
		n = 1<<31 - 1
	}
	return int(n), rest
}

// braced takes a key up to its closing brace, counting braces; a backslash
// hides the next character. Without a closing brace it takes everything.
func braced(s string) (key, rest string) {
	depth := 1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return s[:i], s[i+1:]
			}
		}
	}
	return s, ""
}

// long parses what stands in braces.
func (p *parser23) long(key string) (source, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, errors.New("variables are nested too deeply")
	}
	defer func() { p.depth-- }()
	head, argument, _ := strings.Cut(key, ":")
	function, options, _ := strings.Cut(head, ";")
	switch {
	case strings.EqualFold(function, "if"):
		return p.condition(key)
	case strings.EqualFold(function, "encrypt"), strings.EqualFold(function, "decrypt"):
		return p.crypt(strings.ToLower(function), options, argument)
	case function == "pkcs5", hashes[function] != nil:
		return p.hash(function, options, argument)
	case head == "env":
		return environment(argument), nil
	}
	p.names.add(key)
	return name(key), nil
}

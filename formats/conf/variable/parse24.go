package variable

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// maxTemplate24 is the longest template of 2.4.
const maxTemplate24 = 8192

// program is one %{...} of 2.4: statements from left to right, each working on
// what the last one left.
type program struct {
	statements []statement
}

// statement is a variable, filter or calculation with its arguments.
type statement struct {
	function  string
	arguments []argument
}

// calculate is the function that an operator stands for; no name can be it.
const calculate = "calculate"

// argument is a string, a number, or a variable to look up.
type argument struct {
	key    string // of a named argument, lower case; "" if it is positional
	index  int    // of a positional argument
	kind   argumentKind
	text   string // of a string; name of a variable; operator of a calculation
	number int64
}

type argumentKind int

const (
	isString argumentKind = iota
	isNumber
	isVariable
)

// Parse24 parses a template of 2.4. The errors are syntax errors; unknown
// variables and filters are found by Expand, where the filter "default" may
// still help.
func Parse24(template string) (*Template, error) {
	if len(template) > maxTemplate24 {
		return nil, errors.New("Program size exceeds maximum of " + strconv.Itoa(maxTemplate24) + " bytes")
	}
	t := &Template{}
	names := &names{}
	for s := template; s != ""; {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			t.text(s)
			break
		}
		t.text(s[:i])
		s = s[i:]
		switch {
		case strings.HasPrefix(s, "%%{"):
			t.text("%{")
			s = s[3:]
		case strings.HasPrefix(s, "%{"):
			p := parser24{lexer24: lexer24{rest: s[2:]}, names: names}
			chain, err := p.program()
			if err != nil {
				return nil, err
			}
			t.parts = append(t.parts, part{chain: chain})
			s = p.rest
		default:
			t.text("%")
			s = s[1:]
		}
	}
	t.names = names.list
	return t, nil
}

// parser24 parses what follows one "%{".
type parser24 struct {
	lexer24
	names *names
}

// fail is an error in the words of the parser generator that Dovecot uses.
func (p *parser24) fail(expected string) error {
	return errors.New("syntax error, unexpected " + p.tok.kind + ", expecting " + expected)
}

// program parses "filter | filter ... }"; each filter may be missing.
func (p *parser24) program() (*program, error) {
	c := &program{}
	if err := p.next(); err != nil {
		return nil, err
	}
	expected := "CCBRACE or PIPE or NAME"
	for {
		if p.tok.kind == "NAME" {
			if err := p.filter(c); err != nil {
				return nil, err
			}
			expected = "CCBRACE or PIPE"
		}
		switch p.tok.kind {
		case "CCBRACE":
			return c, nil
		case "PIPE":
		default:
			return nil, p.fail(expected)
		}
		if err := p.next(); err != nil {
			return nil, err
		}
		expected = "CCBRACE or PIPE or NAME"
	}
}

// filter parses "name", "name(arguments)" and an operator after it.
func (p *parser24) filter(c *program) error {
	s := statement{function: p.tok.text}
	if err := p.next(); err != nil {
		return err
	}
	if p.tok.kind == "OBRACE" {
		if err := p.arguments(&s); err != nil {
			return err
		}
	}
	if len(c.statements) == 0 && !plainFilter(s) {
		p.names.add(s.function)
	}
	c.statements = append(c.statements, s)
	switch p.tok.kind {
	case "PLUS", "MINUS", "STAR", "SLASH", "PERC":
		return p.operator(c)
	}
	return nil
}

// plainFilter tells whether the first word of an expression can only be a
// filter, although a variable of that name would win.
func plainFilter(s statement) bool {
	switch s.function {
	case "literal", "lookup", "if", "switch", "concat", "default", calculate:
		return true
	}
	return len(s.arguments) > 0
}

// arguments parses "(argument, ...)"; positional ones come first, in order,
// then named ones by name.
func (p *parser24) arguments(s *statement) error {
	position := 0
	for {
		if err := p.next(); err != nil {
			return err
		}
		a, err := p.argument()
		if err != nil {
			return err
		}
		if a.key == "" {
			a.index = position
			position++
		}
		s.arguments = append(s.arguments, a)
		switch p.tok.kind {
		case "COMMA":
			continue
		case "CBRACE":
			slices.SortStableFunc(s.arguments, func(a, b argument) int {
				return cmp.Or(strings.Compare(a.key, b.key), a.index-b.index)
			})
			return p.next()
		}
		return p.fail("CBRACE or COMMA")
	}
}

// argument parses a value, or "key = value".
func (p *parser24) argument() (argument, error) {
	a, err := p.value("MINUS or NAME or VALUE or NUMBER")
	if err != nil || a.kind != isVariable {
		return a, err
	}
	if p.tok.kind == "EQ" {
		key := strings.ToLower(a.text)
		if err := p.next(); err != nil {
			return a, err
		}
		a, err = p.value("MINUS or NAME or VALUE or NUMBER")
		a.key = key
	}
	if a.kind == isVariable {
		p.names.add(a.text)
	}
	return a, err
}

// value parses a string, a number or a name.
func (p *parser24) value(expected string) (a argument, err error) {
	sign := ""
	if p.tok.kind == "MINUS" {
		sign, expected = "-", "NUMBER"
		if err := p.next(); err != nil {
			return a, err
		}
	}
	a.text = p.tok.text
	switch kind := p.tok.kind; {
	case kind == "NUMBER":
		a.kind = isNumber
		if a.number, err = strconv.ParseInt(sign+a.text, 10, 64); err != nil {
			return a, errors.New("Not a number")
		}
	case kind == "VALUE" && sign == "" && strings.Contains(expected, kind):
		a.kind = isString
	case kind == "NAME" && sign == "":
		a.kind = isVariable
	default:
		return a, p.fail(expected)
	}
	return a, p.next()
}

// operator parses "+ 1" after a filter.
func (p *parser24) operator(c *program) error {
	oper := p.tok.kind
	if err := p.next(); err != nil {
		return err
	}
	a, err := p.value("MINUS or NAME or NUMBER")
	if err != nil {
		return err
	}
	if a.kind == isVariable {
		p.names.add(a.text)
	}
	a.index = 1
	c.statements = append(c.statements, statement{calculate, []argument{{kind: isString, text: oper}, a}})
	return nil
}

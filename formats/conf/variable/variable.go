// Package variable expands the variables in Dovecot's settings: "%u" and
// "%{user}" of 2.x, "%{user | lower}" of 2.4. It knows the grammar, the
// modifiers, functions and filters; what a variable is worth it asks a Lookup.
//
// 2.x (Parse23):
//
//	%[-][0][offset.][0][-][width]MODIFIERS key
//	%[...]MODIFIERS{name}   name, function:argument, hash;options:name or if;...
//	%%                      a percent sign
//
// The value is looked up, the modifiers change it from left to right, offset
// bytes are skipped (a negative offset counts from the end), and what is left
// is cut to width bytes; a negative width drops that many bytes at the end, a
// leading 0 pads with zeros on the left and never cuts.
//
//	L U   lower and upper case, ASCII     R   reverse
//	E     backslash before " ' \          T   without white space at the end
//	X     decimal to hexadecimal          M   MD5 in hexadecimal
//	D     each "." becomes ",dc="
//	H     PJW hash; width is its modulus, offset the least number of digits
//	N     the first 8 bytes of MD5, likewise
//
// 2.4 (Parse24):
//
//	%{source | filter | filter(arguments) ...}
//	source    variable, provider:name, or a filter that needs no input
//	          each may be followed by one of + - * / % and a number
//	%%{       a literal "%{"; any other % is itself
//
// Measured with Dovecot 2.3.19.1 (doveadm user with static fields) and with
// the recorded answers of 2.4.4 in testdata. Regular expressions are Go's:
// back references and look-around are errors.
package variable

import (
	"errors"
	"os"
	"strconv"
	"strings"
)

// Lookup gives the value of a variable. The name is what stands in the
// template: "u" for %u, "user" for %{user}, "userdb:quota" or, in 2.x,
// "userdb:quota:default" for a function with its argument. It returns
// ErrUnknown for names it does not have; any other error ends the expansion.
type Lookup func(name string) (string, error)

// ErrUnknown is what a Lookup returns for a name that it does not have, and
// what an UnknownError wraps.
var ErrUnknown = errors.New("unknown variable")

// UnknownError tells which variable does not exist.
type UnknownError struct {
	Name string // as Dovecot names it in its message, without "%"
	Text string // Dovecot's message
}

func (e *UnknownError) Error() string { return e.Text }
func (e *UnknownError) Unwrap() error { return ErrUnknown }

// Values is a Lookup over a map.
func Values(m map[string]string) Lookup {
	return func(name string) (string, error) {
		if v, ok := m[name]; ok {
			return v, nil
		}
		return "", ErrUnknown
	}
}

// Escaped is a Lookup that escapes the values of another, as 2.x does for SQL
// and LDAP: modifiers see the escaped value.
func Escaped(l Lookup, escape func(string) string) Lookup {
	return func(name string) (string, error) {
		v, err := l(name)
		if err != nil {
			return "", err
		}
		return escape(v), nil
	}
}

// Template is a parsed text with variables. It is immutable and may be used by
// many goroutines.
type Template struct {
	parts []part
	names []string
}

// part is a piece of a template: literal text, or something to expand.
type part struct {
	text  string
	field *field   // 2.x
	chain *program // 2.4
}

// Variables gives the names that the template looks up, each once, in order of
// appearance, spelled as a Lookup gets them.
func (t *Template) Variables() []string { return t.names }

// Literal tells whether the template holds no variables at all.
func (t *Template) Literal() bool {
	for _, p := range t.parts {
		if p.field != nil || p.chain != nil {
			return false
		}
	}
	return true
}

// Piece is a run of literal text, or one %... with all that belongs to it.
type Piece struct {
	Text  string
	Value *Template // nil: Text is all there is
}

// Pieces takes the template apart, for those who do not put its values into a
// text but hand them on beside it. Expanded one by one they give the same.
func (t *Template) Pieces() []Piece {
	var all []Piece
	for _, p := range t.parts {
		if p.field == nil && p.chain == nil {
			all = append(all, Piece{Text: p.text})
			continue
		}
		all = append(all, Piece{Value: &Template{parts: []part{p}, names: t.names}})
	}
	return all
}

// Expand gives the text with all variables replaced. The text of a 2.x
// template can be used even if the error is an UnknownError: it then has
// UNSUPPORTED_VARIABLE_name in that place, which Dovecot shows where a wrong
// variable must not stop the work, such as in log lines.
func (t *Template) Expand(l Lookup) (string, error) { return t.ExpandEscaped(l, nil) }

// ExpandEscaped is Expand with a function that escapes what variables give for
// the language that the template is in, after all modifiers or filters, unless
// 2.4's filter "safe" forbids it. 2.x itself escapes before the modifiers, some
// of which undo that: Escaped does so, too.
func (t *Template) ExpandEscaped(l Lookup, escape func(string) string) (string, error) {
	var b strings.Builder
	var unknown error
	for _, p := range t.parts {
		text, err := p.text, error(nil)
		switch {
		case p.field != nil:
			if text, err = p.field.expand(l); err == nil && escape != nil {
				text = escape(text)
			}
		case p.chain != nil:
			text, err = p.chain.run(l, escape)
		}
		switch {
		case p.field != nil && errors.Is(err, ErrUnknown):
			unknown = first(unknown, err)
		case err != nil:
			return "", err
		}
		b.WriteString(text)
	}
	return b.String(), unknown
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// Expand23 parses and expands a template of 2.x at once.
func Expand23(template string, l Lookup) (string, error) {
	t, err := Parse23(template)
	if err != nil {
		return "", err
	}
	return t.Expand(l)
}

// Expand24 parses and expands a template of 2.4 at once.
func Expand24(template string, l Lookup) (string, error) {
	t, err := Parse24(template)
	if err != nil {
		return "", err
	}
	return t.Expand(l)
}

// process gives what is known of the own process.
func process(name string) (string, bool) {
	switch name {
	case "pid":
		return strconv.Itoa(os.Getpid()), true
	case "uid":
		return strconv.Itoa(os.Geteuid()), true
	case "gid":
		return strconv.Itoa(os.Getegid()), true
	case "hostname":
		name, err := os.Hostname()
		return name, err == nil
	}
	return "", false
}

// names collects variables, each once.
type names struct {
	list []string
	seen map[string]bool
}

func (n *names) add(name string) {
	if n.seen == nil {
		n.seen = map[string]bool{}
	}
	if !n.seen[name] {
		n.seen[name] = true
		n.list = append(n.list, name)
	}
}

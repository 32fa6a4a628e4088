// Package smtp is what servers of SMTP and LMTP have in common: the grammar of commands (RFC 5321 section 4.1, RFC 6531 for
// UTF-8), and a Session, which is their side of a connection until it is known what a command means.
package smtp

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Split cuts a line into its verb, upper case, and what follows it.
func Split(line string) (verb, args string) {
	verb, args, _ = strings.Cut(line, " ")
	return strings.ToUpper(verb), strings.TrimRight(args, " \t")
}

// Path is an address between angle brackets. The zero Path is "<>".
type Path struct {
	Local  string // without quotes
	Domain string // "" where there was none
}

// Null tells that the path is "<>".
func (p Path) Null() bool { return p == Path{} }

// String is the address without brackets, with a quoted local part where that is needed.
func (p Path) String() string {
	local := p.Local
	if !isDotString(local) && !p.Null() {
		local = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
	}
	if p.Domain == "" {
		return local
	}
	return local + "@" + p.Domain
}

// isAtext tells whether a byte can be in an atom; those of UTF-8 can (RFC 6531 section 3.3).
func isAtext(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= 0x80 || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isDotString(s string) bool {
	atoms := strings.Split(s, ".")
	for _, a := range atoms {
		if a == "" {
			return false
		}
		for i := range len(a) {
			if !isAtext(a[i]) {
				return false
			}
		}
	}
	return true
}

// Param is one parameter of MAIL or RCPT.
type Param struct{ Key, Value string } // the key in upper case

// Options are what a server takes beside the grammar.
type Options struct {
	Empty      bool // "<>" is a path
	NoDomain   bool // the domain may be missing
	SpaceFirst bool // blanks in front of the path
	Bare       bool // no angle brackets
	ASCII      bool // without RFC 6531
}

// maxPath is the longest path (RFC 5321 section 4.5.3.1.3 has 256; addresses in UTF-8 are longer).
const maxPath = 1024

var (
	errPath = errors.New("Invalid path")
	errWord = errors.New("Invalid parameters")
)

// ParsePath reads "FROM:<path> parameters", or "TO:", of what follows a verb.
func ParsePath(args, word string, o Options) (p Path, params []Param, err error) {
	if len(args) < len(word)+1 || !strings.EqualFold(args[:len(word)], word) || args[len(word)] != ':' {
		return p, nil, errWord
	}
	rest := args[len(word)+1:]
	if rest == "" {
		return p, nil, errors.New("Path is empty string")
	}
	if trimmed := strings.TrimLeft(rest, " \t"); trimmed != rest {
		if !o.SpaceFirst {
			return p, nil, errors.New("Unexpected whitespace before path")
		}
		rest = trimmed
	}
	path := pathParser{s: rest}
	bracket := path.take('<')
	if !bracket && !o.Bare {
		return p, nil, errors.New("Missing '<' at beginning of path")
	}
	if bracket && path.take('>') {
		if !o.Empty {
			return p, nil, errors.New("Null path not allowed")
		}
	} else if p, err = path.address(o); err != nil {
		return p, nil, err
	} else if bracket && !path.take('>') {
		return p, nil, errors.New("Missing '>' at end of path")
	}
	rest = path.s[path.at:]
	if rest != "" && rest[0] != ' ' {
		return p, nil, errors.New("Invalid character in path")
	}
	params, err = parseParams(rest)
	return p, params, err
}

// ParseAddress reads an address, with or without brackets and domain.
func ParseAddress(s string, o Options) (Path, error) {
	o.Bare, o.NoDomain = true, true
	p, params, err := ParsePath("X:"+s, "X", o)
	if err == nil && params != nil {
		err = fmt.Errorf("%w: garbage behind it", errPath)
	}
	return p, err
}

// parseParams reads what follows a path: esmtp-params with one blank in front of each (RFC 5321 section 4.1.2).
func parseParams(s string) (params []Param, err error) {
	if s == "" {
		return nil, nil
	}
	for word := range strings.SplitSeq(s[1:], " ") {
		key, value, _ := strings.Cut(word, "=")
		if word == "" {
			return nil, paramError("Parameter is empty")
		}
		if !isKeyword(key) {
			return nil, paramError("Unexpected character in parameter keyword")
		}
		for i := range len(value) {
			if c := value[i]; c <= ' ' || c >= 0x7f || c == '=' {
				return nil, paramError("Unexpected character in parameter value")
			}
		}
		params = append(params, Param{strings.ToUpper(key), value})
	}
	return params, nil
}

// paramError is about a parameter, not about the path in front of it.
type paramError string

func (e paramError) Error() string { return string(e) }

func isKeyword(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '-' && i > 0) {
			return false
		}
	}
	return s != ""
}

// pathParser reads a path from s.
type pathParser struct {
	s  string
	at int
}

func (p *pathParser) peek() byte {
	if p.at < len(p.s) {
		return p.s[p.at]
	}
	return 0
}

func (p *pathParser) take(c byte) bool {
	if p.peek() != c || p.at >= len(p.s) {
		return false
	}
	p.at++
	return true
}

// address reads what is between the brackets. A source route in front of it means nothing any more (RFC 5321 section
// 3.6.1).
func (p *pathParser) address(o Options) (a Path, err error) {
	if len(p.s) > maxPath && strings.IndexByte(p.s[:maxPath], '>') < 0 && strings.IndexByte(p.s[:maxPath], ' ') < 0 {
		return a, fmt.Errorf("%w: Path is too long", errPath)
	}
	if p.peek() == '@' {
		colon := strings.IndexByte(p.s[p.at:], ':')
		if colon < 0 {
			return a, fmt.Errorf("%w: Empty localpart", errPath)
		}
		p.at += colon + 1
	}
	if a.Local, err = p.local(); err != nil {
		return a, err
	}
	if p.take('@') {
		if a.Domain, err = p.domain(); err != nil {
			return a, err
		}
	} else if !o.NoDomain {
		return a, errors.New("Missing domain")
	}
	if o.ASCII && strings.IndexFunc(a.Local, func(r rune) bool { return r >= 0x80 }) >= 0 {
		return a, errors.New("Invalid character in localpart")
	}
	if o.ASCII && strings.IndexFunc(a.Domain, func(r rune) bool { return r >= 0x80 }) >= 0 {
		return a, errors.New("Invalid character in domain")
	}
	if !utf8.ValidString(a.Local + a.Domain) {
		return a, fmt.Errorf("%w: not valid UTF-8", errPath)
	}
	return a, nil
}

func (p *pathParser) local() (string, error) {
	if p.take('"') {
		return p.quoted()
	}
	start := p.at
	for isAtext(p.peek()) || p.peek() == '.' {
		p.at++
	}
	local := p.s[start:p.at]
	if local == "" {
		return "", fmt.Errorf("%w: Empty localpart", errPath)
	}
	if !isDotString(local) {
		return "", fmt.Errorf("%w: Invalid localpart", errPath)
	}
	return local, nil
}

// quoted reads a quoted string behind its first quote. It has no control characters, which no mailbox needs.
func (p *pathParser) quoted() (string, error) {
	var b strings.Builder
	for p.at < len(p.s) {
		c := p.s[p.at]
		p.at++
		if c == '"' {
			if b.Len() == 0 {
				return "", fmt.Errorf("%w: Empty localpart", errPath)
			}
			return b.String(), nil
		}
		if c == '\\' && p.at < len(p.s) {
			c = p.s[p.at]
			p.at++
		}
		if c < ' ' || c == 0x7f {
			return "", fmt.Errorf("%w: Invalid character in localpart", errPath)
		}
		b.WriteByte(c)
	}
	return "", fmt.Errorf("%w: Missing '\"'", errPath)
}

// domain reads a name, or an address literal with its brackets.
func (p *pathParser) domain() (string, error) {
	start := p.at
	if p.take('[') {
		end := strings.IndexByte(p.s[p.at:], ']')
		if end <= 0 || strings.ContainsAny(p.s[p.at:p.at+end], " <>@\\\"") {
			return "", fmt.Errorf("%w: Invalid domain literal", errPath)
		}
		p.at += end + 1
		return p.s[start:p.at], nil
	}
	for c := p.peek(); c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= 0x80 || c == '-' || c == '_' || c == '.'; c = p.peek() {
		p.at++
	}
	domain := p.s[start:p.at]
	if domain == "" || strings.HasPrefix(domain, ".") || strings.Contains(domain, "..") {
		return "", fmt.Errorf("%w: Invalid domain", errPath)
	}
	return domain, nil
}

// IsDomain tells whether what a client calls itself is a name or an address literal (RFC 5321 section 4.1.1.1).
func IsDomain(s string) bool {
	p := pathParser{s: s}
	_, err := p.domain()
	return err == nil && p.at == len(s)
}

// IsString tells whether s is a String (RFC 5321 section 4.1.2): an atom, or one in quotes.
func IsString(s string) bool {
	p := pathParser{s: s}
	if p.take('"') {
		_, err := p.quoted()
		return err == nil && p.at == len(s)
	}
	for i := range len(s) {
		if !isAtext(s[i]) {
			return false
		}
	}
	return s != ""
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

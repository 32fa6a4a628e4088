package namespace

import "strings"

// Match tells whether a name matches a pattern of LIST, in which "*" stands for anything and "%" for anything without
// the separator (RFC 9051 section 6.3.9).
func Match(pattern, name string, separator byte) bool {
	return newMatcher(pattern).match(name, separator)
}

// matcher is a pattern for many names. A name takes time proportional to the square of its length at most, whatever the
// pattern is.
type matcher struct {
	pattern  string // of several wildcards in a row one is left
	literals int    // bytes that are no wildcards

	reach, next []bool // scratch of match
}

func newMatcher(pattern string) *matcher {
	m := &matcher{}
	var text strings.Builder
	for rest := pattern; rest != ""; {
		n := len(rest) - len(strings.TrimLeft(rest, "*%"))
		switch {
		case n == 0:
			n = max(strings.IndexAny(rest, "*%"), 0)
			if n == 0 {
				n = len(rest)
			}
			m.literals += n
			text.WriteString(rest[:n])
		case strings.IndexByte(rest[:n], '*') >= 0:
			text.WriteByte('*')
		default:
			text.WriteByte('%')
		}
		rest = rest[n:]
	}
	m.pattern = text.String()
	return m
}

func (m *matcher) match(name string, separator byte) bool { return m.matchFold(name, separator, 0) }

// matchFold is match in which the case of the first fold letters of the name does not matter.
func (m *matcher) matchFold(name string, separator byte, fold int) bool {
	switch {
	case m.literals > len(name):
		return false
	case m.literals == len(m.pattern):
		return m.literals == len(name) && strings.EqualFold(m.pattern[:fold], name[:fold]) && m.pattern[fold:] == name[fold:]
	case m.pattern == "*":
		return true
	}
	m.start()
	for i := range len(name) {
		if !m.step(name[i], separator, i < fold) {
			return false
		}
	}
	return m.reach[len(m.pattern)]
}

// start forgets the name before. reach[i] says that the name so far can be read by the first i bytes of the pattern.
func (m *matcher) start() {
	if m.reach == nil {
		m.reach, m.next = make([]bool, len(m.pattern)+1), make([]bool, len(m.pattern)+1)
	}
	clear(m.reach)
	m.reach[0] = true
	m.skipWildcards(m.reach)
}

func (m *matcher) skipWildcards(reach []bool) {
	for i := range len(m.pattern) {
		if reach[i] && (m.pattern[i] == '*' || m.pattern[i] == '%') {
			reach[i+1] = true
		}
	}
}

// step reads one byte more, and tells whether the name can still match. With fold it is a capital, whose case does not
// matter.
func (m *matcher) step(b, separator byte, fold bool) (still bool) {
	clear(m.next)
	for i := range len(m.pattern) {
		if !m.reach[i] {
			continue
		}
		switch p := m.pattern[i]; {
		case p == '*', p == '%' && b != separator:
			m.next[i], still = true, true
		case (p == b || fold && p == b|0x20) && p != '%':
			m.next[i+1], still = true, true
		}
	}
	m.skipWildcards(m.next)
	m.reach, m.next = m.next, m.reach
	return still
}

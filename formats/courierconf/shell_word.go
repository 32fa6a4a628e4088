package courierconf

import "bytes"

// word is one word of a command with its quotes gone and its variables filled in.
type word struct {
	text    string
	unknown string // why text is not what sh would make of it
	quoted  bool   // quotes or backslashes were used: no reserved word
	split   bool   // a variable or a pattern stands outside quotes
}

// is tells whether the word is this one in the file itself, not by what a variable holds.
func (w word) is(text string) bool { return w.text == text && !w.split && w.unknown == "" }

// writer collects a word.
type writer struct {
	word
	buf      []byte
	expanded int
}

func (w *writer) doubt(why string) {
	if w.unknown == "" {
		w.unknown = why
	}
}

// word reads up to the first byte that ends a word. In the value of an assignment "~" also counts behind a colon.
func (s *shell) word(value bool) word {
	w := &writer{}
	tilde := true // "~" here would be a home directory
	for {
		c, ok := s.peek()
		if !ok || bytes.IndexByte([]byte(" \t\n;&|<>()"), c) >= 0 {
			break
		}
		s.raw()
		switch {
		case c == '\\':
			s.escaped(w)
		case c == '\'':
			s.single(w)
		case c == '"':
			s.double(w)
		case c == '$':
			s.dollar(w, false)
		case c == '`':
			s.backquote(w)
		case c == '~' && tilde:
			w.doubt("~ is a home directory")
		default:
			s.plain(w, c)
		}
		tilde = value && c == ':'
	}
	w.text = string(w.buf)
	return w.word
}

func (s *shell) plain(w *writer, c byte) {
	switch c {
	case '*', '?', '[':
		w.split = true
	case 0:
		w.doubt("a NUL byte, of which each shell makes something else")
	case '\r':
		w.doubt("a carriage return: the file has the line ends of another system, and sh would take it into the value")
	}
	w.buf = append(w.buf, c)
}

func (s *shell) escaped(w *writer) {
	w.quoted = true
	if s.pos >= len(s.src) {
		w.buf = append(w.buf, '\\')
		return
	}
	s.quotedByte(w, s.raw())
}

func (s *shell) quotedByte(w *writer, c byte) {
	if c == 0 {
		w.doubt("a NUL byte, of which each shell makes something else")
	}
	w.buf = append(w.buf, c)
}

func (s *shell) single(w *writer) {
	w.quoted = true
	line := s.line
	for s.pos < len(s.src) {
		c := s.raw()
		if c == '\'' {
			return
		}
		s.quotedByte(w, c)
	}
	s.unclosed(w, line, "'")
}

func (s *shell) unclosed(w *writer, line int, what string) {
	w.doubt("a " + what + " that nothing closes")
	s.problem(line, "nothing closes this %s: sh would refuse the file here", what)
}

func (s *shell) double(w *writer) {
	w.quoted = true
	line := s.line
	for {
		c, ok := s.take()
		switch {
		case !ok:
			s.unclosed(w, line, `"`)
			return
		case c == '"':
			return
		case c == '\\':
			if d, _ := s.peek(); bytes.IndexByte([]byte("$`\"\\"), d) >= 0 && s.pos < len(s.src) {
				c = s.raw()
			}
			w.buf = append(w.buf, c)
		case c == '$':
			s.dollar(w, true)
		case c == '`':
			s.backquote(w)
		default:
			s.quotedByte(w, c)
		}
	}
}

// dollar reads what follows a "$".
func (s *shell) dollar(w *writer, quoted bool) {
	c, ok := s.peek()
	switch {
	case ok && inName(c, false):
		s.expand(w, s.identifier(), quoted)
	case c == '{':
		s.take()
		s.parameter(w, quoted)
	case c == '(':
		s.take()
		w.doubt("a command or a calculation would have to be run")
		s.skip(w, ')')
	case ok && bytes.IndexByte([]byte("0123456789@*#?-$!"), c) >= 0:
		s.take()
		w.doubt("depends on how the shell was started")
	case (c == '\'' || c == '"') && !quoted:
		w.doubt("$ before a quote, of which each shell makes something else")
	default:
		w.buf = append(w.buf, '$')
	}
}

func (s *shell) expand(w *writer, name string, quoted bool) {
	v := s.use(name)
	w.split = w.split || !quoted
	w.expanded += len(v.Value)
	switch {
	case v.Unknown != "":
		w.doubt("depends on $" + name + ", which is not known")
	case w.expanded > maxExpanded:
		w.doubt("too long")
	default:
		w.buf = append(w.buf, v.Value...)
	}
}

// parameter reads ${NAME}. Everything more than a name is left to shells.
func (s *shell) parameter(w *writer, quoted bool) {
	name := s.identifier()
	if c, _ := s.peek(); c == '}' && name != "" {
		s.take()
		s.expand(w, name, quoted)
		return
	}
	w.doubt("a ${...} that is more than a name")
	s.skip(w, '}')
}

func (s *shell) backquote(w *writer) {
	w.doubt("a command would have to be run")
	line := s.line
	for s.pos < len(s.src) {
		switch c := s.raw(); {
		case c == '`':
			return
		case c == '\\' && s.pos < len(s.src):
			s.raw()
		}
	}
	s.unclosed(w, line, "`")
}

// skip passes over the rest of ${ or $( with all that it holds.
func (s *shell) skip(w *writer, end byte) {
	line := s.line
	ends := []byte{end}
	for s.pos < len(s.src) {
		c := s.raw()
		last := ends[len(ends)-1]
		switch {
		case c == last:
			if ends = ends[:len(ends)-1]; len(ends) == 0 {
				return
			}
		case last == '\'': // nothing has a meaning here
		case c == '\\' && s.pos < len(s.src):
			s.raw()
		case c == '"' || c == '`' || c == '\'' && last != '"':
			ends = append(ends, c)
		case c == '(' && last != '"':
			ends = append(ends, ')')
		case c == '$' && s.pos < len(s.src) && (s.src[s.pos] == '(' || s.src[s.pos] == '{'):
			ends = append(ends, map[byte]byte{'(': ')', '{': '}'}[s.raw()])
		}
	}
	s.unclosed(w, line, "$"+map[byte]string{')': "(", '}': "{"}[end])
}

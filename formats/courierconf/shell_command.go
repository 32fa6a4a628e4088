package courierconf

import (
	"bytes"
	"slices"
)

// compound tells for each word that begins a compound command how it ends.
var compound = map[string]string{"if": "fi", "case": "esac", "for": "done", "while": "done", "until": "done", "{": "}"}

// between are reserved words after which a command follows.
var between = []string{"then", "else", "elif", "do", "!"}

// command reads one simple command up to what ends it.
func (s *shell) command() {
	s.pending, s.now, s.filled = nil, Vars{}, true
	line := s.line
	var words []word
	before := 0 // assignments before the command word: for that command only
	for {
		c, ok := s.blank()
		if !ok || bytes.IndexByte([]byte("\n;&|()#"), c) >= 0 {
			break
		}
		if c == '<' || c == '>' {
			s.redirection()
			continue
		}
		if start := s.line; len(words) == 0 || words[0].is("export") {
			if name := s.name(); name != "" {
				s.assign(name, start, len(words) > 0)
				continue
			}
		}
		w := s.word(false)
		if len(words) == 0 {
			if s.reserved(w) {
				return
			}
			before = len(s.pending)
		}
		words = append(words, w)
	}
	s.run(line, words, before)
}

// blank skips blanks and gives what follows them.
func (s *shell) blank() (byte, bool) {
	c, ok := s.peek()
	for ok && (c == ' ' || c == '\t') {
		s.take()
		c, ok = s.peek()
	}
	return c, ok
}

// reserved handles a word that structures commands; false for all others.
func (s *shell) reserved(w word) bool {
	closer, begins := compound[w.text]
	switch {
	case w.quoted || w.split || len(s.pending) > 0:
		return false
	case begins:
		s.enter(closer, "\""+w.text+"\"")
		if w.text == "case" || w.text == "for" {
			s.words()
		}
		return true
	case w.text == "fi" || w.text == "esac" || w.text == "done" || w.text == "}":
		s.leave(w.text)
		return true
	}
	return slices.Contains(between, w.text)
}

// words skips the words that follow case and for.
func (s *shell) words() {
	for c, ok := s.blank(); ok && bytes.IndexByte([]byte("\n;&|()#<>"), c) < 0; c, ok = s.blank() {
		s.word(false)
	}
}

// name reads NAME= of an assignment; "" and nothing read when there is none.
func (s *shell) name() string {
	pos, line := s.pos, s.line
	name := s.identifier()
	if c, _ := s.peek(); name != "" && c == '=' {
		s.take()
		return name
	}
	s.pos, s.line = pos, line
	return ""
}

func (s *shell) identifier() string {
	var name []byte
	for c, ok := s.peek(); ok && inName(c, len(name) > 0); c, ok = s.peek() {
		name = append(name, c)
		s.take()
	}
	return string(name)
}

func inName(c byte, digits bool) bool {
	return c == '_' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || digits && '0' <= c && c <= '9'
}

func (s *shell) assign(name string, line int, exported bool) {
	w := s.word(true)
	if c, _ := s.peek(); c == '(' && w.unknown == "" {
		w.unknown = "\"(\" has no meaning here for sh"
	}
	if exported && w.split && w.unknown == "" {
		w.unknown = "what export makes of unquoted variables and patterns depends on the shell"
	}
	if w.unknown != "" {
		w.text = ""
	}
	s.pending = append(s.pending, Assignment{name, w.text, line, w.unknown})
	s.now[name] = Var{w.text, w.unknown}
}

// redirection is told and skipped. A here-document is text, not commands.
func (s *shell) redirection() {
	line := s.line
	c, _ := s.take()
	document := false
	if d, _ := s.peek(); d == c || d == '&' || d == '|' {
		s.take()
		document = c == '<' && d == c
	}
	if d, _ := s.peek(); document && d == '-' {
		s.take()
	}
	s.blank()
	if w := s.word(false); document {
		s.documents = append(s.documents, w.text)
	}
	if len(s.closers) == 0 {
		s.problem(line, "a redirection is not done")
	}
}

// run takes over what the command sets in this shell.
func (s *shell) run(line int, words []word, before int) {
	why := s.doubt(words, before)
	if len(words) > 0 && len(s.closers) == 0 {
		s.told(line, words)
	}
	for i, a := range s.pending {
		if a.Unknown == "" && (why != "" || i < before) {
			a.Value, a.Unknown = "", why
			if why == "" {
				a.Unknown = "set for one command only"
			}
		}
		s.out.Assignments = append(s.out.Assignments, a)
		s.vars[a.Name] = Var{a.Value, a.Unknown}
	}
	if len(words) > 1 && words[0].is("unset") && why == "" {
		s.unset(line, words[1:])
	}
	s.pending = nil
}

// doubt says why it is not known whether the command is run in this shell; "" when it is.
func (s *shell) doubt(words []word, before int) string {
	c, _ := s.peek()
	double := s.pos+1 < len(s.src) && s.src[s.pos+1] == c
	switch {
	case len(s.closers) > 0:
		return "inside a compound command that is not run"
	case s.maybe:
		return "behind &&, || or in a pipeline"
	case (c == '&' || c == '|') && !double:
		return "in a pipeline or in the background"
	}
	return ""
}

// told lists commands that would do more than set variables of this shell.
func (s *shell) told(line int, words []word) {
	name := words[0].text
	switch {
	case words[0].is("unset"):
	case words[0].is("export"):
		s.exported(line, words[1:])
	case words[0].is("set") && len(words) == 2 && (words[1].text == "-a" || words[1].text == "+a"): // export what is assigned
	case words[0].is("."):
		s.problem(line, "another file is read here (dot command), which is not done")
	case words[0].unknown != "" || words[0].split || name == "":
		s.problem(line, "a command is not run")
	default:
		s.problem(line, "the command %.60q is not run", name)
	}
}

// exported checks the words of an export that assign nothing.
func (s *shell) exported(line int, names []word) {
	for _, w := range names {
		if w.unknown != "" || w.split || !isName(w.text) {
			s.problem(line, "export of %.60q is not understood", w.text)
		}
	}
	if len(names) == 0 && len(s.pending) == 0 {
		s.problem(line, "the command \"export\" is not run")
	}
}

func isName(text string) bool {
	for i := range len(text) {
		if !inName(text[i], i > 0) {
			return false
		}
	}
	return text != ""
}

func (s *shell) unset(line int, words []word) {
	for _, w := range words {
		switch {
		case w.text == "-v":
		case w.unknown != "" || w.split:
			s.problem(line, "what is unset here is not known")
		default:
			delete(s.vars, w.text)
		}
	}
}

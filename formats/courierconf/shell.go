// Package courierconf reads the configuration files of Courier-IMAP: their syntax, not their meaning.
//
// # Shell fragments
//
// Courier's imapd, imapd-ssl, pop3d, pop3d-ssl and authdaemonrc are files that Courier's start scripts read with the dot
// command of /bin/sh (courier-imap 4 and 5, /usr/sbin/imapd). ReadShell takes from them what sh would take, and runs
// nothing:
//
//	# comment, ##NAME: comment of sysconftool
//	NAME=value NAME2="two words" ; export NAME3='single'     several on a line
//	NAME=a"b c"$OTHER${THIRD}\ d                             quotes anywhere, earlier variables, backslashes
//	NAME="first \
//	second"                                                  a backslash before the line end joins lines
//
// What only a shell that runs can know - $(date), `date`, $((1+1)), ${X:-y}, ~, $1, $PATH - leaves the value unknown,
// with the reason. So does an assignment inside if, case, a loop, a function or a pipeline, or behind && and ||.
// Everything else that a fragment may do (commands, redirections, other files read with a dot) is a Problem with its line.
// Nothing is skipped without one.
//
// A variable that nothing has set is empty, as in a shell started by "env -i", which is how Courier starts.
//
// # Files of fields
//
// ReadFields reads authmysqlrc, authpgsqlrc, authsqliterc and authldaprc, which look alike but are not shell: see there.
package courierconf

import (
	"bytes"
	"fmt"
	"slices"
)

// Assignment is one NAME=VALUE of a fragment, in the order of the file.
type Assignment struct {
	Name, Value string
	Line        int    // where the assignment starts, from 1
	Unknown     string // why the value cannot be told without running the file; "" when Value is what sh would set
}

// Problem is something in a file that is not taken over.
type Problem struct {
	Line int
	Text string
}

// Var is the value of a shell variable.
type Var struct {
	Value   string
	Unknown string // as in Assignment
}

// Vars are shell variables. One set given to several ReadShell calls, one after the other, is what one shell has after
// reading the files in that order.
type Vars map[string]Var

// Fragment is what a file sets.
type Fragment struct {
	Assignments []Assignment
	Problems    []Problem
	Used        []string // variables that values of this file refer to, each once
}

// maxExpanded bounds what $NAME may add to one value: A=$A$A doubles with each line.
const maxExpanded = 64 << 10

// environment lists variables that a shell has without any file setting them.
var environment = []string{"HOME", "IFS", "LINENO", "OLDPWD", "OPTARG", "OPTIND", "PATH", "PPID", "PS1", "PS2", "PS4",
	"PWD", "SHELL", "TERM", "USER", "LOGNAME", "HOSTNAME", "LANG", "TZ", "UID", "EUID", "RANDOM", "SHLVL", "BASH", "_"}

type shell struct {
	src       []byte
	pos, line int
	vars      Vars
	out       Fragment

	used      map[string]bool
	pending   []Assignment // of the command being read
	now       Vars         // the same
	closers   []string     // the words that end the compound commands around this place
	maybe     bool         // whether this command is run depends on another one
	filled    bool         // a command stands before the next separator
	documents []string     // here-documents that begin at the next line: their last lines
}

// ReadShell reads a fragment. vars holds what earlier files set and is brought up to date; nil is an empty shell.
func ReadShell(src []byte, vars Vars) Fragment {
	if vars == nil {
		vars = Vars{}
	}
	s := &shell{src: src, line: 1, vars: vars, used: map[string]bool{}}
	for s.pos < len(s.src) {
		s.next()
	}
	if n := len(s.closers); n > 0 {
		s.problem(s.line, "the file ends before %q", s.closers[n-1])
	}
	return s.out
}

func (s *shell) problem(line int, format string, args ...any) {
	s.out.Problems = append(s.out.Problems, Problem{line, fmt.Sprintf(format, args...)})
}

// next reads what stands at the place where a command may start.
func (s *shell) next() {
	switch c, _ := s.peek(); {
	case c == ' ' || c == '\t':
		s.take()
	case c == '\n':
		s.newline()
	case c == '#':
		s.comment()
	case c == ';':
		s.take()
		s.separate()
		s.maybe = false
	case c == '&' || c == '|':
		s.operator()
	case c == '(':
		s.take()
		s.enter(")", "a subshell")
	case c == ')':
		s.take()
		s.leave(")")
	default:
		s.command()
	}
}

// peek gives the next byte behind any joined line ends; false at the end of the file.
func (s *shell) peek() (byte, bool) {
	for s.pos+1 < len(s.src) && s.src[s.pos] == '\\' && s.src[s.pos+1] == '\n' {
		s.pos += 2
		s.line++
	}
	if s.pos >= len(s.src) {
		return 0, false
	}
	return s.src[s.pos], true
}

func (s *shell) take() (byte, bool) {
	c, ok := s.peek()
	if ok {
		s.raw()
	}
	return c, ok
}

// raw takes one byte as it is, where a backslash before a line end joins nothing.
func (s *shell) raw() byte {
	c := s.src[s.pos]
	s.pos++
	if c == '\n' {
		s.line++
	}
	return c
}

func (s *shell) newline() {
	s.take()
	for _, end := range s.documents {
		for s.pos < len(s.src) && s.wholeLine() != end {
		}
	}
	s.documents, s.maybe, s.filled = nil, false, false
}

// separate ends a command by something else than the end of a line. sh refuses a file where there is none.
func (s *shell) separate() {
	if !s.filled && len(s.closers) == 0 {
		s.problem(s.line, "no command before the separator: sh would refuse the file here")
	}
	s.filled = false
}

func (s *shell) wholeLine() string {
	rest := s.src[s.pos:]
	line, _, found := bytes.Cut(rest, []byte("\n"))
	s.pos += len(line)
	if found {
		s.pos++
		s.line++
	}
	return string(bytes.TrimLeft(line, "\t"))
}

func (s *shell) comment() {
	end := bytes.IndexByte(s.src[s.pos:], '\n')
	if end < 0 {
		end = len(s.src) - s.pos
	}
	s.pos += end
}

// operator takes &, &&, | or ||. What follows may not be run, or not in this shell.
func (s *shell) operator() {
	c, _ := s.take()
	s.separate()
	if d, _ := s.peek(); d == c {
		s.take()
	} else if c == '&' {
		s.maybe = false
		return
	}
	s.maybe = true
	for d, ok := s.peek(); ok && (d == ' ' || d == '\t' || d == '\n'); d, ok = s.peek() {
		s.take() // the command may stand on the next line
	}
}

// enter begins a compound command: only one problem is told for all of it.
func (s *shell) enter(closer, what string) {
	if len(s.closers) == 0 {
		s.problem(s.line, "%s is not run: what it sets is not known", what)
	}
	s.closers = append(s.closers, closer)
}

func (s *shell) leave(closer string) {
	s.filled = true
	n := len(s.closers)
	switch {
	case n > 0 && s.closers[n-1] == closer:
		s.closers = s.closers[:n-1]
	case n > 0 && s.closers[n-1] == "esac" && closer == ")": // the pattern of a case
	default:
		s.problem(s.line, "%q without a beginning", closer)
	}
}

// use looks a variable up.
func (s *shell) use(name string) Var {
	if !s.used[name] {
		s.used[name] = true
		s.out.Used = append(s.out.Used, name)
	}
	if v, set := s.now[name]; set {
		return v
	}
	v, set := s.vars[name]
	if !set && slices.Contains(environment, name) {
		v.Unknown = "depends on $" + name + " of the environment"
	}
	return v
}

package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"dovetail/formats/conf"
)

func itoa(n int) string { return strconv.Itoa(n) }

func lower(s string) string { return strings.ToLower(s) }

func lineOf(p conf.Pos) string { return p.File + " line " + itoa(p.Line) }

// report collects what a reader finds wrong, in the order of the lines.
type report struct {
	problems *Problems
	pending  []*conf.Problem // of the syntax, not yet passed on
	path     string          // of the main file
	pos      conf.Pos        // of the line being read
}

// line makes a line the one that problems are found in, and passes on what the
// syntax found wrong up to it.
func (r *report) line(l *conf.Line) {
	r.pos = l.Pos
	for i, p := range r.pending {
		if p.Pos.File == l.Pos.File && p.Pos.Line == l.Pos.Line {
			r.pass(i + 1)
			if last := r.problems.All[len(r.problems.All)-1]; l.Kind == conf.Bad {
				last.Instead = cmp.Or(lostEqualSign(l.Raw()), last.Instead)
			}
			return
		}
	}
}

// printedBy1 is how dovecot -n of 1.x begins a line: "listen(imap): *".
var printedBy1 = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9_]+(\([a-z]+\))?:$`) })

// lostEqualSign gives what a line was meant to be that begins with a setting
// but has no "=", as in pages that lost it.
func lostEqualSign(line string) string {
	key, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if strings.HasSuffix(key, ":") && printedBy1().MatchString(key) {
		return "this is what dovecot -n of 1.x prints; give the file that it was told of"
	}
	if schema23().setting(key) == nil && schema24()[key] == nil || strings.Trim(rest, " ") == "" || strings.ContainsAny(rest, "{=") {
		return ""
	}
	return `did you mean "` + key + " = " + strings.TrimSpace(rest) + `"?`
}

// pass passes on the next problems of the syntax.
func (r *report) pass(n int) {
	for _, p := range r.pending[:n] {
		r.problems.add(fromSyntax(p))
	}
	r.pending = r.pending[n:]
}

// fail adds an error at the line being read.
func (r *report) fail(text string) *Problem {
	p := fromSyntax(&conf.Problem{Pos: r.pos, Text: text})
	r.problems.add(p)
	return p
}

// warn adds a warning that Dovecot prints as it is.
func (r *report) warn(text string) {
	r.problems.add(&Problem{Severity: Warning, Pos: r.pos, Text: text, Line: text, level: "Warning"})
}

// whole adds an error of the configuration as a whole.
func (r *report) whole(text string) *Problem {
	p := &Problem{Severity: Failed, Pos: conf.Pos{File: r.path}, Text: text, Line: text, level: "Fatal"}
	r.problems.add(p)
	return p
}

// obsolete warns of a setting that had another name or form once.
func (r *reader23) obsolete(format string, args ...any) {
	if !r.old.noted {
		r.old.noted = true
		text := "NOTE: You can get a new clean config file with: doveconf -Pn > dovecot-new.conf"
		r.problems.add(&Problem{Severity: Warning, Pos: conf.Pos{File: r.path}, Text: text, Line: text, level: "Warning"})
	}
	text := fmt.Sprintf(format, args...)
	r.problems.add(&Problem{Severity: Warning, Pos: r.pos, Text: text, level: "Warning",
		Line: "Obsolete setting in " + r.pos.String() + ": " + text})
}

// unknown complains about a setting or section that does not exist, with the
// section types around it.
func (r *reader23) unknown(key string) {
	path := key
	if r.c.Dialect == conf.V1 {
		p := r.fail("Unknown setting: " + strings.TrimPrefix(key, "auth_"))
		p.Instead = nearest(r.at, key)
		return
	}
	for f := r.at; f != nil; f = f.prev {
		if !f.isFilter && f.kind != "" {
			path = f.kind + " { " + path
		}
	}
	p := r.fail("Unknown setting: " + path)
	p.Instead, p.unknown = nearest(r.at, key), true
}

// fromSyntax makes a problem of one of the syntax.
func fromSyntax(p *conf.Problem) *Problem {
	q := &Problem{Severity: Fatal, Pos: p.Pos, Text: p.Text, Line: p.Error(), Instead: p.Hint, level: "Fatal"}
	switch {
	case p.Severity == conf.Warning:
		q.Severity, q.level = Warning, "Warning"
	case p.Severity == conf.Notice:
		q.Severity, q.Line = Advice, ""
	case p.Pos.Line == 0:
		q.Severity = Failed
	}
	return q
}

// Stderr gives the lines that doveconf prints to standard error for the
// problems, without the "doveconf: " before them: up to the one at which it
// stops, or all of them with the invalid ones at the end. Asked for settings by
// name it does not mind an invalid configuration; 2.3 does not even look, unless
// one of them is a section.
func (p *Problems) Stderr(o PrintOptions) []string {
	var lines []string
	named := len(o.Names) > 0
	look := !named || p.config != nil && (p.config.Dialect == conf.V24 || p.config.hasSection(o.Names))
	for _, q := range p.All {
		switch {
		case q.Line == "":
		case q.Severity == Failed:
			if q.global && look && q.concerns(o.Modules) {
				lines = append(lines, "Error: "+q.Text)
			}
		default:
			lines = append(lines, q.level+": "+q.Line)
		}
		if q.Severity == Fatal {
			return lines
		}
	}
	if q := p.failed(o); q != nil {
		lines = append(lines, "Fatal: "+q.Line)
	}
	return lines
}

// failed gives the problem for which doveconf fails in the end, or nil.
func (p *Problems) failed(o PrintOptions) *Problem {
	for _, q := range p.All {
		if q.Severity == Failed && len(o.Names) == 0 && q.concerns(o.Modules) {
			return q
		}
	}
	return nil
}

// concerns tells whether one of the modules has the settings of the problem.
func (p *Problem) concerns(names []string) bool {
	return len(names) == 0 || p.group == "" || p.group == "*" ||
		slices.ContainsFunc(names, func(n string) bool { return modules()[n][p.group] })
}

// Status gives the exit status of doveconf: 0, or 89 for a configuration that
// cannot be read or is not valid.
func (p *Problems) Status(o PrintOptions) int {
	if p.Fatal() != nil || p.failed(o) != nil {
		return 89
	}
	return 0
}

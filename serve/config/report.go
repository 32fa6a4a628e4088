package config

import (
	"fmt"
	"strconv"
	"strings"

	"dovetail/formats/conf"
)

func itoa(n int) string { return strconv.Itoa(n) }

func lower(s string) string { return strings.ToLower(s) }

func lineOf(p conf.Pos) string { return p.File + " line " + itoa(p.Line) }

// fail adds an error at the line being read.
func (r *reader23) fail(text string) *Problem {
	p := fromSyntax(&conf.Problem{Pos: r.pos, Text: text})
	r.problems.add(p)
	return p
}

// warn adds a warning that Dovecot prints as it is.
func (r *reader23) warn(text string) {
	r.problems.add(&Problem{Severity: Warning, Pos: r.pos, Text: text, Line: text, level: "Warning"})
}

// obsolete warns of a setting that had another name or form once.
func (r *reader23) obsolete(format string, args ...any) {
	if !r.old.noted {
		r.old.noted = true
		text := "NOTE: You can get a new clean config file with: doveconf -Pn > dovecot-new.conf"
		r.problems.add(&Problem{Severity: Warning, Pos: conf.Pos{File: r.c.Path}, Text: text, Line: text, level: "Warning"})
	}
	text := fmt.Sprintf(format, args...)
	r.problems.add(&Problem{Severity: Warning, Pos: r.pos, Text: text, level: "Warning",
		Line: "Obsolete setting in " + r.pos.String() + ": " + text})
}

// unknown complains about a setting or section that does not exist, with the
// section types around it.
func (r *reader23) unknown(key string) {
	path := key
	for f := r.at; f != nil; f = f.prev {
		if !f.isFilter && f.kind != "" {
			path = f.kind + " { " + path
		}
	}
	p := r.fail("Unknown setting: " + path)
	p.Instead = nearest(r.at, key)
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

// Stderr gives the lines that doveconf 2.3 prints to standard error for the
// problems, without the "doveconf: " before them: up to the one at which it
// stops, or all of them with the invalid ones at the end.
func (p *Problems) Stderr() []string {
	var lines []string
	for _, q := range p.All {
		switch {
		case q.Line == "":
		case q.Severity == Failed:
			if q.global {
				lines = append(lines, "Error: "+q.Text)
			}
		default:
			lines = append(lines, q.level+": "+q.Line)
		}
		if q.Severity == Fatal {
			return lines
		}
	}
	if q := p.Failed(); q != nil {
		lines = append(lines, "Fatal: "+q.Line)
	}
	return lines
}

package config

import (
	"cmp"
	"math"
	"slices"

	"dovetail/formats/conf"
)

// Severity tells what a problem means.
type Severity int

const (
	Fatal   Severity = iota // the configuration cannot be read; Dovecot stops here
	Failed                  // it can be read, but is not valid; Dovecot prints it and fails
	AtStart                 // Dovecot prints it and goes on, but would not start
	Warning                 // Dovecot warns
	Advice                  // Dovecot says nothing, we do
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Severity Severity
	Pos      conf.Pos // File may be alone: the configuration as a whole
	Text     string   // in Dovecot's words where it has any
	Line     string   // as Dovecot prints it, with the place but without "Fatal: "; "" if it is silent
	Meaning  string   // what follows from it, or ""
	Instead  string   // what to write instead, or ""
	Idle     bool     // a setting that changes nothing here
	level    string   // the word before Line: Fatal, Error, Warning
	unknown  bool     // a setting or section that the dialect does not have
	group    string   // Failed: of settings; "" for all
	global   bool     // Failed: Dovecot prints the text alone, too
}

func (p *Problem) Error() string {
	if p.Line != "" {
		return p.Line
	}
	return p.Pos.String() + ": " + p.Text
}

// Problems are all problems of a configuration, in reading order, those of the
// configuration as a whole last.
type Problems struct {
	All    []*Problem
	config *Config
}

// Fatal gives the problem at which Dovecot stops, or nil.
func (p *Problems) Fatal() *Problem { return p.first(Fatal) }

// Failed gives the problem for which Dovecot finds the configuration invalid
// after having read it, or nil.
func (p *Problems) Failed() *Problem { return p.first(Failed) }

// ByPlace gives the problems in the order of the files and their lines; those of
// the configuration as a whole come last.
func (p *Problems) ByPlace() []*Problem {
	order := map[string]int{}
	if p.config != nil {
		for i, f := range p.config.Syntax.Files {
			order[f.Name] = i
		}
	}
	line := func(q *Problem) int {
		if q.Pos.Line == 0 {
			return math.MaxInt
		}
		return q.Pos.Line
	}
	list := slices.Clone(p.All)
	slices.SortStableFunc(list, func(a, b *Problem) int {
		if a.Pos.Line > 0 && b.Pos.Line > 0 && a.Pos.File != b.Pos.File {
			return order[a.Pos.File] - order[b.Pos.File]
		}
		return cmp.Compare(line(a), line(b))
	})
	return list
}

// onlyUnknown tells whether all that makes a configuration unreadable are names
// that its dialect does not have.
func (p *Problems) onlyUnknown() bool {
	return p.Fatal() != nil && !slices.ContainsFunc(p.All, func(q *Problem) bool { return q.Severity == Fatal && !q.unknown })
}

func (p *Problems) first(s Severity) *Problem {
	i := slices.IndexFunc(p.All, func(q *Problem) bool { return q.Severity == s })
	if i < 0 {
		return nil
	}
	return p.All[i]
}

func (p *Problems) add(q *Problem) { p.All = append(p.All, q) }

// OK tells whether a program can start with the configuration.
func (p *Problems) OK() bool {
	return !slices.ContainsFunc(p.All, func(q *Problem) bool { return q.Severity <= AtStart })
}

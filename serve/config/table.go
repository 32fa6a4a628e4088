package config

import (
	_ "embed"
	"iter"
	"strconv"
	"strings"
	"sync"
)

// Fate is what becomes of a setting here.
type Fate string

const (
	Obeyed    Fate = "obeyed"     // does what it says
	NotNeeded Fate = "not needed" // accepted; Text says what we do instead
	Later     Fate = "later"      // accepted with a warning; has no effect yet
	Refused   Fate = "refused"    // an error; Text says why
)

// Setting is one row of the table of all settings that any Dovecot since 2.0
// knows. Defaults are those of Debian's packages, because build-dependent ones
// (directories, the greeting, an empty protocols) must be somebody's.
type Setting struct {
	Name23    string   // full name in 2.3, sections with "/": service/unix_listener/mode; "" if only 2.4 has it
	Place     string   // core, section, plugin:NAME; "" if only 2.4 has it
	Type      Type     // in 2.3
	Choices   []string // of an Enum
	Default23 string   // as doveconf 2.3 prints it
	Name24    string   // name in 2.4, or prose in parentheses why there is none
	Type24    string   // in the words of 2.4's documentation
	Default24 string
	Fate      Fate
	Text      string // Obeyed: what it means; NotNeeded: what we do instead; Refused: why
	Hidden    bool   // doveconf -a leaves it out
	Auth      bool   // not allowed in local and remote sections
	Null      bool   // without any value until set, and then not printed
	group     string // of modules, see modules.tsv
	key       string // the last part of Name23
	order     int    // where doveconf -S prints it
}

// Key is the last part of the name: mode.
func (s *Setting) Key() string { return s.key }

//go:embed table.tsv
var tableText string

//go:embed modules.tsv
var modulesText string

// table is read once a process, and even a process that prints one setting
// needs it: so it takes what it holds from the embedded text as it is.
var table = sync.OnceValue(func() []*Setting {
	rows := make([]Setting, 0, strings.Count(tableText, "\n"))
	all := make([]*Setting, 0, cap(rows))
	for f := range records(tableText, 12) {
		rows = append(rows, Setting{Name23: f[0], Place: f[1], Default23: f[3], Name24: f[4], Type24: f[5],
			Default24: f[6], Fate: Fate(f[7]), Text: f[8], group: f[10]})
		s := &rows[len(rows)-1]
		_, s.key = cutLast(s.Name23)
		kind, choices, _ := strings.Cut(f[2], " ")
		if s.Type = Type(kind); s.Type == Enum {
			s.Choices = strings.Split(choices, ":")
		}
		for flag := range strings.SplitSeq(f[9], ",") {
			s.Hidden = s.Hidden || flag == "hidden"
			s.Auth = s.Auth || flag == "auth"
			s.Null = s.Null || flag == "null"
		}
		s.order, _ = strconv.Atoi(f[11])
		all = append(all, s)
	}
	return all
})

// Settings gives every row, in the order of the table.
func Settings() []*Setting { return table() }

// records cuts one of the embedded tables into rows of so many fields, each of
// which is good until the next one; the first row names the columns.
func records(text string, fields int) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		f := make([]string, fields)
		_, text, _ := strings.Cut(text, "\n")
		for row := 2; text != ""; row++ {
			var line string
			line, text, _ = strings.Cut(text, "\n")
			for i := range f {
				more := false
				if f[i], line, more = strings.Cut(line, "\t"); more != (i < fields-1) {
					panic("config: table row " + strconv.Itoa(row) + " has not " + strconv.Itoa(fields) + " fields")
				}
			}
			if !yield(f) {
				return
			}
		}
	}
}

// modules tells which groups of settings doveconf -m prints for a module. The
// group "*" belongs to all of them.
var modules = sync.OnceValue(func() map[string]map[string]bool {
	m := map[string]map[string]bool{}
	for f := range records(modulesText, 2) {
		for name := range strings.FieldsSeq(f[1]) {
			if m[name] == nil {
				m[name] = map[string]bool{}
			}
			m[name][f[0]] = true
		}
	}
	return m
})

// pluginSettings are the settings of plugin { } by name. Where two plug-ins
// share one, the one that is obeyed counts.
var pluginSettings = sync.OnceValue(func() map[string]*Setting {
	all := map[string]*Setting{}
	for _, s := range Settings() {
		if old := all[s.Name23]; strings.HasPrefix(s.Place, "plugin:") && (old == nil || old.Fate != Obeyed) {
			all[s.Name23] = s
		}
	}
	return all
})

// settings24 are the rows by the name in 2.4, where that is a name. Of several
// rows with one name the one that is obeyed counts.
var settings24 = sync.OnceValue(func() map[string]*Setting {
	all := map[string]*Setting{}
	for _, s := range Settings() {
		if old := all[s.Name24]; old == nil || old.Fate != Obeyed {
			all[s.Name24] = s
		}
	}
	return all
})

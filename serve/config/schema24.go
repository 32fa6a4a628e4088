package config

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

// Kinds of settings that only 2.4 has; the others are those of 2.3.
const (
	Plain    Type = "plain"    // anything, without % variables
	File     Type = "file"     // the path of a file, or inline:CONTENT
	Strings  Type = "strings"  // a list of names with values, written as a section
	Booleans Type = "booleans" // a list of names, or of names with yes and no
	Section  Type = "section"  // a section without a name whose settings start with the word that opens it
	Sections Type = "sections" // sections with names
)

// setting24 is a setting or section of 2.4. All of them are global; sections
// only say for what they hold.
type setting24 struct {
	name      string
	kind      Type
	choices   []string
	fallback  string      // the default as doveconf prints it
	list      [][2]string // the default of a list
	nameField string      // of Sections: the setting that holds the name
	required  string      // of Sections: a setting or section that must be inside
	auth      bool        // not allowed in local and remote sections
}

//go:embed schema24.tsv
var schema24Text string

// schema24 is everything that 2.4.4 knows, by name: that of its core, and of
// Pigeonhole.
var schema24 = sync.OnceValue(func() map[string]*setting24 {
	n := strings.Count(schema24Text, "\n")
	rows, all := make([]setting24, 0, n), make(map[string]*setting24, n)
	for f := range records(schema24Text, 6) {
		kind, choices, _ := strings.Cut(f[1], " ")
		rows = append(rows, setting24{name: f[0], kind: Type(kind), fallback: f[2], nameField: f[3], required: f[4],
			auth: strings.Contains(f[5], "auth")})
		s := &rows[len(rows)-1]
		if s.kind == Enum {
			s.choices = strings.Split(choices, ":")
		}
		if s.isList() {
			s.list, s.fallback = listDefaults(f[2]), ""
		}
		all[s.name] = s
	}
	return all
})

func (s *setting24) isList() bool { return s.kind == Strings || s.kind == Booleans }

// listDefaults reads "a b" or "a=1 b=2".
func listDefaults(text string) [][2]string {
	var list [][2]string
	for word := range strings.FieldsSeq(text) {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			value = "yes"
		}
		list = append(list, [2]string{key, value})
	}
	return list
}

// prefixes24 are the names of the sections without names, each with "_", the
// longest first among those that start alike: settings that start so belong
// into the section.
var prefixes24 = sync.OnceValue(func() []string {
	var list []string
	for name, s := range schema24() {
		if s.kind == Section {
			list = append(list, name+"_")
		}
	}
	slices.Sort(list)
	slices.Reverse(list)
	return list
})

// lookup24 finds a setting by its full name; of "list/key" by that of the list.
func lookup24(key string) *setting24 {
	list, _, _ := strings.Cut(key, "/")
	return schema24()[list]
}

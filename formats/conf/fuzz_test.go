package conf

import (
	"strings"
	"testing"
)

// FuzzParse wants no panic, the same bytes back, every value written again as
// it was read, and a tree with all lines of the file.
func FuzzParse(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.Files["d.conf"])
	}
	for _, text := range oddLines {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range []Dialect{V1, V23, V24, Ext} {
			file := Parse("f", text, d)
			if file.String() != text {
				t.Fatalf("%v: %q is printed %q", d, text, file.String())
			}
			checkTree(t, text, d)
			for _, l := range file.Lines {
				if l.Kind == Assign && l.Form == Plain && l.Problem == nil && !openQuote(l.Key) {
					checkValue(t, l, d)
				}
			}
		}
	})
}

// checkTree loads the text as a main file without files to include.
func checkTree(t *testing.T, text string, d Dialect) {
	c, err := Load(tree(map[string]string{"f": text}), "/f", Options{Dialect: d, Limits: Limits{Nesting: 1 << 30}})
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for n := range c.Root.All() {
		lines++
		if n.Kind == Open && n.Close != nil {
			lines++
		}
	}
	if lines != len(c.Main.Lines) {
		t.Fatalf("%v: %q has %d lines, its tree %d", d, text, len(c.Main.Lines), lines)
	}
}

// checkValue changes a value to itself, in quotes if it needs them.
func checkValue(t *testing.T, l *Line, d Dialect) {
	text, err := Quote(l.Value, d)
	if err != nil {
		return
	}
	before, value := l.Raw(), l.Value
	l.SetValue(text)
	again := Parse("f", l.Raw(), d)
	if last := again.Lines[len(again.Lines)-1]; last.Value != value || last.Key != l.Key || strings.Trim(last.Comment, " ") != strings.Trim(l.Comment, " ") {
		t.Fatalf("%v: %q with value %q became %q, which is read as %q = %q %q", d, before, value, l.Raw(), last.Key, last.Value, last.Comment)
	}
}

package conf

import (
	"fmt"
	"strings"
	"testing"
)

// shape writes what a line was understood as.
func shape(l *Line) string {
	switch l.Kind {
	case Assign:
		return fmt.Sprintf("%s=[%s]%s", l.Key, l.Value, map[Form]string{Quoted: "quoted", FromFile: "file", Reference: "reference"}[l.Form])
	case Open:
		s := l.Key
		if l.Group {
			s = "group " + s
		}
		if l.NameSet {
			s += " [" + l.Name + "]"
		}
		return s + " {"
	case Include:
		return fmt.Sprintf("include [%s] try=%v", l.Value, l.Try)
	case Bad:
		return "! " + l.Problem.Text
	}
	return [...]string{Blank: "blank", Comment: "comment", Close: "}", Lost: "lost"}[l.Kind]
}

func TestLinesAreUnderstoodAsTheDialectDoes(t *testing.T) {
	for _, c := range []struct {
		d    Dialect
		file string
		want string
	}{
		{V24, `"a b" = c`, "a b=[c]"},
		{V24, `"a\"b\\" = c`, `a"b\=[c]`},
		{V24, `"a\tb" = c`, `! Unknown escape sequence \t`},
		{V24, `"abc`, "! Expecting '{'"},
		{V24, `a = 'it\'s'`, `! Unknown escape sequence \'`},
		{V24, `a = "x\\"`, `a=[x\]quoted`},
		{V24, "a\v=\fb\r\n", "a=[b]"},
		{V24, `a = $SET:b c`, "a=[$SET:b c]reference"},
		{V24, `a = "$SET:b"`, "a=[$SET:b]quoted"},
		{V24, `group @x y {`, "group @x [y] {"},
		{V24, `group @x {`, "! Expecting '{'"},
		{V24, `group @x`, "! Expecting group name"},
		{V24, `group {`, "group {"},
		{V24, `group @x y z {`, "! Expecting '{'"},
		{V24, `@x = y`, "@x=[y]"},
		{V24, `passdb "" {`, "passdb [] {"},
		{V24, `mailbox "a\\b" {`, `mailbox [a\b] {`},
		{V24, `mailbox "a\b" {`, `! Unknown escape sequence \b`},
		{V24, `"passdb" x {`, "passdb [x] {"},
		{V23, `"a b" = c`, `! Expecting '{'`},
		{V23, `mailbox "a\b" {`, `mailbox [ab] {`},
		{V23, `group @x y {`, "! Expecting '{'"},
		{V23, `a = "x\ty"`, "a=[xty]quoted"},
		{V23, `service/imap/process_limit = 5`, "service/imap/process_limit=[5]"},
		{V23, "a = <b c", "a=[b c]file"},
		{V23, "a = x$y", "a=[x$y]reference"},
		{V1, "a = <b", "a=[<b]"},
		{V1, "a = x $y", "a=[x $y]"},
		{V1, "!include x", "! Expecting '='"},
		{V1, "a#b", "! Expecting '='"},
		{V1, "a = b#c", "a=[b]"},
		{V1, "protocol imap { listen = *", "protocol [imap] {"},
		{V1, `namespace "a b" {`, "! Expecting '='"},
		{V1, "} x", "! Expecting '='"},
		{V1, "a = one\\\n two \\\n# c\n\n three", "a=[onetwo three]"},
		{V1, `a = "x\ty"`, "a=[xty]quoted"},
		{Ext, "a = one\\\n# c\n two", "a=[one two]"},
		{Ext, "a = <b", "a=[<b]"},
		{Ext, "a = $ENV:B", "a=[$ENV:B]reference"},
		{Ext, "map {", "map {"},
		{Ext, "x", "! Expecting '='"},
		{Ext, "!include_try x", "include [x] try=true"},
	} {
		f := Parse("f", c.file, c.d)
		if len(f.Lines) != 1 || shape(f.Lines[0]) != c.want {
			t.Errorf("%v: %q is %s (%d lines), want %s", c.d, c.file, shape(f.Lines[0]), len(f.Lines), c.want)
		}
		if f.String() != c.file {
			t.Errorf("%v: %q is printed %q", c.d, c.file, f)
		}
	}
}

func TestExternalFilesReadTheLastMatchFirst(t *testing.T) {
	c, err := Load(tree(map[string]string{"d.ext": "!include x/*\n", "x/1": "a = 1\n", "x/2": "a = 2\n"}), "/d.ext", Options{Dialect: Ext})
	if err != nil || len(c.Problems) > 0 {
		t.Fatal(err, c.Problems)
	}
	if last := c.Root.Children[len(c.Root.Children)-1]; last.Value != "1" {
		t.Errorf("the last value is %q", last.Value)
	}
}

func TestEnvironmentReferences(t *testing.T) {
	get := func(name string) (string, bool) { return map[string]string{"A": "x y", "B\tc": "tab"}[name], true }
	for in, want := range map[string]string{
		"$ENV:A": "x y", "$ENV:A b": "x y b", "a $ENV:A": "a x y", "a$ENV:A": "a$ENV:A", "\t$ENV:B\tc d": "\ttab d", "$ENV:NONE": "",
		"$ENV:": "", "$A": "$A", "$ $ENV:A$": "$ ", "": "",
	} {
		if got := ExpandEnvironment(in, get); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// meaning writes a tree without comments.
func meaning(c *Config) string {
	var b strings.Builder
	for n := range c.Root.All() {
		if n.Kind == Assign || n.Kind == Open || n.Kind == Include {
			depth := 0
			for p := n.Parent; p.Parent != nil; p = p.Parent {
				depth++
			}
			fmt.Fprintln(&b, depth, shape(n.Line))
		}
	}
	return b.String()
}

func TestR056AndR318CommentsCarryNoMeaning(t *testing.T) {
	t.Run("R-056 what is commented out is not read", func(t *testing.T) {
		c, err := Load(tree(map[string]string{"d.conf": "#!include a.conf\n  #service x {\n a = b # c = d\n#}\n", "a.conf": "x = y\n"}), "/d.conf", Options{})
		if err != nil || meaning(c) != "0 a=[b]\n" || len(c.Files) != 1 {
			t.Errorf("got %q, %v", meaning(c), err)
		}
	})
	t.Run("R-318 a file without its comments means the same", func(t *testing.T) {
		compared := 0
		for _, v := range vectors(t) {
			before := v.load(t)
			if before.First() != nil || strings.Contains(v.Name, "continuation") {
				continue
			}
			for name, text := range v.Files {
				f := Parse(name, text, v.dialect)
				for _, l := range f.Lines {
					if l.Kind == Comment {
						l.Rewrite("")
					} else if l.Comment != "" {
						l.Rewrite(strings.Replace(l.Raw(), l.Comment, "", 1))
					}
				}
				v.Files[name] = f.String()
			}
			if got, want := meaning(v.load(t)), meaning(before); got != want {
				t.Errorf("%s: without comments %q, with them %q", v.Name, got, want)
			}
			compared++
		}
		if compared < 300 {
			t.Errorf("only %d files compared", compared)
		}
	})
}

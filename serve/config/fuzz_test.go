package config

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"dovetail/formats/conf"
)

// memory is a configuration that exists in memory only.
func memory(main string) conf.Source {
	return conf.In{FS: fstest.MapFS{
		"d.conf": {Data: []byte(main)}, "a.conf": {Data: []byte("mail_debug = yes\n")}, "f": {Data: []byte("content")},
	}}
}

// FuzzLoad reads anything as each dialect and prints it in each form: nothing
// may panic, hang or grow. What -n prints of a configuration that is accepted
// must mean the same when it is read again.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"doveconf-2.3.19.jsonl", "doveconf-2.4.4.jsonl", "doveconf-1.1rc8.jsonl"} {
		for _, v := range loadVectors(f, name) {
			f.Add(v.Files["d.conf"], byte(0))
		}
	}
	f.Add("a = $a $a\na = $a $a\nlogin_greeting = $ENV:x $login_greeting $login_greeting", byte(1))
	f.Fuzz(func(t *testing.T, text string, how byte) {
		d := []conf.Dialect{conf.V23, conf.V24, conf.V1, conf.Unknown}[how%4]
		o := Options{Dialect: d, Source: memory(text), Expand: how&16 != 0, Lookup: noHosts,
			Getenv: func(name string) string { return name }}
		c, problems := Load(t.Context(), "d.conf", o)
		for _, s := range []Scope{All, NonDefault, Set} {
			if err := c.Print(io.Discard, PrintOptions{Scope: s, Filter: Filter{Protocol: "imap"}}); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range problems.ByPlace() {
			_ = p.Error()
		}
		if problems.Fatal() == nil && d == conf.V23 && how&16 == 0 {
			readAgain(t, c)
		}
	})
}

func noHosts(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }

// readAgain prints a configuration, reads that, prints again and compares.
func readAgain(t *testing.T, c *Config) {
	t.Helper()
	o := PrintOptions{Scope: NonDefault, Secrets: true}
	var first, second strings.Builder
	if err := c.Print(&first, o); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(first.String(), "\r\"'\x00") || strings.Contains(first.String(), "\\") || unprintable(c.filters) {
		return // doveconf's own output does not hold these as they were
	}
	again, problems := Load(t.Context(), "d.conf", Options{Dialect: conf.V23, Source: memory(first.String())})
	if p := problems.Fatal(); p != nil {
		t.Fatalf("%v\nin:\n%s", p, first.String())
	}
	if err := again.Print(&second, o); err != nil {
		t.Fatal(err)
	}
	if first.String() != second.String() {
		t.Fatalf("printed:\n%s\nread and printed again:\n%s", first.String(), second.String())
	}
}

// unprintable tells whether doveconf's form cannot hold a configuration: values
// with line ends, names that read as something else, or many unnamed sections.
func unprintable(all []*filtered) bool {
	var bad func(b *block) bool
	bad = func(b *block) bool {
		for key, v := range b.set {
			if strings.ContainsAny(v.Text+key, "\n\\") || strings.ContainsAny(key, " \t={}#!$") || key == "" {
				return true
			}
		}
		for _, list := range b.inner {
			if len(list) > 10 && !list[0].schema.unique {
				return true // the eleventh is printed before the third
			}
			for _, in := range list {
				if bad(in) || strings.ContainsAny(in.name, " \t") {
					return true
				}
			}
		}
		return false
	}
	for _, f := range all {
		if bad(f.root) || strings.ContainsAny(f.Protocol+f.LocalName, " \t\"") || f.Local.Bits() == 0 || f.Remote.Bits() == 0 {
			return true
		}
	}
	return false
}

func TestNothingGrowsWithoutBound(t *testing.T) {
	for name, text := range map[string]string{
		"a reference that doubles": strings.Repeat("login_greeting = $login_greeting $login_greeting xxxxxxxxxx\n", 200),
		"a million braces":         strings.Repeat("service a {\n", 1_000_000),
		"a value of 100 MB":        "login_greeting = " + strings.Repeat("x", 100<<20) + "\n",
		"an include loop":          "!include d.conf\n",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, problems := Load(t.Context(), "d.conf", Options{Source: memory(text), Expand: true})
			if problems.OK() {
				t.Error("accepted")
			}
			t.Logf("%v, %d problems", time.Since(start), len(problems.All))
		})
	}
}

// TestWhatIsPrintedMeansTheSame reads what -n prints of each vector.
func TestWhatIsPrintedMeansTheSame(t *testing.T) {
	for _, v := range loadVectors(t, "doveconf-2.3.19.jsonl") {
		t.Run(v.Name, func(t *testing.T) {
			c, problems := Load(t.Context(), "d.conf", Options{Dialect: conf.V23, Source: memory(v.Files["d.conf"])})
			if problems.Fatal() == nil {
				readAgain(t, c)
			}
		})
	}
}

// Package config gives Dovecot's configuration a meaning: it reads the files
// of Dovecot 1.x, 2.0 to 2.3 and 2.4 as that version does, says everything that
// is wrong with them at once, answers what a setting is for a connection, and
// prints what doveconf prints.
//
// A configuration is an immutable value: a reload loads a new one, which Live
// puts in the place of the old. Package options below this one makes plain Go
// values of it for the parts of the program.
//
// What stands in a file goes through these steps, each in a file of its own:
// lines and includes (formats/conf); the names that old versions used
// (obsolete.go); references and files in values (expand.go); types (value.go);
// sections and filters (tree.go, filter.go); what holds for one connection
// (merge.go, view.go); checks of the whole (check.go); output (print23.go,
// print24.go).
//
// The settings themselves are in one table, table.tsv, with what becomes of each
// of them here; the sections are in schema.go, the services that exist without
// being configured in services.tsv. What 2.4 does otherwise is in files that end
// in 24, with schema24.tsv for everything that it knows; what is true of 1.x
// alone in old1.go. The tables are kept by hand; tests compare them with each
// other.
//
// Facts and texts are those of Dovecot 2.3.19.1, 2.4.4 and 1.1.rc8, measured
// with its own doveconf.
package config

import (
	"context"
	"time"

	"dovetail/formats/conf"
)

// Options of Load. The zero value reads a file of the machine in the dialect
// that it is written in.
type Options struct {
	Dialect conf.Dialect             // conf.Unknown: find out
	Source  conf.Source              // nil: the machine's files
	Limits  conf.Limits              //
	Expand  bool                     // put in what "$name" and "<file" mean, as a program does when it starts
	Getenv  func(name string) string // for $ENV:; nil: the environment is empty
	Now     func() time.Time         // for certificates; nil: the clock
	Lookup  Lookup                   // of host names in filters
	User    func(name string) bool   // whether an account of the system exists; nil: all do

	// NoProtocols is true where a file that does not set protocols means none
	// of them, as in Debian's packages; elsewhere 2.3 has imap, pop3 and lmtp.
	NoProtocols bool
}

// Config is a configuration that was read.
type Config struct {
	Dialect conf.Dialect
	Path    string            // of the main file
	Syntax  *conf.Config      // the lines that it was read from; nil for Defaults
	filters []*filtered       // of 1.x and 2.0 to 2.3; the first one is the global one
	root24  *node24           // of 2.4
	version string            // dovecot_config_version
	base    map[string]string // defaults of the top level that depend on the installation
}

// Load reads a configuration file with everything that it includes. Problems
// is never nil; a Config is there whenever the main file could be read, but
// must not be used to start anything unless Problems.OK.
func Load(ctx context.Context, path string, o Options) (*Config, *Problems) {
	if o.Source == nil {
		o.Source = conf.OS{}
	}
	c, problems := readAs(ctx, path, o, false)
	if c == nil || o.Dialect != conf.Unknown || c.Dialect != conf.V23 || !problems.onlyUnknown() {
		return c, problems
	}
	// Pages show fragments of 2.4 without the line that says so.
	o.Dialect = conf.V24
	if other, found := readAs(ctx, path, o, true); found.Fatal() == nil {
		return other, found
	}
	return c, problems
}

// readAs reads a configuration in one dialect; a missing version of 2.4 can be
// assumed.
func readAs(ctx context.Context, path string, o Options, assume bool) (*Config, *Problems) {
	problems := &Problems{}
	syntax, err := conf.Load(o.Source, path, conf.Options{Dialect: o.Dialect, Limits: o.Limits})
	if err != nil {
		text := "open(" + path + ") failed: " + conf.Reason(err)
		problems.add(&Problem{Severity: Fatal, Pos: conf.Pos{File: path}, Text: text, Line: text, level: "Fatal"})
		return nil, problems
	}
	c := &Config{Dialect: syntax.Dialect, Path: path, Syntax: syntax, base: installation(o)}
	problems.config = c
	if c.Dialect == conf.V24 {
		r := newReader24(ctx, c, o, problems)
		if assume {
			r.assumeVersion()
		}
		r.read()
		c.check24(problems)
		c.rules24(o, problems)
		c.fates24(problems)
		return c, problems
	}
	newReader23(ctx, c, o, problems).read()
	c.check(o, problems)
	c.fates(problems)
	return c, problems
}

// installation gives the defaults that an installation has of its own.
func installation(o Options) map[string]string {
	if o.NoProtocols {
		return nil
	}
	return map[string]string{"protocols": "imap pop3 lmtp"}
}

// Defaults is a configuration in which nothing is set.
func Defaults() *Config {
	return (&Config{Dialect: conf.V23, base: installation(Options{})}).defaults()
}

// defaults gives the defaults of a configuration's dialect and installation.
func (c *Config) defaults() *Config {
	d, base := c.Dialect, c.base
	c = &Config{Dialect: d, Path: "<defaults>", base: base, version: versions24[len(versions24)-1].name}
	if d == conf.V24 {
		c.root24 = &node24{}
	} else {
		c.filters = []*filtered{{tree: newTree(d, base)}}
	}
	return c
}

// Get gives what a setting is for a connection; see View.Get. Who asks for more
// than one setting asks a View.
func (c *Config) Get(f Filter, key string) (v Value, ok bool) { return c.For(f).Get(key) }

func (t *tree) get(path string) (Value, bool) {
	b, key := t.root, path
	if up, last := cutLast(path); up != "" {
		t.linked.Do(t.relink)
		if b = t.links[lower(up)]; b == nil {
			return Value{}, false
		}
		key = last
	}
	return b.get(key)
}

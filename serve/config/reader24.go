package config

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"dovetail/formats/conf"
)

// reader24 turns the lines of a file of 2.4 into a tree.
type reader24 struct {
	report
	ctx     context.Context
	o       Options
	c       *Config
	at      *frame24
	version string
	seen    map[string]conf.Pos // settings that a filter or section without a name set first
	labels  map[string]bool     // groups that are defined
	uses    []use24             // groups that are included
}

// frame24 is an open section.
type frame24 struct {
	prev *frame24
	node *node24
	list string     // a list is open: its full name
	def  *setting24 // of the section, nil for filters
	skip bool
}

type use24 struct {
	label, name string
	pos         conf.Pos
}

// versions24 are those that dovecot_config_version may be, with the number of
// defaults that changed since, as 2.4.4 counts them.
var versions24 = []struct {
	name    string
	changes int
}{{"2.4.0", 33}, {"2.4.1", 29}, {"2.4.2", 23}, {"2.4.3", 3}, {"2.4.4", 0}}

func newReader24(ctx context.Context, c *Config, o Options, problems *Problems) *reader24 {
	c.root24 = &node24{}
	return &reader24{ctx: ctx, o: o, c: c, at: &frame24{node: c.root24}, seen: map[string]conf.Pos{},
		labels: map[string]bool{}, report: report{problems: problems, pending: c.Syntax.Problems, path: c.Path}}
}

func (r *reader24) read() {
	r.walk(r.c.Syntax.Root.Children)
	r.pass(len(r.pending))
	for _, u := range r.uses {
		if !r.labels["@"+u.label] {
			r.pos = u.pos
			r.fail("Unknown group label @" + u.label)
		} else if r.c.root24.find("@"+u.label, u.name, Filter{}) == nil {
			r.pos = u.pos
			r.fail("Unknown group name @" + u.label + " = " + u.name)
		}
	}
	if r.problems.Fatal() == nil && r.c.root24.set["dovecot_storage_version"] == nil {
		p := r.whole("dovecot_storage_version setting must be set")
		p.Severity, p.Instead = Fatal, "dovecot_storage_version = "+r.version
	}
	if o := r.o; o.Expand && r.problems.Fatal() == nil {
		r.expandAll()
	}
}

// assumeVersion reads a file without versions as one of the newest.
func (r *reader24) assumeVersion() {
	r.version = versions24[len(versions24)-1].name
	r.c.version = r.version
	r.put("dovecot_storage_version", &Value{Text: r.version})
	text := "read as a file of 2.4, which must begin with dovecot_config_version"
	r.problems.add(&Problem{Severity: Warning, Pos: conf.Pos{File: r.c.Path, Line: 1}, Text: text, level: "Warning",
		Line: r.c.Path + ": " + text, Instead: "dovecot_config_version = " + r.version})
}

func (r *reader24) walk(nodes []*conf.Node) {
	for _, n := range nodes {
		r.line(n.Line)
		if n.Kind != conf.Assign && n.Kind != conf.Open && n.Kind != conf.Include {
			continue
		}
		if r.isVersion(n) || r.version == "" {
			continue
		}
		switch n.Kind {
		case conf.Assign:
			if !r.at.skip {
				r.assign(n)
			}
		case conf.Open:
			r.section(n)
		}
	}
}

// isVersion handles dovecot_config_version, which must come first.
func (r *reader24) isVersion(n *conf.Node) bool {
	if n.Kind != conf.Assign || n.Key != "dovecot_config_version" {
		if r.version == "" && n.Kind != conf.Include {
			r.fail("The first setting must be dovecot_config_version").Instead = "dovecot_config_version = 2.4.4"
			r.version = versions24[len(versions24)-1].name
		}
		return false
	}
	var known []string
	for _, v := range versions24 {
		known = append(known, v.name)
	}
	switch {
	case r.version != "" && r.version != n.Value:
		r.fail("dovecot_config_version value can't be changed once set")
	case r.version == "" && !slices.Contains(known, n.Value):
		r.fail("Invalid dovecot_config_version: Currently supported versions are: " + strings.Join(known, " "))
		r.version = known[len(known)-1]
	case r.version == "":
		r.version = n.Value
	}
	r.c.version = r.version
	return true
}

func (r *reader24) section(n *conf.Node) {
	at := r.at
	r.at = &frame24{prev: at, node: at.node, skip: at.skip}
	if !r.at.skip {
		if err := r.open(n); err != nil {
			r.fail(err.Error())
			r.at.skip = true
		}
	}
	r.walk(n.Children)
	if n.Close != nil {
		r.line(n.Close)
		if d := r.at.def; d != nil && d.required != "" && !r.at.node.seen && !r.at.skip {
			r.fail(fmt.Sprintf("Named filter %s is required to have %s setting, but it is missing", d.name, d.required))
		}
	}
	r.at = at
}

// open opens what a line opens: a group, a filter, a section, or a list. The
// word may be short for one that starts with the section around it.
func (r *reader24) open(n *conf.Node) error {
	key, node := n.Key, r.at.prev.node
	if n.Group {
		return r.openGroup(key, n.Name)
	}
	tried := ""
	kind, full := node.prefix()
	if kind != "" {
		long, short := full+key, kind+key
		if full == "" {
			long = short
		}
		switch {
		case prefixable(long):
			key = long
		case prefixable(short):
			key = short
		default:
			tried = " (" + long + ", " + short + " not found either.)"
		}
	}
	if isFilter(key) {
		return r.openFilter(key, n.Name)
	}
	s := schema24()[key]
	switch {
	case s == nil:
		return errors.New("Unknown section name: " + key + tried)
	case s.kind == Section || s.kind == Sections:
		return r.openNamed(s, n.Name, n.NameSet)
	case !s.isList():
		return errors.New("Setting " + key + " cannot be used as a section")
	case n.Name != "":
		return errors.New("Setting " + key + " cannot have a value for the section")
	}
	r.at.list = key
	return nil
}

// prefixable tells whether a shorter name may stand for this one.
func prefixable(name string) bool {
	s := lookup24(name)
	return s != nil && s.kind != Section
}

func (r *reader24) openGroup(label, name string) error {
	r.labels[label] = true
	node := r.at.node.find(label, name, Filter{})
	if node == nil {
		node = r.at.node.add(label, name, r.pos)
	}
	r.at.node = node
	return nil
}

func (r *reader24) openFilter(kind, value string) error {
	outer := r.at.node
	if kind == "local_name" && strings.Contains(value, " ") {
		return errors.New("Multiple names no longer supported in local_name value")
	}
	for at := outer; at != nil; at = at.parent {
		if at.kind != "" && !isFilter(at.kind) && at.kind[0] != '@' {
			return fmt.Errorf("%s must not be under %s", kind, at.kind)
		}
	}
	f, err := outer.filter.nest(r.ctx, r.o.Lookup, kind, value)
	if err != nil {
		return err
	}
	node := outer.find(kind, value, f)
	if node == nil {
		node = outer.add(kind, value, r.pos)
		node.filter = f
	}
	r.at.node = node
	return nil
}

func (r *reader24) openNamed(s *setting24, name string, nameSet bool) error {
	outer := r.at.node
	r.at.def = s
	if s.kind == Section {
		if nameSet {
			return errors.New(s.name + " { } must not have a section name")
		}
		r.enter(s.name, "")
		return nil
	}
	forbidden := map[string][]string{"namespace": {"namespace", "mailbox"}, "mailbox": {"mailbox"}}[s.name]
	if outer.named && (slices.Contains(forbidden, outer.kind) || s.name == "service" && outer.kind[0] != '@') {
		return fmt.Errorf("%s { .. } not allowed under %s { .. }", s.name, outer.kind)
	}
	if !nameSet {
		return errors.New(s.name + " { } is missing section name")
	}
	if strings.HasPrefix(name, "__") {
		return fmt.Errorf("Failed to set %s=%s for struct %s: Named list filter name must not begin with '__': %s",
			s.name, escapeName(name), structOf(s), name)
	}
	if outer.kind != "" && r.at.prev.def != nil && r.at.prev.def.required == s.name {
		outer.seen = true
	}
	r.enter(s.name, name)
	r.put(s.nameField, &Value{Text: name, Pos: r.pos})
	return nil
}

// structOf is the group of settings that Dovecot names in an error.
func structOf(s *setting24) string {
	if s.auth {
		return "auth"
	}
	return s.name
}

// enter opens a section inside the open one.
func (r *reader24) enter(kind, name string) {
	node := r.at.node.find(kind, name, Filter{})
	if node == nil {
		node = r.at.node.add(kind, name, r.pos)
	}
	r.at.node = node
}

package config

import (
	"context"
	"errors"
	"slices"
	"strings"

	"dovetail/formats/conf"
)

// reader23 turns the lines of a file of 1.x or 2.0 to 2.3 into trees.
type reader23 struct {
	report
	ctx     context.Context
	o       Options
	c       *Config
	at      *frame              // the section that is open
	unnamed int                 // sections without a name so far
	seen    map[string]conf.Pos // settings by path, where a filter or section set them first
	old     old
}

// frame is an open section.
type frame struct {
	prev     *frame
	filter   Filter
	tree     *tree
	kind     string // the word that opened it
	isFilter bool
	path     string // service/imap/; "" outside of sections that are not filters
	skip     bool   // wrong: its content is not looked at
}

func newReader23(ctx context.Context, c *Config, o Options, problems *Problems) *reader23 {
	global := &filtered{tree: newTree(c.Dialect, c.base), pos: conf.Pos{File: c.Path}}
	c.filters = []*filtered{global}
	return &reader23{ctx: ctx, o: o, c: c, report: report{problems: problems, pending: c.Syntax.Problems, path: c.Path},
		at: &frame{tree: global.tree}, seen: map[string]conf.Pos{}, old: old{baseDir: "/run/dovecot"}}
}

func (r *reader23) read() {
	old := r.c.Dialect == conf.V1
	if old {
		r.setDefaults1()
	}
	r.walk(r.c.Syntax.Root.Children)
	r.pass(len(r.pending))
	if old {
		r.end1()
	}
}

func (r *reader23) walk(nodes []*conf.Node) {
	for _, n := range nodes {
		r.line(n.Line)
		switch n.Kind {
		case conf.Assign:
			if !r.at.skip {
				r.assign(n.Key, n.Value, n.Form)
			}
		case conf.Open:
			r.section(n)
		}
	}
}

// section reads a section from its opening line to its closing one.
func (r *reader23) section(n *conf.Node) {
	at, before := r.at, r.old
	r.openAny(n)
	r.walk(n.Children)
	if n.Close != nil {
		r.line(n.Close)
		r.closeOld(before)
	}
	r.at = at
}

// openAny opens a section in the way of the dialect.
func (r *reader23) openAny(n *conf.Node) {
	if r.c.Dialect == conf.V1 && !r.at.skip {
		if err := r.open1(n); err != nil {
			r.fail(err.Error())
			r.at = &frame{prev: r.at, tree: r.at.tree, skip: true}
			return
		}
		if n.Key == "namespace" {
			r.namespace1(n.Name)
			return
		}
	}
	if kind, name, nothing := r.openOld(n.Key, n.Name); !nothing {
		r.open(kind, name)
	}
}

// assign handles "key = value" as it stands in a file.
func (r *reader23) assign(key, value string, form conf.Form) {
	if form == conf.Plain || form == conf.Quoted {
		if r.c.Dialect == conf.V1 && r.assign1(key, value) || r.assignOld(key, value) {
			return
		}
	}
	r.apply(key, value, form)
}

// apply sets something in the section that is open.
func (r *reader23) apply(key, value string, form conf.Form) {
	path := r.at.path + key
	r.noteOrder(path, key)
	before := len(r.problems.All)
	name := value
	value, err := r.expand(path, key, value, form)
	if err != nil {
		r.fail(err.Error())
		return
	}
	// A value that is refused as it stands is not complained about twice.
	found := slices.Clone(r.problems.All[before:])
	r.problems.All = r.problems.All[:before]
	if r.set(path, key, value, form) {
		r.problems.All = append(r.problems.All, found...)
		if form == conf.FromFile {
			r.noteFile(path, r.near(name))
		}
	}
}

// noteFile remembers which file a value is the content of.
func (r *reader23) noteFile(path, name string) {
	b := r.at.tree.root
	up, key := cutLast(path)
	if up != "" {
		b = r.at.tree.find(up)
	}
	if v := b.set[key]; v != nil {
		v.File = name
	}
}

// set sets what a full path names in the open filter.
func (r *reader23) set(path, key, value string, form conf.Form) bool {
	s, err := r.at.tree.assign(path, value, r.pos, form)
	switch {
	case errors.Is(err, errUnknown):
		r.unknown(key)
	case err != nil:
		p := r.fail(err.Error())
		if s != nil {
			p.Instead = s.Type.accepts(s.Choices)
		}
	case s != nil && s.Auth || strings.HasPrefix(path, "passdb/") || strings.HasPrefix(path, "userdb/"):
		r.authAllowed(key)
	}
	return err == nil
}

// authAllowed complains about a setting of the authentication in a section for
// some addresses or names only: they are not known when it is used.
func (r *reader23) authAllowed(key string) {
	f := r.at.filter
	if f.LocalName != "" || f.Local.Bits() > 0 || f.Remote.Bits() > 0 {
		r.fail("Auth settings not supported inside local/remote blocks: " + key)
	}
}

// noteOrder warns of a global setting after a filter that sets the same.
func (r *reader23) noteOrder(path, key string) {
	first, ok := r.seen[path]
	if r.at.prev != nil {
		if !ok {
			r.seen[path] = r.pos
		}
		return
	}
	if ok {
		r.warn(lineOf(r.pos) + ": Global setting " + key + " won't change the setting inside an earlier filter at " +
			lineOf(first) + " (if this is intentional, avoid this warning by moving the global setting before " +
			lineOf(first) + ")")
	}
}

// open opens a section, or a filter.
func (r *reader23) open(kind, name string) {
	f := &frame{prev: r.at, filter: r.at.filter, tree: r.at.tree, kind: kind, path: r.at.path, skip: r.at.skip}
	r.at = f
	if f.skip {
		return
	}
	if isFilter(kind) {
		r.openFilter(f, kind, name)
		return
	}
	label := escapeName(name)
	if name == "" {
		label = itoa(r.unnamed)
		r.unnamed++
	}
	b, err := f.tree.open(f.path+kind, label, r.pos)
	if err != nil {
		f.skip = true
		if errors.Is(err, errUnknown) {
			r.unknown(kind)
		} else {
			r.fail(err.Error())
		}
		return
	}
	if b.schema.path == "passdb" || b.schema.path == "userdb" {
		r.authAllowed(kind)
	}
	b.title(name, r.pos)
	f.path += kind + "/" + label + "/"
}

func (r *reader23) openFilter(f *frame, kind, value string) {
	f.isFilter = true
	filter, err := f.prev.filter.nest(r.ctx, r.o.Lookup, kind, value)
	if err != nil {
		r.fail(err.Error())
		f.skip = true
		return
	}
	f.filter = filter
	for _, other := range r.c.filters {
		if other.same(filter) {
			f.tree = other.tree
			return
		}
	}
	f.tree = newFilterTree(r.c.Dialect, r.c.base)
	r.c.filters = append(r.c.filters, &filtered{Filter: filter, tree: f.tree, pos: r.pos})
}

package config

import (
	"slices"
	"strings"

	"dovetail/formats/conf"
)

// View is what holds for one connection, or for all of which only as much is
// known as its filter says. It does not change.
type View struct {
	Dialect conf.Dialect // names are those of this dialect; 1.x has those of 2.3
	tree    *tree        // of 1.x and 2.0 to 2.3
	node    *node24      // of 2.4
}

// For gives what holds for a connection. It merges all sections that do, so it
// is asked for once a connection, not once a setting.
func (c *Config) For(f Filter) View {
	v := View{Dialect: c.Dialect}
	if c.Dialect == conf.V24 {
		v.node = c.effective24(f)
		return v
	}
	v.tree, _ = effective(c.filters, f)
	return v
}

// Get gives what a setting is. Settings of sections are named by paths:
// service/imap-login/inet_listener/imaps/port, plugin/quota. The Value has no
// position if it is a default; ok is false if there is no such setting or
// section. A list of 2.4 is given as its words.
func (v View) Get(key string) (value Value, ok bool) {
	if v.Dialect != conf.V24 {
		return v.tree.get(key)
	}
	if path, last := cutLast(key); path != "" {
		if n := v.node.at(path); n != nil {
			return n.get(last)
		}
		return v.node.get(key)
	}
	for _, p := range prefixes24() {
		if n := v.node.at(strings.TrimSuffix(p, "_")); n != nil && strings.HasPrefix(key, p) {
			return n.get(key) // ssl_server_cert_file is in ssl_server { }
		}
	}
	return v.node.get(key)
}

// Item is one entry of a list of 2.4: NAME = VALUE in fields { }.
type Item struct{ Key, Text string }

// Items gives the entries of a list of 2.4, by the full name of the list. Words
// have the text "yes".
func (s SectionView) Items(list string) []Item {
	var all []Item
	if d := lookup24(list); s.node != nil && d != nil && d.isList() {
		for _, i := range s.node.items(d) {
			all = append(all, Item{i.key, i.Text})
		}
	}
	return all
}

// Items gives the entries of a list of the top level; replaced tells whether
// they stand for the defaults, not beside them.
func (v View) Items(list string) (items []Item, replaced bool) {
	if v.node == nil {
		return nil, false
	}
	l := v.node.lists[list]
	return SectionView{node: v.node}.Items(list), l != nil && l.stop
}

// Filters gives the filter sections, the top level first.
func (c *Config) Filters() []Filter {
	all := []Filter{{}}
	if c.Dialect == conf.V24 {
		for _, n := range c.root24.all() {
			if isFilter(n.kind) {
				all = append(all, n.filter)
			}
		}
		return all
	}
	for _, f := range c.filters[1:] {
		all = append(all, f.Filter)
	}
	return all
}

// SectionView is one section with its name.
type SectionView struct {
	Kind, Name string
	Pos        conf.Pos // where it was opened first; no File: a default
	block      *block
	node       *node24
}

// Sections gives the sections of a kind in their order: service, passdb,
// namespace.
func (v View) Sections(kind string) []SectionView {
	if v.Dialect == conf.V24 {
		return v.node.sections(kind)
	}
	return v.tree.root.sections(kind)
}

// Sections gives the sections of a kind inside a section.
func (s SectionView) Sections(kind string) []SectionView {
	if s.node != nil {
		return s.node.sections(kind)
	}
	return s.block.sections(kind)
}

// Get gives a setting of a section; ok is false if it has none of that name.
func (s SectionView) Get(key string) (value Value, ok bool) {
	if s.node != nil {
		return s.node.get(key)
	}
	return s.block.get(key)
}

// Keys gives the keys of a plugin or dict section in reading order.
func (s SectionView) Keys() []string {
	if s.block == nil {
		return nil
	}
	return slices.Clone(s.block.keys)
}

func (b *block) sections(kind string) []SectionView {
	var list []SectionView
	for _, in := range b.inner[kind] {
		list = append(list, SectionView{Kind: kind, Name: in.name, Pos: in.pos, block: in})
	}
	return list
}

func (b *block) get(key string) (Value, bool) {
	if v := b.set[key]; v != nil {
		return *v, true
	}
	s := b.schema.setting(key)
	if s == nil {
		return Value{}, false
	}
	if v := b.set[s.Key()]; v != nil {
		return *v, true
	}
	return Value{Text: b.fallback(s)}, true
}

func (n *node24) sections(kind string) []SectionView {
	var list []SectionView
	for _, c := range n.children {
		if c.kind == kind {
			list = append(list, SectionView{Kind: kind, Name: c.name, Pos: c.pos, node: c})
		}
	}
	return list
}

// get gives a setting of a section of 2.4 by its full name, or by what it is
// called inside of it.
func (n *node24) get(key string) (Value, bool) {
	kind, named := n.prefix()
	for _, name := range []string{named + key, kind + key, key} {
		s := lookup24(name)
		switch {
		case s == nil || name != key && (kind == "" || named == "" && name == named+key):
		case s.isList():
			return n.listValue(s, name)
		case s.kind != Section && s.kind != Sections:
			v, _ := n.value(name)
			if v.Text == "" && s.nameField == "" && strings.HasSuffix(name, "_driver") && n.named && name == kind+"driver" {
				return Value{Text: n.name, Pos: n.pos}, true // the driver is named like the section
			}
			return *v, true
		}
	}
	return Value{}, false
}

// listValue gives a list as its words, or one item of it.
func (n *node24) listValue(s *setting24, name string) (Value, bool) {
	_, item, one := strings.Cut(name, "/")
	items := n.items(s)
	var words []string
	out := Value{}
	for _, i := range items {
		switch {
		case one && i.key == item:
			return *i.Value, true
		case i.Pos.File != "":
			out.Pos = i.Pos
		}
		if s.kind == Strings {
			words = append(words, i.key+"="+i.Text)
		} else if i.Text == "yes" {
			words = append(words, i.key)
		}
	}
	out.Text = strings.Join(words, " ")
	return out, !one
}

// items gives the items of a list with those of the sections around, unless it
// replaces them.
func (n *node24) items(s *setting24) []item24 {
	all := &list24{}
	for at := n; at != nil; at = at.parent {
		l := at.lists[s.name]
		if l == nil {
			continue
		}
		for _, i := range l.items {
			if !slices.ContainsFunc(all.items, func(have item24) bool { return have.key == i.key }) {
				all.items = append(all.items, i)
			}
		}
		if l.stop {
			return all.items
		}
	}
	for _, d := range s.list {
		if !slices.ContainsFunc(all.items, func(have item24) bool { return have.key == d[0] }) {
			all.items = append(all.items, item24{d[0], &Value{Text: d[1]}})
		}
	}
	return all.items
}

// effective24 merges everything that holds for a connection: the defaults, the
// groups, the top level, and the filters from the most general to the most
// specific.
func (c *Config) effective24(want Filter) *node24 {
	root := c.withDefaults()
	var filters []*node24
	for _, n := range c.root24.all() {
		if isFilter(n.kind) && n.filter.covers(want) {
			filters = append(filters, n)
		}
	}
	slices.SortStableFunc(filters, func(a, b *node24) int { return a.filter.compare(b.filter) })
	root.children = slices.DeleteFunc(root.children, func(n *node24) bool { return isFilter(n.kind) })
	root = root.copy(nil)
	for _, f := range filters {
		root.overlay(f)
	}
	for _, n := range root.all() {
		n.addGroups(root)
	}
	return root
}

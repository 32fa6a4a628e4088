package config

import (
	"maps"
	"slices"
	"strings"

	"dovetail/formats/conf"
)

// node24 is one section of a 2.4 configuration, or the top level. Sections of
// one kind and name inside the same one are one section.
type node24 struct {
	parent   *node24
	kind     string // passdb, ssl_server, protocol, @label; "" is the top level
	name     string // of Sections, filters and groups
	named    bool   // is one of Sections, or a group
	filter   Filter // with what the sections around it say
	pos      conf.Pos
	children []*node24
	set      map[string]*Value  // by full name
	lists    map[string]*list24 // by full name
	groups   [][2]string        // label and name of the groups that it includes
	seen     bool               // the required setting is there
}

// list24 is a list that is set in a section.
type list24 struct {
	stop  bool // it replaces what the sections around say
	items []item24
}

type item24 struct {
	key string
	*Value
}

// put sets one item, at the end if it is new.
func (l *list24) put(key string, v *Value) {
	for i := range l.items {
		if l.items[i].key == key {
			l.items[i].Value = v
			return
		}
	}
	l.items = append(l.items, item24{key, v})
}

// find gives the section of a kind and name inside the node, or nil.
func (n *node24) find(kind, name string, f Filter) *node24 {
	for _, c := range n.children {
		if c.kind == kind && c.named == (schemaKind(kind) == Sections || kind[0] == '@') &&
			(isFilter(kind) && c.filter.same(f) || !isFilter(kind) && c.name == name) {
			return c
		}
	}
	return nil
}

func schemaKind(name string) Type {
	if s := schema24()[name]; s != nil {
		return s.kind
	}
	return ""
}

// add makes a section inside the node.
func (n *node24) add(kind, name string, pos conf.Pos) *node24 {
	c := &node24{parent: n, kind: kind, name: name, filter: n.filter, pos: pos,
		named: schemaKind(kind) == Sections || strings.HasPrefix(kind, "@")}
	n.children = append(n.children, c)
	return c
}

// inGroup tells whether the node is in a group.
func (n *node24) inGroup() bool {
	for ; n != nil; n = n.parent {
		if strings.HasPrefix(n.kind, "@") {
			return true
		}
	}
	return false
}

// prefix gives what the settings of the section may start with: passdb_ and,
// with the name, passdb_sql_.
func (n *node24) prefix() (kind, full string) {
	if n.kind == "" || isFilter(n.kind) {
		return "", ""
	}
	kind = strings.TrimPrefix(n.kind, "@") + "_"
	if !n.named {
		return kind, ""
	}
	return kind, kind + strings.ReplaceAll(n.name, "/", "_") + "_"
}

// list gives the list of a name, to be changed.
func (n *node24) list(name string) *list24 {
	if n.lists == nil {
		n.lists = map[string]*list24{}
	}
	l := n.lists[name]
	if l == nil {
		l = &list24{}
		n.lists[name] = l
	}
	return l
}

// value gives what a setting is here, or in the sections around.
func (n *node24) value(name string) (*Value, bool) {
	for at := n; at != nil; at = at.parent {
		if v := at.set[name]; v != nil {
			return v, true
		}
	}
	if s := schema24()[name]; s != nil {
		return &Value{Text: s.fallback}, false
	}
	return nil, false
}

// at finds a section by a path of kinds and names: service/imap-login.
func (n *node24) at(path string) *node24 {
	if path == "" {
		return n
	}
	parts := strings.Split(path, "/")
	for _, c := range n.children {
		switch {
		case c.kind != parts[0]:
		case !c.named:
			return c.at(strings.Join(parts[1:], "/"))
		case len(parts) > 1 && escapeName(c.name) == parts[1]:
			return c.at(strings.Join(parts[2:], "/"))
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// all gives the node and every section inside it.
func (n *node24) all() []*node24 {
	list := []*node24{n}
	for _, c := range n.children {
		list = slices.Concat(list, c.all())
	}
	return list
}

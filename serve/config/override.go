package config

import (
	"maps"
	"slices"
	"strings"

	"dovetail/formats/conf"
)

// Override is one setting that holds for one user: his user database says so. Key is a path as in Get; with "+" behind
// it the text is added to what is there.
type Override struct{ Key, Text string }

// With gives the view in which some settings have other values. What is no setting at the place that its key names is
// a plugin's (Dovecot 2.3.19, set_line of src/lib-storage/mail-storage-service.c); a section that is not there is left
// alone. The view itself does not change, and shares with the new one all that is equal.
func (v View) With(overrides []Override) View {
	copied := map[any]bool{}
	for _, o := range overrides {
		key, text := o.Key, o.Text
		if bare, ok := strings.CutSuffix(key, "+"); ok {
			old, _ := v.Get(bare)
			key, text = bare, old.Text+text
		}
		value := &Value{Text: text, Pos: conf.Pos{File: "userdb"}}
		if v.Dialect == conf.V24 {
			v.node = v.node.with(key, value, copied)
			continue
		}
		if _, known := v.Get(key); !known && !strings.Contains(key, "/") {
			key = "plugin/" + key
		}
		v.tree = &tree{dialect: v.tree.dialect, root: v.tree.root.with(key, value, copied)}
	}
	return v
}

// with gives a block in which one setting has another value. Blocks in copied are those that are new already.
func (b *block) with(path string, v *Value, copied map[any]bool) *block {
	kind, rest, inside := strings.Cut(path, "/")
	if !inside {
		s := b.schema.setting(path)
		if s == nil && !b.schema.isMap() {
			return b
		}
		b = b.own(copied)
		if s == nil {
			if b.set[path] == nil {
				b.keys = append(b.keys, path)
			}
			b.put(path, v)
			return b
		}
		if text, err := s.canonical(v.Text, conf.V23); err == nil {
			v.Text = text
		}
		b.put(s.Key(), v)
		return b
	}
	name, below, named := strings.Cut(rest, "/")
	for i, in := range b.inner[kind] {
		switch {
		case in.schema.isMap():
			below = rest
		case !named || !strings.EqualFold(escapeName(in.name), name):
			continue
		}
		changed := in.with(below, v, copied)
		if changed == in {
			return b
		}
		b = b.own(copied)
		b.inner[kind][i] = changed
		return b
	}
	if m := b.schema.maps[kind]; m != nil {
		b = b.own(copied)
		in := (&block{schema: m}).with(rest, v, copied)
		b.inner[kind] = append(b.inner[kind], in)
	}
	return b
}

// own gives a copy that may be changed, which shares the sections inside.
func (b *block) own(copied map[any]bool) *block {
	if copied[b] {
		return b
	}
	c := *b
	c.set, c.keys, c.inner = maps.Clone(b.set), slices.Clone(b.keys), map[string][]*block{}
	for kind, list := range b.inner {
		c.inner[kind] = slices.Clone(list)
	}
	copied[&c] = true
	return &c
}

// with gives a node in which one setting has another value. All of it is copied, once, because sections know the one
// around them.
func (n *node24) with(path string, v *Value, copied map[any]bool) *node24 {
	up, key := cutLast(path)
	at := n.at(up)
	if at == nil {
		return n
	}
	kind, named := at.prefix()
	for _, name := range []string{named + key, kind + key, key} {
		if s := lookup24(name); s == nil || s.isList() || s.kind == Section || s.kind == Sections {
			continue
		}
		if !copied[n] {
			n = n.copy(nil)
			copied[n] = true
			at = n.at(up)
		}
		if at.set == nil {
			at.set = map[string]*Value{}
		}
		at.set[name] = v
		return n
	}
	return n
}

package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// effective merges everything that holds for a connection. The error names a
// setting that two sections set of which neither is more specific than the
// other; the tree is usable all the same.
func effective(all []*filtered, want Filter) (*tree, error) {
	var match []*filtered
	for _, f := range all {
		if f.covers(want) {
			match = append(match, f)
		}
	}
	if len(match) == 1 {
		return match[0].tree, nil
	}
	slices.SortStableFunc(match, func(a, b *filtered) int { return b.compare(a.Filter) })
	dest := &tree{root: match[0].root.clone()}
	var conflict error
	for i, f := range match[1:] {
		last := i == len(match)-2 // nothing changes what it has, so sections need no copy
		key := dest.root.apply(f.root, last)
		if key != "" && conflict == nil && !f.within(match[i].Filter) {
			conflict = fmt.Errorf("Conflict in setting %s found from filter at %s", key, f.pos)
		}
	}
	return dest, conflict
}

// within tells whether f is a more general form of the filter of the section
// before it in the order of specificity, so that losing to it is no conflict.
func (f Filter) within(before Filter) bool {
	return f.Local.Bits() <= before.Local.Bits() && f.Remote.Bits() <= before.Remote.Bits() &&
		(f.LocalName == "" || before.LocalName != "") && (f.Protocol == "" || before.Protocol != "")
}

func (b *block) clone() *block {
	c := *b
	c.set, c.keys = maps.Clone(b.set), slices.Clone(b.keys)
	c.inner = nil
	for kind, list := range b.inner {
		for _, in := range list {
			c.add(kind, in.clone())
		}
	}
	return &c
}

// apply adds what a less specific section sets and the block does not, sections
// themselves or copies of them. It gives the first setting that both set.
func (b *block) apply(from *block, share bool) (conflict string) {
	for _, s := range b.schema.list {
		v := from.set[s.Key()]
		switch {
		case v == nil || s.Key() == b.schema.name:
		case b.set[s.Key()] == nil:
			b.put(s.Key(), v)
		case conflict == "":
			conflict = s.Key()
		}
	}
	for _, key := range from.keys {
		if b.set[key] == nil {
			b.keys = append(b.keys, key)
			b.put(key, from.set[key])
		}
	}
	for _, s := range b.schema.inner {
		for _, in := range from.inner[s.kind()] {
			if key := b.applyInner(s, in, share); conflict == "" {
				conflict = key
			}
		}
	}
	return conflict
}

func (b *block) applyInner(s *section, in *block, share bool) (conflict string) {
	for _, mine := range b.inner[s.kind()] {
		if s.name == "" || s.unique && mine.name == in.name && in.name != "" {
			return mine.apply(in, share)
		}
	}
	if !share {
		in = in.clone()
	}
	b.add(s.kind(), in)
	return ""
}

// relink makes the paths of a merged tree known, of which most are never asked
// for one.
func (t *tree) relink() {
	if t.links != nil {
		return
	}
	t.links = map[string]*block{}
	var walk func(path string, b *block)
	walk = func(path string, b *block) {
		for kind, list := range b.inner {
			for i, in := range list {
				at := path + kind + "/" + in.exportName(i)
				t.links[strings.ToLower(at)] = in
				if in.schema.name == "" {
					t.links[path+kind] = in
				}
				walk(at+"/", in)
			}
		}
	}
	walk("", t.root)
}

// exportName is the name of a section in the paths that doveconf prints.
func (b *block) exportName(index int) string {
	if b.schema.unique && b.name != "" {
		return escapeName(b.name)
	}
	return fmt.Sprint(index)
}

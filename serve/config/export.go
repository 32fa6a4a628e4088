package config

import (
	"net/netip"
	"slices"
	"strings"

	"dovetail/formats/conf"
)

// entry is one line of what doveconf exports.
type entry struct {
	path     string // service/imap/process_limit
	sort     string // what it is sorted by
	value    string
	pos      conf.Pos // where it was set
	sections []string // the sections it is in, by path with a final "/"
	name     bool     // the setting that names the section it is in
	list     bool     // the names of the sections of a type
}

// exporter collects the entries of a tree.
type exporter struct {
	scope   Scope
	modules map[string]bool // groups that are wanted; nil: all
	entries []entry
}

func (t *tree) export(o PrintOptions) []entry {
	x := &exporter{scope: o.Scope}
	if len(o.Modules) > 0 {
		x.modules = map[string]bool{"*": true, "": false}
		for _, m := range o.Modules {
			for group := range modules()[m] {
				x.modules[group] = true
			}
		}
	}
	x.block(t.root, "", nil)
	return x.entries
}

// block exports what one section has, in the order of doveconf -S.
func (x *exporter) block(b *block, path string, around []string) {
	inner := b.schema.inner
	for _, s := range b.schema.list {
		for len(inner) > 0 && inner[0].order < s.order {
			x.inner(b, inner[0], path, around)
			inner = inner[1:]
		}
		x.setting(b, s, path, around)
	}
	for _, s := range inner {
		x.inner(b, s, path, around)
	}
	for _, key := range b.keys {
		x.entries = append(x.entries, entry{path: path + key, sort: path + key, value: b.set[key].Text,
			pos: b.set[key].Pos, sections: around})
	}
}

func (x *exporter) setting(b *block, s *Setting, path string, around []string) {
	if path == "" && x.modules != nil && !x.modules[s.group] {
		return
	}
	v := b.set[s.Key()]
	if !x.wanted(b, s, v) {
		return
	}
	e := entry{path: path + s.Key(), value: b.value(s), sections: around}
	e.sort = e.path
	if v != nil {
		e.pos = v.Pos
	}
	if e.name = b.schema.unique && s.Key() == b.schema.name; e.name {
		e.sort = path + "\xff" + s.Key()
	}
	x.entries = append(x.entries, e)
}

// wanted tells whether a setting is printed. Of named sections all that is set
// counts as not being a default, because defaults of services are not kept
// there; and values with variables are always printed.
func (x *exporter) wanted(b *block, s *Setting, v *Value) bool {
	switch {
	case s.Null && v == nil:
		return false
	case b.schema.unique && (s.Key() == b.schema.name || s.Type == Vars):
		return true
	case x.scope == Everything, x.scope == All && !s.Hidden:
		return true
	case v == nil:
		return false
	case x.scope == NonDefault && !b.schema.unique:
		return v.Text != b.fallback(s)
	}
	return true
}

func (x *exporter) inner(b *block, s *section, path string, around []string) {
	if path == "" && x.modules != nil && !x.modules[b.schema.settings[s.like].group] {
		return
	}
	list := b.inner[s.kind()]
	if len(list) == 0 {
		return
	}
	if s.name == "" {
		at := path + s.kind() + "/"
		x.entries = append(x.entries, entry{path: path + s.kind(), list: true})
		x.block(list[0], at, append(slices.Clone(around), at))
		return
	}
	names := make([]string, len(list))
	for i, in := range list {
		names[i] = in.exportName(i)
	}
	x.entries = append(x.entries, entry{path: path + s.kind(), value: strings.Join(names, " "), list: true})
	for i, in := range list {
		at := path + s.kind() + "/" + names[i] + "/"
		x.block(in, at, append(slices.Clone(around), at))
	}
}

// compareEntries orders entries as doveconf 2.3 does: by bytes of the path as
// signed numbers, the name of a section before everything in it.
func compareEntries(a, b entry) int {
	p, q := a.sort, b.sort
	for i := 0; i < len(p) && i < len(q); i++ {
		if p[i] != q[i] {
			return int(int8(p[i])) - int(int8(q[i]))
		}
	}
	return len(p) - len(q)
}

func formatNet(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

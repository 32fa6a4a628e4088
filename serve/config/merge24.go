package config

import (
	"maps"
	"slices"
)

// copy gives a section with everything inside it that can be changed without
// changing the original.
func (n *node24) copy(parent *node24) *node24 {
	c := *n
	c.parent, c.children = parent, nil
	c.set, c.lists, c.groups = maps.Clone(n.set), nil, slices.Clone(n.groups)
	for name, l := range n.lists {
		*c.list(name) = list24{stop: l.stop, items: slices.Clone(l.items)}
	}
	for _, in := range n.children {
		c.children = append(c.children, in.copy(&c))
	}
	return &c
}

// overlay puts what a section sets over what the node has.
func (n *node24) overlay(from *node24) {
	for key, v := range from.set {
		if n.set == nil {
			n.set = map[string]*Value{}
		}
		n.set[key] = v
	}
	for name, l := range from.lists {
		to := n.list(name)
		if l.stop {
			to.stop, to.items = true, nil
		}
		for _, i := range l.items {
			to.put(i.key, i.Value)
		}
	}
	n.groups = append(n.groups, from.groups...)
	for _, in := range from.children {
		if isFilter(in.kind) {
			continue // has its own turn
		}
		if mine := n.find(in.kind, in.name, Filter{}); mine != nil {
			mine.overlay(in)
			continue
		}
		n.children = append(n.children, in.copy(n))
	}
}

// addGroups adds what the groups say that a section includes, as far as nothing
// else does.
func (n *node24) addGroups(root *node24) {
	for _, g := range n.groups {
		group := root.find("@"+g[0], g[1], Filter{})
		if group == nil {
			continue
		}
		explicit := n.copy(n.parent)
		under := group.copy(n.parent)
		n.set, n.lists, n.children = under.set, under.lists, under.children
		for _, c := range n.children {
			c.parent = n
		}
		n.overlay(explicit)
	}
}

package config

import (
	"maps"
	"strings"
)

// serviceKeys24 are the settings that every default service of 2.4 has, even
// if they are empty.
var serviceKeys24 = map[string]string{
	"service_chroot": "", "service_drop_priv_before_exec": "no", "service_executable": "", "service_group": "",
	"service_privileged_group": "", "service_protocol": "", "service_reuse_port": "no", "service_type": "",
	"service_user": "",
}

// withDefaults gives the tree with the default services in it: first they, with
// what the configuration says of them, then everything else.
func (c *Config) withDefaults() *node24 {
	root := *c.root24
	root.children = nil
	for _, s := range services24() {
		n := root.add("service", s.name, c.root24.pos)
		n.fill(s, "service_")
		for key, text := range serviceKeys24 {
			if n.set[key] == nil {
				n.set[key] = &Value{Text: text}
			}
		}
		for _, l := range s.listeners {
			n.add(l.kind, l.name, n.pos).fill(l, l.kind+"_")
		}
	}
	for _, n := range c.root24.children {
		root.merge(n)
	}
	return &root
}

// fill sets the defaults of a service or listener.
func (n *node24) fill(s *service, prefix string) {
	n.set = map[string]*Value{}
	for _, key := range s.order {
		text, full := s.defaults[key], prefix+key
		list, item, ok := strings.Cut(key, "/")
		switch d := schema24()[full]; {
		case ok:
			n.list(list).put(item, &Value{Text: text})
		case d != nil && d.isList():
			l := n.list(full)
			l.stop = true
			for w := range strings.FieldsSeq(text) {
				l.put(w, &Value{Text: "yes"})
			}
		default:
			n.set[full] = &Value{Text: text}
		}
	}
}

// merge adds a section of the configuration to the defaults.
func (n *node24) merge(in *node24) {
	mine := n.find(in.kind, in.name, in.filter)
	if mine == nil {
		n.children = append(n.children, in)
		return
	}
	maps.Copy(mine.set, in.set)
	for name, l := range in.lists {
		to := mine.list(name)
		if l.stop {
			to.stop, to.items = true, nil
		}
		for _, i := range l.items {
			to.put(i.key, i.Value)
		}
	}
	mine.groups = append(mine.groups, in.groups...)
	for _, c := range in.children {
		mine.merge(c)
	}
}

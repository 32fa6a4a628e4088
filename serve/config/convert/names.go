package convert

import (
	"regexp"
	"strings"
	"sync"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// index finds rows of the table of settings.
type index struct {
	by23   map[string]*config.Setting   // core and section settings by full name
	plugin map[string]*config.Setting   // of plugin { }
	by24   map[string][]*config.Setting // by name in 2.4, where that is one name
}

var rows = sync.OnceValue(func() index {
	x := index{map[string]*config.Setting{}, map[string]*config.Setting{}, map[string][]*config.Setting{}}
	for _, s := range config.Settings() {
		switch {
		case s.Name23 == "":
			continue
		case strings.HasPrefix(s.Place, "plugin:"):
			if old := x.plugin[s.Name23]; old == nil || old.Fate != config.Obeyed {
				x.plugin[s.Name23] = s
			}
		default:
			x.by23[s.Name23] = s
		}
		if name := plainName(s.Name24); name != "" {
			x.by24[name] = append(x.by24[name], s)
		}
	}
	return x
})

var word = regexp.MustCompile(`^[a-z0-9_]+$`)

// plainName gives the name in 2.4 of a row, or "" where the table has prose.
func plainName(name string) string {
	name, _, _ = strings.Cut(name, " (hidden)")
	if _, ok := config.Kind24(name); ok && word.MatchString(name) {
		return name
	}
	return ""
}

// filters are the sections that only say for what their content holds.
func isFilter(kind string) bool {
	return kind == "protocol" || kind == "local" || kind == "local_name" || kind == "remote"
}

// within gives the kinds of the sections around a node without filters:
// service/inet_listener.
func within(n *conf.Node) string {
	var kinds []string
	for p := n.Parent; p != nil && p.Kind == conf.Open; p = p.Parent {
		if !isFilter(p.Key) {
			kinds = append([]string{p.Key}, kinds...)
		}
	}
	return strings.Join(kinds, "/")
}

// outer gives the section of a kind around a node, or nil.
func outer(n *conf.Node, kind string) *conf.Node {
	for p := n.Parent; p != nil && p.Kind == conf.Open; p = p.Parent {
		if p.Key == kind {
			return p
		}
	}
	return nil
}

// sets gives the settings directly in a section, the last of each; includes in
// it count.
func sets(n *conf.Node) map[string]*conf.Node {
	m := map[string]*conf.Node{}
	for _, c := range n.Children {
		if c.Kind == conf.Assign {
			m[c.Key] = c
		}
	}
	return m
}

func text(m map[string]*conf.Node, key string) string {
	if n := m[key]; n != nil {
		return n.Value
	}
	return ""
}

func isYes(s string) bool {
	on, err := conf.ParseBool(s, conf.V23)
	return err == nil && on
}

package config

import (
	"bufio"
	"fmt"
	"slices"
	"strings"

	"dovetail/formats/conf"
)

// print24 writes in the form of doveconf 2.4: the settings of the top level in
// the order of their names, then the sections in reading order.
func (c *Config) print24(w *bufio.Writer, o PrintOptions) {
	p := &printer24{w: w, o: o}
	tree := c.root24
	if o.Scope == All || o.Scope == Everything {
		tree = c.withDefaults()
	}
	if len(o.Names) == 0 {
		for _, v := range versions24 {
			if v.name == c.version && v.changes > 0 {
				fmt.Fprintf(w, "# %d default setting changes since version %s\n", v.changes, v.name)
			}
		}
		fmt.Fprintf(w, "dovecot_config_version = %s\n", c.version)
		p.block(c.root24, "", 0)
		p.sections(tree, nil, 0)
		p.groups(c.root24, 0)
		return
	}
	for _, name := range o.Names {
		p.block(c.root24, name, 0)
		p.sections(tree, strings.Split(name, "/"), 0)
	}
}

// printer24 writes sections.
type printer24 struct {
	w       *bufio.Writer
	o       PrintOptions
	waiting string // opening lines that wait for something to stand in them
}

// line24 is one line of a section, with the name that it is sorted by.
type line24 struct {
	sort, key, value string
	list             string // the list that it is an item of
	pos              conf.Pos
}

// lines gives what a section sets, in the order of full names.
func (p *printer24) lines(n *node24) []line24 {
	var lines []line24
	for _, key := range sortedKeys(n.set) {
		v, s := n.set[key], schema24()[key]
		if n.kind == "" && p.o.Scope == NonDefault && v.Text == s.fallback && len(p.o.Names) == 0 {
			continue
		}
		lines = append(lines, line24{sort: key, key: key, value: v.Text, pos: v.Pos})
	}
	for name, l := range n.lists {
		lines = append(lines, listLines(name, l)...)
	}
	if n.kind == "" && p.o.Scope == All {
		lines = append(lines, p.defaults(n)...)
	}
	slices.SortStableFunc(lines, func(a, b line24) int { return strings.Compare(a.sort, b.sort) })
	return lines
}

// defaults are the settings of the top level that are not set.
func (p *printer24) defaults(n *node24) []line24 {
	var lines []line24
	for _, key := range sortedKeys(schema24()) {
		s := schema24()[key]
		if n.set[key] != nil || n.lists[key] != nil || s.isList() && s.list == nil {
			continue
		}
		switch s.kind {
		case Section, Sections:
		case Strings, Booleans:
			l := &list24{}
			for _, d := range s.list {
				l.put(d[0], &Value{Text: d[1]})
			}
			lines = append(lines, listLines(key, l)...)
		default:
			lines = append(lines, line24{sort: key, key: key, value: s.fallback})
		}
	}
	return lines
}

// listLines gives a list: one that replaces others and has only names is one
// line.
func listLines(name string, l *list24) []line24 {
	s := schema24()[name]
	var lines []line24
	if l.stop || len(l.items) == 0 {
		var words []string
		for _, i := range l.items {
			if s.kind == Booleans && i.Text == "yes" {
				words = append(words, quoteKey(i.key))
			}
		}
		lines = append(lines, line24{sort: name, key: name, value: strings.Join(words, " ")})
		if s.kind == Booleans {
			return lines
		}
	}
	for n, i := range l.items {
		at := name + "/" + i.key
		if s.kind == Booleans {
			at = fmt.Sprintf("%s/%08x", name, n)
		}
		lines = append(lines, line24{sort: at, key: i.key, value: i.Text, list: name, pos: i.Pos})
	}
	return lines
}

func quoteKey(key string) string {
	if strings.ContainsAny(key, " \"\\#=") {
		return `"` + escape(key) + `"`
	}
	return key
}

// block writes the settings of a section; only the one that is named, unless
// that is "".
func (p *printer24) block(n *node24, only string, depth int) {
	kind, named := n.prefix()
	strip := func(key string) string {
		if rest, ok := strings.CutPrefix(key, named); ok && named != "" {
			return rest
		}
		rest, ok := strings.CutPrefix(key, kind)
		if !ok || kind == "" || named != "" && schema24()[named+rest] != nil {
			return key
		}
		return rest
	}
	list := ""
	for _, l := range p.lines(n) {
		if only != "" && !named24(l, only, kind, named) {
			continue
		}
		if list != "" && l.list != list {
			fmt.Fprintln(p.w, indent(depth)+"}")
		}
		p.w.WriteString(p.waiting)
		p.waiting = ""
		if n.named && l.key == nameField(n) && l.value == n.name && l.list == "" {
			list = ""
			continue
		}
		if l.list != "" && l.list != list {
			fmt.Fprintln(p.w, indent(depth)+strip(l.list)+" {")
		}
		list = l.list
		p.line(l, strip, depth)
	}
	if list != "" {
		fmt.Fprintln(p.w, indent(depth)+"}")
	}
}

func (p *printer24) line(l line24, strip func(string) string, depth int) {
	key, in := l.key, depth
	if l.list != "" {
		key, in = quoteKey(key), depth+1
	} else {
		key = strip(key)
	}
	value := l.value
	if s := schema24()[l.key]; l.list != "" || s == nil || s.kind != Booleans {
		value = show24(l.key, l.value, p.o.Secrets)
	}
	fmt.Fprintf(p.w, "%s%s = %s%s\n", indent(in), key, value, p.o.origin(l.pos))
}

// named24 tells whether a line is the one that is asked for, by its full name
// or by what it is called in its section.
func named24(l line24, only, kind, named string) bool {
	path := l.key
	if l.list != "" {
		path = l.list + "/" + l.key
	}
	return under(path, only) || kind != "" && under(path, kind+only) || named != "" && under(path, named+only)
}

func nameField(n *node24) string {
	if s := schema24()[n.kind]; s != nil {
		return s.nameField
	}
	return ""
}

// sections writes the sections inside a node; only those that the path names,
// unless it is empty.
func (p *printer24) sections(n *node24, path []string, depth int) {
	for _, c := range n.children {
		rest, only, ok := c.follow(path)
		if !ok {
			continue
		}
		before := p.waiting
		p.waiting += indent(depth) + c.header() + " {\n"
		p.block(c, only, depth+1)
		p.groups(c, depth+1)
		p.sections(c, rest, depth+1)
		if p.waiting == "" {
			fmt.Fprintln(p.w, indent(depth)+"}")
		} else {
			p.waiting = before
		}
	}
}

func (p *printer24) groups(n *node24, depth int) {
	for _, g := range n.groups {
		p.w.WriteString(p.waiting)
		p.waiting = ""
		fmt.Fprintf(p.w, "%s@%s = %s\n", indent(depth), g[0], g[1])
	}
}

// follow takes the section off a path, and tells which setting is wanted of
// it.
func (n *node24) follow(path []string) (rest []string, only string, ok bool) {
	switch {
	case len(path) == 0:
		return nil, "", true
	case n.kind != path[0]:
		return nil, "", false
	case !n.named:
		rest = path[1:]
	case len(path) == 1:
		return nil, "", true
	case n.name != path[1]:
		return nil, "", false
	default:
		rest = path[2:]
	}
	return rest, strings.Join(rest, "/"), true
}

// header is the line that opens a section, without its brace.
func (n *node24) header() string {
	switch {
	case n.kind == "local":
		return "local " + formatNet(n.filter.Local)
	case n.kind == "remote":
		return "remote " + formatNet(n.filter.Remote)
	case isFilter(n.kind):
		return n.kind + " " + n.name
	case !n.named:
		return n.kind
	case n.kind[0] == '@':
		return "group " + n.kind + " " + quoteSection(n.name)
	}
	return n.kind + " " + quoteSection(n.name)
}

func quoteSection(name string) string {
	if name == "" || strings.ContainsAny(name, " \"{=<'$") {
		return `"` + escape(name) + `"`
	}
	return name
}

// show24 is show with the rules of 2.4: values that start or end
// with any white space are quoted, too.
func show24(key, value string, secrets bool) string {
	if !secrets && value != "" && strings.HasSuffix(key, "_secret") {
		return "# hidden, use -P to show it"
	}
	text := show(key, value, secrets)
	if text == value && value != "" && (isSpace(value[0]) || isSpace(value[len(value)-1])) {
		return `"` + escape(value) + `"`
	}
	return text
}

package convert

import (
	"path/filepath"
	"slices"
	"strings"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
)

// down writes a configuration of 2.4 for 2.3.
type down struct {
	*writer
	c                    *config.Config
	o                    Options
	base                 string
	seen                 map[*conf.Line]bool
	files                []File            // external files
	top                  map[string]string // settings of the top level by full name
	all                  []item            // everything that is set, in reading order
	inbox                string            // name of the namespace with the INBOX
	exts                 map[string]string // content of external files and their names
	roots                map[string]string
	listed               map[string]bool // lists that the top level changed
	spaces               bool            // there is a namespace
	rules, warnings      map[string]int  // of each quota root
	scripts, imapScripts int
}

// item is an assignment with its full name and the sections around it.
type item struct {
	node *conf.Node
	name string // full name in 2.4
	key  string // of an item of a list
	at   []config.Step
}

func newDown(c *config.Config, o Options) *down {
	d := &down{writer: newWriter(conf.V23), c: c, o: o, base: filepath.Dir(c.Path), seen: map[*conf.Line]bool{},
		top: map[string]string{}, exts: map[string]string{}, listed: map[string]bool{},
		rules: map[string]int{}, warnings: map[string]int{}, inbox: "inbox"}
	d.survey(c.Syntax.Root)
	return d
}

func (d *down) run() {
	d.walk(d.c.Syntax.Root.Children)
	if !d.o.KeepDefaults {
		d.defaults()
	}
}

// survey collects everything with full names.
func (d *down) survey(root *conf.Node) {
	for n := range root.All() {
		d.spaces = d.spaces || n.Kind == conf.Open && n.Key == "namespace"
		if n.Kind != conf.Assign {
			continue
		}
		it := d.resolve(n)
		d.all = append(d.all, it)
		if len(it.at) == 0 && it.key == "" {
			d.top[it.name] = n.Value
		}
		if it.name == "namespace_inbox" && isYes(n.Value) && len(it.at) > 0 {
			d.inbox = it.at[len(it.at)-1].Name
		}
	}
}

// resolve gives the full name of an assignment as the reader finds it.
func (d *down) resolve(n *conf.Node) item {
	it := item{node: n, name: n.Key}
	for p := n.Parent; p != nil && p.Kind == conf.Open; p = p.Parent {
		it.at = append([]config.Step{{Kind: p.Key, Name: p.Name}}, it.at...)
	}
	if len(it.at) > 0 {
		last := it.at[len(it.at)-1]
		list := full24(last.Kind, it.at[:len(it.at)-1])
		if kind, ok := config.Kind24(list); ok && (kind == config.Booleans || kind == config.Strings) {
			it.at, it.name, it.key = it.at[:len(it.at)-1], list, n.Key
		}
	}
	if list, key, ok := strings.Cut(it.name, "/"); ok && it.key == "" {
		if kind, ok := config.Kind24(list); ok && (kind == config.Booleans || kind == config.Strings) {
			it.name, it.key = list, key
		}
	}
	it.name = full24(it.name, it.at)
	var steps []config.Step
	for _, s := range it.at {
		kind, ok := config.Kind24(full24(s.Kind, steps))
		if !ok || kind != config.Section {
			steps = append(steps, s)
		}
	}
	it.at = steps
	return it
}

// full24 finds the full name that a short one has in a section.
func full24(key string, at []config.Step) string {
	for i := len(at) - 1; i >= 0; i-- {
		s := at[i]
		if isFilter(s.Kind) {
			continue
		}
		kind := full24(s.Kind, at[:i])
		for _, prefix := range []string{kind + "_" + strings.ReplaceAll(s.Name, "/", "_") + "_", kind + "_"} {
			if _, ok := config.Kind24(prefix + key); ok {
				return prefix + key
			}
		}
		return key
	}
	return key
}

func (d *down) walk(nodes []*conf.Node) {
	for _, n := range nodes {
		if d.seen[n.Line] {
			if n.Kind == conf.Open {
				d.walk(n.Children)
			}
			continue
		}
		d.seen[n.Line] = true
		switch n.Kind {
		case conf.Assign:
			d.assignment(n)
		case conf.Open:
			d.section(n)
		case conf.Include:
			d.include(n, d.base)
		case conf.Comment:
			d.comment(n)
		}
	}
}

// drop empties the lines of a section; comments stay.
func (d *down) drop(n *conf.Node) {
	d.seen[n.Line] = true
	d.put(n)
	for _, c := range n.Children {
		d.seen[c.Line] = true
		switch c.Kind {
		case conf.Open:
			d.drop(c)
		case conf.Assign:
			d.put(c)
		case conf.Include:
			d.include(c, d.base)
		}
	}
	if n.Close != nil {
		d.putLine(n.Close, n.Indent())
	}
}

// instead drops a section and writes lines in its place.
func (d *down) instead(n *conf.Node, lines ...string) {
	d.drop(n)
	d.put(n, lines...)
}

func (d *down) section(n *conf.Node) {
	var at []config.Step
	for p := n.Parent; p != nil && p.Kind == conf.Open; p = p.Parent {
		at = append([]config.Step{{Kind: p.Key, Name: p.Name}}, at...)
	}
	if n.Group {
		d.loseSection(n, "there are no groups")
		d.seeAll(n)
		return
	}
	name := full24(n.Key, at)
	if name == "service" && n.Name == "auth-worker" {
		d.workers(n)
	}
	if isFilter(n.Key) || name == "service" || name == "event_exporter" || strings.HasSuffix(name, "_listener") {
		d.walk(n.Children)
		return
	}
	if f := downSection[name]; f != nil {
		f(d, n)
		return
	}
	kind, ok := config.Kind24(name)
	switch {
	case !ok:
		d.walk(n.Children)
	case kind == config.Booleans:
		d.list(n, name)
	case kind == config.Strings:
		d.pairs(n, name)
	case kind == config.Section && name != "dict_server":
		d.put(n)
		d.walk(n.Children)
		if n.Close != nil {
			d.putLine(n.Close, n.Indent())
		}
	default:
		d.loseSection(n, "there is no section "+name)
		d.seeAll(n)
	}
}

func (d *down) seeAll(n *conf.Node) {
	for c := range n.All() {
		d.seen[c.Line] = true
	}
}

// list writes a section of words. In a filter it adds to what there is.
func (d *down) list(n *conf.Node, name string) {
	key, plugin := d.name23(name)
	if key == "" {
		d.loseSection(n, "there is no such setting")
		d.seeAll(n)
		return
	}
	var on []string
	off := map[string]bool{}
	for _, c := range n.Children {
		if c.Kind == conf.Assign {
			if isYes(c.Value) {
				on = append(on, c.Key)
			} else {
				off[c.Key] = true
			}
		}
	}
	short := shorten(key, within(n))
	if name == "mail_plugins" {
		on = d.plugins(on)
	}
	switch {
	case strings.HasPrefix(key, "sieve_") && strings.HasSuffix(key, "extensions"), key == "imap_capability":
		for i := range on {
			on[i] = "+" + on[i]
		}
		for _, w := range keys(off) {
			on = append(on, "-"+w)
		}
	case len(off) > 0, key == "mail_log_events", key == "mail_log_fields":
		var base []string
		for _, p := range config.ListDefault24(name) {
			base = append(base, p[0])
		}
		if v, ok := d.top[name]; ok {
			base = strings.Fields(v)
		}
		base = append(base, on...)
		on = slices.DeleteFunc(base, func(w string) bool { return off[w] })
	case n.Parent.Kind != conf.Root || d.top[name] != "" || d.listed[name]:
		on = append([]string{"$" + short}, on...)
	default:
		for _, p := range slices.Backward(config.ListDefault24(name)) {
			on = append([]string{p[0]}, on...)
		}
	}
	d.listed[name] = d.listed[name] || n.Parent.Kind == conf.Root
	line := short + " = " + strings.Join(on, " ")
	d.instead(n, d.inPlugin(plugin, line)...)
}

func keys(m map[string]bool) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// pairs writes a section of names with values.
func (d *down) pairs(n *conf.Node, name string) {
	var words []string
	for _, c := range n.Children {
		if c.Kind != conf.Assign {
			continue
		}
		switch name {
		case "imap_id_send":
			v := c.Value
			if idValues[c.Key] == v {
				v = "*"
			}
			words = append(words, c.Key, v)
		case "import_environment":
			if c.Value == "%{env:"+c.Key+"}" {
				words = append(words, c.Key)
			} else {
				words = append(words, c.Key+"="+c.Value)
			}
		default:
			v, losses := to23(c.Value, variable.InAuth)
			if len(losses) > 0 {
				v = c.Value
			}
			words = append(words, c.Key+"="+v)
		}
	}
	key, _ := d.name23(name)
	if key == "" {
		d.loseSection(n, "there is no such setting")
		d.seeAll(n)
		return
	}
	d.instead(n, d.writer.assign(key, strings.Join(words, " ")))
}

// name23 gives the name that a setting has in 2.3, and whether it is one of
// plugin { }.
func (d *down) name23(name string) (key string, plugin bool) {
	for _, row := range rows().by24[name] {
		if strings.HasPrefix(row.Place, "plugin:") {
			key, plugin = row.Name23, true
			continue
		}
		return row.Name23, false
	}
	if key == "" && rows().plugin[name] != nil || key == "" && (strings.HasPrefix(name, "sieve_") || strings.HasPrefix(name, "quota_status_")) {
		return name, true
	}
	return key, plugin
}

// inPlugin puts a section plugin around lines.
func (d *down) inPlugin(plugin bool, lines ...string) []string {
	if !plugin {
		return lines
	}
	return joinable("plugin {", lines...)
}

func to23(value string, p variable.Place) (string, []Loss) {
	if p != variable.InSharedPrefix && !strings.Contains(value, "%") {
		return value, nil
	}
	out, found := variable.To23(value, p)
	var losses []Loss
	for _, l := range found {
		losses = append(losses, Loss{Text: l.What, Why: l.Why})
	}
	return out, losses
}

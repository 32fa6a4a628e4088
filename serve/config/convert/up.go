package convert

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// up writes a configuration of 2.3 for 2.4.
type up struct {
	*writer
	c       *config.Config
	o       Options
	src     conf.Source
	base    string
	scope   *scope
	names   map[string]bool     // of passdbs, userdbs and namespaces that were given, as KIND NAME
	inlined map[string]string   // what external files were written as, by what they hold
	seen    map[*conf.Line]bool // of files that are included twice
}

func newUp(c *config.Config, o Options, src conf.Source) *up {
	u := &up{writer: newWriter(conf.V24), c: c, o: o, src: src, base: filepath.Dir(c.Path),
		names: map[string]bool{}, inlined: map[string]string{}, seen: map[*conf.Line]bool{}}
	u.scope = survey(c.Syntax.Root)
	u.indent = func(n *conf.Node) string {
		if p := outer(n, "plugin"); p != nil && n.File == p.File {
			return p.Indent()
		}
		return n.Indent()
	}
	return u
}

func (u *up) run() {
	u.head = "dovecot_config_version = " + u.o.Version + "\ndovecot_storage_version = " + u.o.Version + "\n\n"
	u.walk(u.c.Syntax.Root.Children)
	if !u.o.KeepDefaults {
		u.defaults()
	}
}

func (u *up) walk(nodes []*conf.Node) {
	for _, n := range nodes {
		if u.seen[n.Line] {
			if n.Kind == conf.Open {
				u.walk(n.Children)
			}
			continue
		}
		u.seen[n.Line] = true
		switch n.Kind {
		case conf.Assign:
			u.assignment(n)
		case conf.Open:
			u.section(n)
		case conf.Include:
			u.include(n, u.base)
		case conf.Comment:
			u.comment(n)
		}
	}
}

// gone are the services that 2.4 does not have.
var gone = map[string]string{
	"director": "director", "ipc": "director", "ssl-params": "regeneration of DH parameters",
	"replicator": "replication", "aggregator": "replication", "old-stats": "the old statistics",
}

func (u *up) section(n *conf.Node) {
	switch {
	case n.Key == "plugin":
		u.put(n)
		u.walk(n.Children)
		u.close(n)
		return
	case n.Key == "service" && gone[n.Name] != "":
		u.loseSection(n, "there is no "+gone[n.Name])
		return
	case n.Key == "passdb" || n.Key == "userdb":
		u.database(n)
		return
	case n.Key == "dict":
		u.dicts(n)
		return
	case n.Key == "protocol" && strings.HasPrefix(n.Name, "!"):
		u.notProtocol(n)
		return
	case (n.Key == "namespace" || n.Key == "inet_listener" || n.Key == "metric") && n.Name == "":
		u.put(n, u.writer.open(n.Key, u.name(n)))
	}
	u.walk(n.Children)
	if n.Key == "local_name" && strings.Contains(n.Name, " ") {
		u.severalNames(n)
	}
}

// close drops the line that closes a section.
func (u *up) close(n *conf.Node) {
	if n.Close != nil {
		u.putLine(n.Close, n.Indent())
	}
}

// name invents a name for a section that has none; 2.4 wants one.
func (u *up) name(n *conf.Node) string {
	m := sets(n)
	base := n.Key
	switch {
	case n.Key == "namespace" && isYes(text(m, "inbox")):
		base = "inbox"
	case n.Key == "namespace":
		base = strings.Trim(strings.Map(func(c rune) rune {
			if strings.ContainsRune("%./{}$ ", c) {
				return '-'
			}
			return c
		}, strings.ToLower(text(m, "prefix"))), "-")
	case n.Key == "inet_listener" && text(m, "port") != "":
		base = "port-" + text(m, "port")
	}
	if base == "" {
		base = n.Key
	}
	around := ""
	if n.Parent != nil && n.Parent.Kind == conf.Open {
		around = n.Parent.Key + " " + n.Parent.Name + " "
	}
	return u.unused(around+n.Key, base)
}

// unused gives a name of a kind that no section has.
func (u *up) unused(kind, base string) string {
	for i := 1; ; i++ {
		name := base
		if i > 1 {
			name += strconv.Itoa(i)
		}
		if key := kind + " " + strings.ToLower(name); !u.names[key] && !u.scope.named[key] {
			u.names[key] = true
			return name
		}
	}
}

// notProtocol handles "protocol !NAME", which is gone. Nothing in it, nothing
// lost.
func (u *up) notProtocol(n *conf.Node) {
	if slices.ContainsFunc(n.Children, func(c *conf.Node) bool { return c.Kind == conf.Assign || c.Kind == conf.Open }) {
		u.loseSection(n, "protocol sections cannot say what they are not for")
		return
	}
	u.out[n.Line] = commented(n.Line)
	if n.Close != nil {
		u.out[n.Close] = commented(n.Close)
	}
}

// severalNames repeats a section for each of the names that it is for.
func (u *up) severalNames(n *conf.Node) {
	names := strings.Fields(n.Name)
	u.put(n, u.writer.open(n.Key, names[0]))
	from, to := slices.Index(n.File.Lines, n.Line), slices.Index(n.File.Lines, n.Close)
	if n.Close == nil || to < from {
		u.part(n, n.Name, "only the first name is used, because the section ends in another file")
		return
	}
	body := ""
	for _, l := range n.File.Lines[from+1 : to] {
		if t, ok := u.out[l]; ok {
			body += t
		} else {
			body += l.Raw()
		}
	}
	end := n.Close.Raw()
	all := end
	for _, name := range names[1:] {
		all += n.Indent() + u.writer.open(n.Key, name) + "\n" + body + strings.TrimRight(end, "\r\n") + "\n"
	}
	u.out[n.Close] = all
}

// scope is what one line must know of others.
type scope struct {
	named    map[string]bool              // names of sections, as KIND NAME in lower case
	plugin   map[string]string            // settings of plugin { }, wherever
	location string                       // mail_location of the top level
	spaces   map[string]map[string]string // settings of namespaces by name
}

func survey(root *conf.Node) *scope {
	s := &scope{named: map[string]bool{}, plugin: map[string]string{}, spaces: map[string]map[string]string{}}
	for n := range root.All() {
		switch {
		case n.Kind == conf.Open && n.Name != "":
			around := ""
			if n.Parent.Kind == conf.Open {
				around = n.Parent.Key + " " + n.Parent.Name + " "
			}
			s.named[around+n.Key+" "+strings.ToLower(n.Name)] = true
		case n.Kind == conf.Assign && within(n) == "plugin":
			s.plugin[n.Key] = n.Value
		case n.Kind == conf.Assign && strings.HasPrefix(n.Key, "plugin/"):
			s.plugin[n.Key[7:]] = n.Value
		case n.Kind == conf.Assign && n.Key == "mail_location" && n.Parent.Kind == conf.Root:
			s.location = n.Value
		case n.Kind == conf.Assign && within(n) == "namespace":
			p := strings.ToLower(outer(n, "namespace").Name)
			if s.spaces[p] == nil {
				s.spaces[p] = map[string]string{}
			}
			s.spaces[p][n.Key] = n.Value
		}
	}
	return s
}

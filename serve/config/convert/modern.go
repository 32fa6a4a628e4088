package convert

import (
	"path/filepath"
	"slices"
	"strings"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// modern writes a configuration of 1.x, or one of 2.x with old names, in names
// of 2.3: what the reader made of a line is found by the line's position.
type modern struct {
	*writer
	c       *config.Config
	base    string
	made    map[spot][]made // by position
	after   []string        // settings of the top level that were found in sections for some connections
	skipped map[*conf.Line]bool
}

type spot struct {
	file string
	line int
}

// made is one setting that the reader made.
type made struct {
	filter config.Filter
	at     []config.Step
	key    string
	value  config.Value
}

func newModern(c *config.Config) *modern {
	m := &modern{writer: newWriter(conf.V23), c: c, base: filepath.Dir(c.Path), made: map[spot][]made{},
		skipped: map[*conf.Line]bool{}}
	c.Each(func(f config.Filter, at []config.Step, key string, v config.Value) {
		p := spot{v.Pos.File, v.Pos.Line}
		m.made[p] = append(m.made[p], made{f, at, key, v})
	})
	return m
}

func (m *modern) run() {
	m.walk(m.c.Syntax.Root.Children)
	if m.c.Dialect == conf.V1 {
		var lines []string
		for _, e := range m.made[spot{}] {
			lines = append(lines, m.lines(e)...)
		}
		m.tail = "\n" + defaultsNote("1.x", "2.3") + strings.Join(lines, "\n") + "\n"
	}
}

func (m *modern) walk(nodes []*conf.Node) {
	for _, n := range nodes {
		switch {
		case n.Kind == conf.Open:
			m.section(n)
		case m.skipped[n.Line]:
		case n.Kind == conf.Include:
			m.skipped[n.Line] = true
			m.include(n, m.base)
		case n.Kind == conf.Assign:
			m.skipped[n.Line] = true
			m.assignment(n)
		}
	}
}

// section rewrites the lines that open and close a section of 1.x.
func (m *modern) section(n *conf.Node) {
	around := ""
	if n.Parent.Kind == conf.Open {
		around = n.Parent.Key
	}
	v1 := m.c.Dialect == conf.V1
	switch {
	case n.Key == "auth" && around == "", n.Key == "socket" && around == "auth",
		around == "socket" && (n.Key == "master" || n.Key == "client"):
		m.put(n)
		m.walk(n.Children)
		m.closeAuth(n)
		return
	case around == "auth" && (n.Key == "passdb" || n.Key == "userdb"):
		m.put(n, n.Key+" {", "  "+m.assign("driver", n.Name))
	case n.Key == "protocol" && n.Name == "managesieve":
		m.put(n, "protocol sieve {")
	case n.Key == "service" && n.Name == "dns_client":
		m.put(n, "service dns-client {")
	case v1 && n.Key == "namespace" && n.Name != "":
		m.put(n, "namespace {", "  "+m.assign("type", n.Name))
	case v1 && n.Pos.First == n.Pos.Line && strings.Contains(n.Name, `"`):
		m.put(n, m.open(n.Key, n.Name))
	}
	m.walk(n.Children)
	if around == "" && len(m.after) > 0 && n.Close != nil {
		m.out[n.Close] = strings.TrimRight(n.Close.Raw(), "\r\n") + "\n" + strings.Join(m.after, "\n") + "\n"
		m.after = nil
	}
}

// closeAuth writes what the reader makes at the end of a section.
func (m *modern) closeAuth(n *conf.Node) {
	if n.Close == nil {
		return
	}
	var lines []string
	for _, e := range m.made[at(n.Close.Pos)] {
		lines = append(lines, m.lines(e)...)
	}
	m.putLine(n.Close, n.Indent(), lines...)
}

func at(p conf.Pos) spot { return spot{p.File, p.Line} }

// assignment leaves a line as it is if it means the same to 2.3.
func (m *modern) assignment(n *conf.Node) {
	all := m.made[at(n.Pos)]
	in := within(n)
	inAuth := strings.HasPrefix(in, "auth")
	switch {
	case m.natural(n, all, in):
		return
	case inAuth && strings.HasPrefix(in, "auth/socket"):
		m.put(n)
		return
	case len(all) == 0:
		m.nothing(n)
		return
	}
	var here []string
	for _, e := range all {
		kinds := kindsOf(e.at)
		switch {
		case kinds == in, kinds == strings.TrimPrefix(strings.TrimPrefix(in, "auth"), "/"):
			here = append(here, m.value(e))
		case n.Parent.Kind == conf.Open && !inAuth || n.Parent.Kind == conf.Open && outer(n, "protocol") != nil:
			m.after = append(m.after, m.lines(e)...)
		default:
			here = append(here, m.lines(e)...)
		}
	}
	m.put(n, here...)
}

// nothing handles a line that left nothing behind: a later one counts, or its
// setting is gone.
func (m *modern) nothing(n *conf.Node) {
	m.out[n.Line] = m.indent(n) + "# has no effect:\n" + commented(n.Line)
}

// changing are settings whose values the reader changes.
var changing = []string{"protocols", "imap_client_workarounds", "auth_cache_size", "listen", "ssl_listen"}

// natural tells whether 2.3 reads the line as it stands, to the same effect.
func (m *modern) natural(n *conf.Node, all []made, in string) bool {
	if m.c.Dialect == conf.V1 {
		l := conf.Parse("", n.Raw(), conf.V23).Lines
		if len(l) == 0 || l[0].Kind != conf.Assign || l[0].Value != n.Value || l[0].Form == conf.Reference || l[0].Form == conf.FromFile {
			return false
		}
		return len(all) == 1 && all[0].key == n.Key && kindsOf(all[0].at) == in && all[0].value.Text == n.Value
	}
	if slices.Contains(changing, n.Key) && n.Form != conf.Reference && len(all) > 0 {
		return len(all) == 1 && all[0].key == n.Key && all[0].value.Text == n.Value
	}
	last := n.Key[strings.LastIndexByte(n.Key, '/')+1:]
	if slices.ContainsFunc(all, func(e made) bool {
		return e.key == last && (last != n.Key || kindsOf(e.at) == in) || n.Key == "mail" || n.Key == "mail_location"
	}) {
		return true
	}
	if len(all) > 0 {
		return false
	}
	full := strings.TrimPrefix(in+"/"+n.Key, "/")
	return rows().by23[full] != nil || strings.Contains(n.Key, "/") || in != "" && !strings.HasPrefix(in, "auth") ||
		n.Form == conf.Reference || n.Form == conf.FromFile
}

func kindsOf(steps []config.Step) string {
	var kinds []string
	for _, s := range steps {
		kinds = append(kinds, s.Kind)
	}
	return strings.Join(kinds, "/")
}

// value writes a setting that was made, where it stands.
func (m *modern) value(e made) string {
	if e.value.Form == conf.FromFile {
		return e.key + " = " + e.value.Text
	}
	return m.assign(e.key, e.value.Text)
}

// lines writes a setting that was made, with the sections around it.
func (m *modern) lines(e made) []string {
	out := []string{m.value(e)}
	for i, s := range slices.Backward(e.at) {
		open := s.Kind + " {"
		if s.Name != "" {
			open = m.open(s.Kind, s.Name)
		}
		if i == 0 {
			return joinable(open, out...)
		}
		out = section(open, out...)
	}
	return out
}

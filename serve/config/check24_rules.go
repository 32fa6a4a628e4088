package config

import (
	"regexp"
	"strings"
	"sync"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
)

// rules24 checks a configuration of 2.4 by the rules of 2.3: what they ask for
// is written as a tree of 2.3, and what they say in the names of 2.4. Its own
// doveconf checks less, so nothing of this is among what it prints; a program
// must not start with it all the same.
func (c *Config) rules24(o Options, problems *Problems) {
	found := &Problems{config: c}
	said := map[string]bool{}
	for i, f := range c.Filters() {
		t := c.as23(o, f, found)
		k := &checker{o: o, c: c, t: t, filter: &filtered{Filter: f, tree: t}, global: i == 0, problems: found,
			failed: map[*Setting]bool{}, said: said}
		k.all()
		k.mailPlaces()
		if k.global {
			k.advise()
		}
	}
	known := map[string]bool{}
	for _, p := range problems.All {
		known[p.Text] = true
	}
	for _, p := range found.All {
		p.Text, p.Instead, p.Line = inWordsOf24(p.Text), inWordsOf24(p.Instead), ""
		switch p.Severity {
		case Failed:
			p.Severity = AtStart
		case Warning:
			p.Severity = Advice
		}
		if !known[p.Text] {
			problems.add(p)
		}
	}
}

// as23 writes what holds for a connection as a tree of 2.3, with the values of
// all settings that both have.
func (c *Config) as23(o Options, f Filter, problems *Problems) *tree {
	v := c.For(f)
	t := &tree{dialect: conf.V23, root: &block{schema: schema23()}, links: map[string]*block{}}
	t.root.take24(v.Get)
	for _, kind := range []string{"service", "namespace", "passdb", "userdb"} {
		for _, s := range v.Sections(kind) {
			t.root.takeSection(s)
		}
	}
	if cert := t.root.set["ssl_cert"]; cert != nil && cert.Text != "" {
		c.readCertificate(o, cert, problems)
	}
	return t
}

// readCertificate puts the content of a file in the place of its path, if files
// are to be read at all.
func (c *Config) readCertificate(o Options, v *Value, problems *Problems) {
	v.Form = conf.FromFile
	if text, ok := strings.CutPrefix(v.Text, "inline:"); ok {
		v.Text = text
		return
	}
	if !o.Expand || o.Source == nil {
		v.Text = "<" + v.Text
		return
	}
	text, err := (&report{pos: v.Pos}).content(o.Source, "ssl_cert", v.Text)
	if err != nil {
		problems.add(&Problem{Severity: AtStart, Pos: v.Pos, Text: err.Error()})
		text = "<" + v.Text
	}
	v.Text = text
}

// takeSection adds a section of 2.4 with those inside it.
func (b *block) takeSection(s SectionView) {
	schema := b.schema.sections[s.Kind]
	if schema == nil {
		return
	}
	in := b.add(s.Kind, &block{schema: schema, name: s.Name, pos: s.Pos, base: shippedLimits(s)})
	in.take24(s.Get)
	in.put(schema.name, &Value{Text: s.Name, Pos: s.Pos})
	for _, kind := range []string{"unix_listener", "fifo_listener", "inet_listener", "mailbox"} {
		for _, inner := range s.Sections(kind) {
			in.takeSection(inner)
		}
	}
}

// shippedLimits gives the defaults of a service that rules ask for; nil if it
// is none of 2.4's own.
func shippedLimits(s SectionView) map[string]string {
	for _, known := range services24() {
		if s.Kind == "service" && known.name == s.Name {
			return map[string]string{"process_limit": known.defaults["process_limit"]}
		}
	}
	if s.Kind == "service" {
		return nil
	}
	return map[string]string{}
}

// take24 takes the values of the settings that a section of 2.3 has.
func (b *block) take24(get func(string) (Value, bool)) {
	for _, s := range b.schema.list {
		name := s.oneName24()
		if name == "" {
			continue
		}
		v, ok := get(name)
		if !ok || v.Pos.File == "" && (b.schema.path == "" || s.Key() == "alias_for" || s.Type == Enum) {
			continue // the defaults of both are well, and need no check
		}
		text, err := s.from24(v.Text)
		if err != nil {
			continue // said by the reader
		}
		raw := v.Raw
		if text != v.Text && v.Pos.File != "" {
			raw = v.Text
		}
		b.put(s.Key(), &Value{Text: text, Raw: raw, Pos: v.Pos})
	}
}

// oneName24 gives the name in 2.4 of a setting that has one and means the same.
func (s *Setting) oneName24() string {
	switch s.Name23 {
	case "service/inet_listener/address":
		return ""
	case "service/service_count":
		return "service_restart_request_count"
	}
	if d := schema24()[s.Name24]; d == nil || d.kind == Section || d.kind == Sections {
		return ""
	}
	return s.Name24
}

// from24 writes a value as 2.3 has it.
func (s *Setting) from24(text string) (string, error) {
	switch {
	case text == "unlimited" && s.Name23 == "service/service_count":
		text = "0"
	case text == "unlimited" && s.Type == Size:
		text = "18446744073709551615"
	case text == "unlimited":
		text = "4294967295"
	case text == "infinite":
		text = "4294967295 secs"
	case s.Name23 == "pop3_uidl_format":
		old, losses := variable.To23(text, variable.InUIDL)
		if len(losses) > 0 {
			return s.Default23, nil
		}
		text = old
	}
	return s.canonical(text, conf.V23)
}

var settingName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[a-z0-9]+(_[a-z0-9]+)+`) })

// inWordsOf24 gives settings in a text the names that they have in 2.4.
func inWordsOf24(text string) string {
	return settingName().ReplaceAllStringFunc(strings.ReplaceAll(text, "= </", "= /"), func(word string) string {
		for _, s := range Settings() {
			if s.Name23 == word && s.Place == "core" && schema24()[strings.Fields(s.Name24 + " -")[0]] != nil {
				return strings.Fields(s.Name24)[0]
			}
		}
		return word
	})
}

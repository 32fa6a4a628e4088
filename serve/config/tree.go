package config

import (
	"errors"
	"strconv"
	"strings"
	"sync"

	"dovetail/formats/conf"
)

// Value is what a configuration sets a setting to.
type Value struct {
	Text string   // as doveconf prints it
	Raw  string   // as it was before, if the type gives it another form
	Pos  conf.Pos // where it was set
	Form conf.Form
	File string // of "<file": its path, absolute or as the main file's is
}

// block is one section with what is set in it; unset settings have no entry.
type block struct {
	schema *section
	name   string            // as written; "" if it has none
	pos    conf.Pos          // where it was opened first; no File: a default
	base   map[string]string // defaults before those of the schema: of a default service, of the installation
	set    map[string]*Value
	inner  map[string][]*block // by type, in reading order
	keys   []string            // of maps: the keys in reading order
}

// tree is everything that one filter sets.
type tree struct {
	dialect conf.Dialect // of the values that are assigned
	root    *block
	links   map[string]*block // by path in lower case: sections of one name in other case are one
	linked  sync.Once         // of a merged tree: links are made when they are needed
	short   bool              // the default services are not there yet
}

// newTree gives a tree in which nothing is set.
func newTree(d conf.Dialect, base map[string]string) *tree {
	t := newFilterTree(d, base)
	t.addServices()
	return t
}

// newFilterTree gives the tree of a filter. Few filters set something of a
// service; only those have the default services.
func newFilterTree(d conf.Dialect, base map[string]string) *tree {
	return &tree{dialect: d, root: &block{schema: schema23(), base: base}, links: map[string]*block{}, short: true}
}

func (t *tree) addServices() {
	t.short = false
	for _, s := range services23() {
		b := t.root.add("service", &block{schema: t.root.schema.sections["service"], name: s.name, base: s.defaults})
		t.links["service/"+s.name] = b
		for _, l := range s.listeners {
			in := b.add(l.kind, &block{schema: b.schema.sections[l.kind], name: l.name, base: l.defaults})
			t.links["service/"+s.name+"/"+l.kind+"/"+escapeName(l.name)] = in
		}
	}
}

// find gives the section at a path, or nil.
func (t *tree) find(path string) *block {
	if t.short && strings.HasPrefix(path, "service/") {
		t.addServices()
	}
	return t.links[strings.ToLower(path)]
}

func (b *block) add(kind string, in *block) *block {
	if b.inner == nil {
		b.inner = map[string][]*block{}
	}
	b.inner[kind] = append(b.inner[kind], in)
	return in
}

// fallback is what a setting has without being set.
func (b *block) fallback(s *Setting) string {
	if v, ok := b.base[s.Key()]; ok {
		return v
	}
	return s.Default23
}

// value gives what the setting has here.
func (b *block) value(s *Setting) string {
	if v := b.set[s.Key()]; v != nil {
		return v.Text
	}
	return b.fallback(s)
}

func (b *block) text(key string) string { return b.value(b.schema.settings[key]) }

// number gives the value of a setting that holds digits, or a size.
func (b *block) number(key string) uint64 {
	if b.schema.settings[key].Type == Size {
		n, _ := conf.ParseSize(b.text(key), conf.V23)
		return n
	}
	n, _ := strconv.ParseUint(b.text(key), 10, 64)
	return n
}

func (b *block) put(key string, v *Value) {
	if b.set == nil {
		b.set = map[string]*Value{}
	}
	b.set[key] = v
}

var errUnknown = errors.New("unknown setting")

// assign sets what a path names: "mail_debug", "service/imap/user",
// "plugin/quota". It gives errUnknown, or why the value is not accepted.
func (t *tree) assign(path, value string, pos conf.Pos, form conf.Form) (*Setting, error) {
	b, key := t.root, path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		if b = t.parent(path[:i]); b == nil {
			return nil, errUnknown
		}
		key = path[i+1:]
	}
	if b.schema.isMap() {
		t.assignMap(b, key, &Value{Text: value, Pos: pos, Form: form})
		return nil, nil
	}
	if s := b.schema.setting(key); s != nil {
		text, err := s.canonical(value, t.dialect)
		if err != nil {
			return s, err
		}
		v := &Value{Text: text, Pos: pos, Form: form}
		if text != value {
			v.Raw = value
		}
		b.put(s.Key(), v)
		return s, nil
	}
	if b.schema.sections[key] == nil && b.schema.maps[key] == nil {
		return nil, errUnknown
	}
	for _, name := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		if _, err := t.open(path, name, pos); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (t *tree) assignMap(b *block, key string, v *Value) {
	if b.set[key] == nil {
		b.keys = append(b.keys, key)
	}
	b.put(key, v)
}

// parent finds the section at a path; maps need not be opened first.
func (t *tree) parent(path string) *block {
	if b := t.find(path); b != nil {
		return b
	}
	if t.root.schema.maps[path] == nil {
		return nil
	}
	b, _ := t.open(path, "0", conf.Pos{})
	return b
}

// open opens the section of the type at the end of the path, with a name that
// is escaped already.
func (t *tree) open(path, name string, pos conf.Pos) (*block, error) {
	up, kind := cutLast(path)
	parent := t.root
	if up != "" {
		if parent = t.find(up); parent == nil {
			return nil, errUnknown
		}
	}
	if m := parent.schema.maps[kind]; m != nil {
		return t.openMap(parent, m, path, name, pos), nil
	}
	s := parent.schema.sections[kind]
	switch {
	case s == nil && parent.schema.isMap():
		return nil, errors.New("Section not allowed here")
	case s == nil:
		return nil, errUnknown
	}
	link := strings.ToLower(path + "/" + name)
	if b := t.find(link); b != nil {
		if !s.unique {
			return nil, errors.New(path + "/" + name + " already exists")
		}
		return b, nil
	}
	b := parent.add(kind, &block{schema: s, pos: pos})
	t.links[link] = b
	return b, nil
}

// openMap opens the one section of a map, whatever it is called.
func (t *tree) openMap(parent *block, m *section, path, name string, pos conf.Pos) *block {
	b := t.links[path]
	if b == nil {
		b = parent.add(m.kind(), &block{schema: m, pos: pos})
		t.links[path] = b
	}
	t.links[strings.ToLower(path+"/"+name)] = b
	return b
}

// title gives a section the name that it was opened with.
func (b *block) title(name string, pos conf.Pos) {
	if b.schema.name == "" {
		return
	}
	b.name = name
	b.put(b.schema.name, &Value{Text: name, Pos: pos})
}

var nameEscaper = strings.NewReplacer(`\`, `\\`, "=", `\e`, "/", `\s`, " ", `\_`, ",", `\+`)

// escapeName makes the name of a section fit into a path.
func escapeName(name string) string { return nameEscaper.Replace(name) }

package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
)

// assign handles "key = value" as it stands in a file.
func (r *reader24) assign(n *conf.Node) {
	value, unexpanded, err := r.expand(n)
	switch {
	case err != nil:
		r.fail(err.Error())
		return
	case strings.HasPrefix(n.Key, "@") && !n.KeyQuoted:
		r.includeGroup(n.Key[1:], value)
		return
	}
	key := n.Key
	if r.at.list != "" {
		key = r.at.list + "/" + key
	}
	full, top, err := r.apply(key, &Value{Text: value, Pos: r.pos, Form: n.Form}, unexpanded)
	if err != nil {
		p := r.fail(n.Key + ": " + err.Error())
		if p.Instead = nearest24(n.Key); lookup24(full) != nil {
			p.Instead = lookup24(full).kind.accepts(lookup24(full).choices)
		}
		return
	}
	r.noteOrder(full, top)
}

func (r *reader24) includeGroup(label, name string) {
	if r.at.node.inGroup() {
		r.fail("Recursive include groups not allowed")
		return
	}
	r.uses = append(r.uses, use24{label, name, r.pos})
	for i, g := range r.at.node.groups {
		if g[0] == label {
			r.at.node.groups[i][1] = name
			return
		}
	}
	r.at.node.groups = append(r.at.node.groups, [2]string{label, name})
}

// apply sets what a key names in the open section: itself, or with the name or
// kind of the section before it. The section of a global name that starts like
// one is opened for it: ssl_server_cert_file is cert_file in ssl_server. top
// tells whether it is a setting of the top level.
func (r *reader24) apply(key string, v *Value, unexpanded bool) (full string, top bool, err error) {
	before := r.at.node
	defer func() { r.at.node = before }()
	for {
		if next, ok := r.descend(key); ok {
			key = next
			continue
		}
		if !r.descendPrefix(key) {
			break
		}
	}
	kind, named := r.at.node.prefix()
	for _, name := range []string{named + key, kind + key, key} {
		if name != key && (kind == "" || !prefixable(name)) || lookup24(name) == nil {
			continue
		}
		top := r.at.node.kind == ""
		return name, top, r.exact(name, v, unexpanded)
	}
	return key, false, r.unknown(key)
}

// descend opens the section that a path starts with: service/imap/.
func (r *reader24) descend(key string) (rest string, ok bool) {
	kind, rest, ok := strings.Cut(key, "/")
	s := schema24()[kind]
	if !ok || s == nil || s.kind != Section && s.kind != Sections {
		return key, false
	}
	name := ""
	if s.kind == Sections {
		if name, rest, ok = strings.Cut(rest, "/"); !ok {
			return key, false
		}
	}
	r.enter(kind, name)
	return rest, true
}

// descendPrefix opens the section that a name starts with, unless it is open.
func (r *reader24) descendPrefix(key string) bool {
	for _, p := range prefixes24() {
		if !strings.HasPrefix(key, p) {
			continue
		}
		kind, named := r.at.node.prefix()
		if !r.at.node.named && kind == p || named == p {
			return false
		}
		r.enter(strings.TrimSuffix(p, "_"), "")
		return true
	}
	return false
}

// put sets a full name in the open section.
func (r *reader24) put(name string, v *Value) {
	if r.at.node.set == nil {
		r.at.node.set = map[string]*Value{}
	}
	r.at.node.set[name] = v
}

// exact sets what a full name names.
func (r *reader24) exact(key string, v *Value, unexpanded bool) error {
	s := lookup24(key)
	if r.at.def != nil && key == r.at.def.required {
		r.at.node.seen = true
	}
	var err error
	switch s.kind {
	case Strings, Booleans:
		err = r.exactList(s, key, v, unexpanded)
	case Sections:
		err = fmt.Errorf("Setting is a named list filter, use '%s %s {'", key, v.Text)
	case Section:
		err = fmt.Errorf("Setting is a named filter, use '%s {'", key)
	default:
		r.put(key, v)
		if !unexpanded {
			err = s.check(v.Text, r.o.Expand)
		}
	}
	if f := r.at.node.filter; err == nil && s.auth && (f.LocalName != "" || f.Local.Bits() > 0 || f.Remote.Bits() > 0) {
		err = errors.New("Auth settings not supported inside local/remote blocks: " + key)
	}
	return err
}

// exactList sets a list, or one item of it: list/key.
func (r *reader24) exactList(s *setting24, key string, v *Value, unexpanded bool) error {
	_, item, one := strings.Cut(key, "/")
	switch {
	case one:
		return r.listItem(s, item, v, unexpanded)
	case s.kind == Strings && v.Text != "":
		return fmt.Errorf("Setting is a string list, use '%s {'", key)
	}
	l := r.at.node.list(s.name)
	l.stop, l.items = true, nil
	if s.kind == Booleans {
		words, err := splitList(v.Text)
		for _, w := range words {
			l.put(w, &Value{Text: "yes", Pos: v.Pos})
		}
		return err
	}
	return nil
}

func (r *reader24) listItem(s *setting24, item string, v *Value, unexpanded bool) error {
	if s.kind == Booleans && !unexpanded && checkable(v.Text, r.o.Expand) {
		if _, err := conf.ParseBool(v.Text, conf.V24); err != nil {
			return err
		}
	}
	fresh := r.at.node.lists[s.name] == nil
	l := r.at.node.list(s.name)
	if fresh && r.holdsDefaults(s) {
		for _, d := range s.list {
			l.put(d[0], &Value{Text: d[1]})
		}
	}
	l.put(item, v)
	return nil
}

// holdsDefaults tells whether the defaults of a list belong into the open
// section, which is the top level or the one of its prefix.
func (r *reader24) holdsDefaults(s *setting24) bool {
	kind, _ := r.at.node.prefix()
	return r.at.node.kind == "" || !r.at.node.named && kind != "" && strings.HasPrefix(s.name, kind) &&
		r.at.node.parent.kind == ""
}

// splitList cuts "a b,c" into words; a word may be quoted.
func splitList(text string) ([]string, error) {
	var words []string
	for text = strings.TrimLeft(text, ", "); text != ""; text = strings.TrimLeft(text, ", ") {
		if text[0] != '"' {
			end := strings.IndexAny(text+" ", ", ")
			words, text = append(words, text[:end]), text[end:]
			continue
		}
		end := strings.IndexByte(text[1:], '"')
		if end < 0 {
			return words, errors.New("Missing ending '\"'")
		}
		words, text = append(words, text[1:end+1]), text[end+2:]
	}
	return words, nil
}

// checkable tells whether a value is what it will be: variables are put in
// later.
func checkable(value string, expanded bool) bool {
	return !strings.Contains(value, "%{") && (expanded || !strings.HasPrefix(value, "<") && !strings.Contains(value, "$ENV:"))
}

// check tells what is wrong with the value of a setting that is no list.
func (s *setting24) check(value string, expanded bool) error {
	if s.kind != Plain && strings.Contains(value, "%{") {
		if _, err := variable.Parse24(value); err != nil {
			return fmt.Errorf("%s: %s", value, strings.TrimPrefix(err.Error(), value+": "))
		}
	}
	if s.kind == String || s.kind == Plain || s.kind == File || !checkable(value, expanded) {
		return nil
	}
	if value == "unlimited" || value == "infinite" {
		switch s.kind {
		case Uint, Octal, Time, TimeMs, Size:
			return nil
		}
	}
	var err error
	switch s.kind {
	case Bool:
		_, err = conf.ParseBool(value, conf.V24)
	case Uint:
		_, err = conf.ParseUint(value, conf.V24)
	case Octal:
		_, err = conf.ParseOctal(value, conf.V24)
	case Time:
		_, err = conf.ParseTime(value, conf.V24)
	case TimeMs:
		_, err = conf.ParseMsecs(value, conf.V24)
	case Size:
		_, err = conf.ParseSize(value, conf.V24)
	case Port:
		_, err = conf.ParsePort(value)
	case Enum:
		if !slices.Contains(s.choices, value) {
			err = errors.New("Invalid value: " + value)
		}
	}
	return err
}

// unknown says that a setting does not exist, under which names it was looked
// for, and which ones there are with the rest of the name.
func (r *reader24) unknown(key string) error {
	text := "Unknown setting: " + key
	kind, named := r.at.node.prefix()
	if kind == "" {
		return errors.New(text)
	}
	text += " (" + kind + key
	if named == "" {
		return errors.New(text + " not found either.)")
	}
	text += " or " + named + key + " not found either."
	var like []string
	for name := range schema24() {
		rest, ok := strings.CutPrefix(name, kind)
		_, tail, cut := strings.Cut(rest, "_")
		if ok && cut && tail == key {
			like = append(like, name)
		}
	}
	slices.Sort(like)
	switch len(like) {
	case 0:
		return errors.New(text + ")")
	case 1:
		return errors.New(text + " Did you mean " + like[0] + "?)")
	}
	return errors.New(text + " Did you mean one of: " + strings.Join(like, ", ") + "?)")
}

// noteOrder warns of a global setting after a filter that sets the same.
func (r *reader24) noteOrder(key string, top bool) {
	first, ok := r.seen[key]
	if top {
		if ok {
			r.warn(lineOf(r.pos) + ": Global setting " + key + " won't change the setting inside an earlier filter at " +
				lineOf(first) + " (if this is intentional, avoid this warning by moving the global setting before " +
				lineOf(first) + ")")
		}
		return
	}
	if ok {
		return
	}
	for at := r.at.node; at.kind != ""; at = at.parent {
		if !at.named {
			r.seen[key] = r.pos
			return
		}
	}
}

package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"dovetail/formats/conf"
)

// expand gives a value with the references in it that are known while reading:
// files, the environment, and the setting itself. Other settings are put in
// when all is read; then unexpanded is true.
func (r *reader24) expand(n *conf.Node) (value string, unexpanded bool, err error) {
	switch {
	case n.Form == conf.FromFile && r.o.Expand:
		value, err = r.content(r.o.Source, n.Key, n.Value)
		return value, false, err
	case n.Form == conf.FromFile:
		return "<" + n.Value, false, nil
	case n.Form != conf.Reference:
		return n.Value, false, nil
	}
	var out strings.Builder
	self, others := false, false
	for rest := n.Value; ; {
		word, after, more := strings.Cut(rest, " ")
		name, isSet := strings.CutPrefix(word, "$SET:")
		env, isEnv := strings.CutPrefix(word, "$ENV:")
		switch {
		case isSet && (r.o.Expand || name == n.Key):
			text, err := r.lookup(r.at.node, name, nil)
			if err != nil {
				return "", false, err
			}
			out.WriteString(text)
			self, others = self || name == n.Key, true
		case isSet:
			others = true
			out.WriteString(word)
		case isEnv && r.o.Expand:
			if r.o.Getenv != nil {
				out.WriteString(r.o.Getenv(env))
			}
		default:
			out.WriteString(word)
		}
		if out.Len() > maxExpanded {
			return "", false, fmt.Errorf("%s: the expanded value is longer than %d bytes", n.Key, maxExpanded)
		}
		if !more {
			break
		}
		out.WriteByte(' ')
		rest = strings.TrimLeft(after, " \t\n\v\f\r")
	}
	if others && !self {
		return n.Value, true, nil
	}
	return out.String(), false, nil
}

// lookup gives the value of a setting for a section: the name alone, or after
// the path of the section that it is wanted from. The chain holds the names
// that are being expanded.
func (r *reader24) lookup(node *node24, name string, chain []string) (string, error) {
	fail := func(why string) error { return fmt.Errorf("Failed to expand $SET:%s: %s", name, why) }
	key := name
	if path, last := cutLast(name); path != "" {
		key = last
		if node = r.c.root24.at(path); node == nil {
			return r.serviceDefault(path, last, fail("Unknown filter path: "+path))
		}
	}
	s := schema24()[key]
	switch {
	case s == nil:
		return "", fail("Unknown setting: " + key)
	case s.isList() || s.kind == Section || s.kind == Sections:
		return "", fail("Setting type can't be expanded to string")
	case slices.Contains(chain, name):
		return "", fmt.Errorf("Chained $SET:%s loops back to itself", name)
	}
	v, _ := node.value(key)
	if !strings.Contains(v.Text, "$SET:") || v.Form != conf.Reference {
		return v.Text, nil
	}
	return r.replace(node, v.Text, append(slices.Clone(chain), name))
}

// serviceDefault gives a setting of a default service that is not configured.
func (r *reader24) serviceDefault(path, key string, otherwise error) (string, error) {
	name, ok := strings.CutPrefix(path, "service/")
	for _, s := range services24() {
		if !ok || s.name != name {
			continue
		}
		if v, ok := s.defaults[strings.TrimPrefix(key, "service_")]; ok {
			return v, nil
		}
		if d := schema24()[key]; d != nil {
			return d.fallback, nil
		}
	}
	return "", otherwise
}

// replace puts settings into a text.
func (r *reader24) replace(node *node24, text string, chain []string) (string, error) {
	words := strings.Split(text, " ")
	size := 0
	for i, w := range words {
		if name, ok := strings.CutPrefix(w, "$SET:"); ok {
			v, err := r.lookup(node, name, chain)
			if err != nil {
				return "", err
			}
			words[i] = v
		}
		if size += len(words[i]) + 1; size > maxExpanded || len(chain) > 100 {
			return "", errors.New("the expanded value is too long")
		}
	}
	return strings.Join(words, " "), nil
}

// expandAll puts the settings into all values, and checks what they became.
func (r *reader24) expandAll() {
	for _, n := range r.c.root24.all() {
		for _, key := range inReadingOrder(n.set) {
			v := n.set[key]
			if v.Form != conf.Reference || !strings.Contains(v.Text, "$SET:") {
				continue
			}
			text, err := r.replace(n, v.Text, []string{key})
			if err != nil {
				p := r.whole(err.Error())
				p.Severity, p.Pos = Fatal, v.Pos
				return
			}
			v.Text, v.Form = text, conf.Plain
			if err := schema24()[key].check(text, true); err != nil {
				r.pos = v.Pos
				r.fail(key + ": " + err.Error())
			}
		}
	}
}

// inReadingOrder gives the names of settings by the lines that set them.
func inReadingOrder(set map[string]*Value) []string {
	keys := sortedKeys(set)
	slices.SortStableFunc(keys, func(a, b string) int { return set[a].Pos.Line - set[b].Pos.Line })
	return keys
}

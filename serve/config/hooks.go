package config

import "dovetail/formats/conf"

// Kind24 gives the type of a setting or section that 2.4 has under a full name.
func Kind24(name string) (kind Type, ok bool) {
	s := schema24()[name]
	if s == nil {
		return "", false
	}
	return s.kind, true
}

// Default24 gives what a setting of 2.4 that is no list has without being set.
func Default24(name string) string {
	if s := schema24()[name]; s != nil {
		return s.fallback
	}
	return ""
}

// ListDefault24 gives the names or name=value pairs that a list of 2.4 has
// without being set.
func ListDefault24(name string) [][2]string {
	if s := schema24()[name]; s != nil {
		return s.list
	}
	return nil
}

// Canonical gives a value as doveconf 2.3 prints it, or why it is refused.
func (s *Setting) Canonical(value string, d conf.Dialect) (string, error) {
	return s.canonical(value, d)
}

// Step is one section on the way to a setting: service imap-login.
type Step struct{ Kind, Name string }

// Each calls do for everything that a configuration of 1.x or 2.0 to 2.3 sets,
// with the sections that it stands in. The names of sections are no settings.
func (c *Config) Each(do func(f Filter, at []Step, key string, v Value)) {
	for _, f := range c.filters {
		f.root.each(nil, func(at []Step, key string, v Value) { do(f.Filter, at, key, v) })
	}
}

func (b *block) each(at []Step, do func(at []Step, key string, v Value)) {
	for _, s := range b.schema.list {
		if v := b.set[s.Key()]; v != nil && s.Key() != b.schema.name {
			do(at, s.Key(), *v)
		}
	}
	for _, key := range b.keys {
		do(at, key, *b.set[key])
	}
	for _, s := range b.schema.inner {
		for _, in := range b.inner[s.kind()] {
			in.each(append(at[:len(at):len(at)], Step{s.kind(), in.name}), do)
		}
	}
}

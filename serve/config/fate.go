package config

import (
	"strings"

	"dovetail/formats/conf"
)

// fates says of everything that is set what becomes of it here, unless it is
// simply obeyed. Dovecot says nothing of this.
func (c *Config) fates(problems *Problems) {
	for _, f := range c.filters {
		f.root.fates(c, problems)
	}
}

func (b *block) fates(c *Config, problems *Problems) {
	for _, s := range b.schema.list {
		if v := b.set[s.Key()]; v != nil {
			tellFate(problems, s, s.Name23, v.Pos)
		}
	}
	for _, key := range b.keys {
		pos := b.set[key].Pos
		if s := pluginSetting(key); s != nil {
			tellFate(problems, s, "plugin/"+key, pos)
			tellQuota(problems, s, b.set[key])
		} else if b.schema.path == "plugin" {
			problems.add(&Problem{Severity: Advice, Pos: pos, Text: "unknown plugin setting: " + key,
				Meaning: "it has no effect", Instead: nearestPlugin(key)})
		}
	}
	for _, s := range b.schema.inner {
		for _, in := range b.inner[s.kind()] {
			in.fates(c, problems)
		}
	}
}

// tellQuota says which ways of counting mail are others here.
func tellQuota(problems *Problems, s *Setting, v *Value) {
	backend, _, _ := strings.Cut(v.Text, ":")
	if s.Name23 != "quota" || backend != "dict" {
		return
	}
	problems.add(&Problem{Severity: Advice, Pos: v.Pos, Text: "the dict of the quota is not kept up to date",
		Meaning: "limits are obeyed by counting the mailboxes; programs that ask the dict learn old sums", Instead: "quota = count:User quota"})
}

func tellFate(problems *Problems, s *Setting, name string, pos conf.Pos) {
	p := &Problem{Severity: Advice, Pos: pos, Meaning: s.Text, Idle: s.Fate == Later || s.Fate == NotNeeded}
	switch s.Fate {
	case Refused:
		p.Severity, p.Text = AtStart, name+" is not supported"
	case Later:
		p.Text, p.Meaning = name+" has no effect yet", "it is accepted, and will be obeyed by a later version"
	case NotNeeded:
		p.Text = name + " is not needed"
	default:
		return
	}
	problems.add(p)
}

// fates24 is fates of a file of 2.4.
func (c *Config) fates24(problems *Problems) {
	for _, n := range c.root24.all() {
		for _, key := range inReadingOrder(n.set) {
			if s := settings24()[key]; s != nil && n.set[key].Pos.File != "" && key != nameField(n) {
				tellFate(problems, s, key, n.set[key].Pos)
			}
		}
		for _, key := range sortedKeys(n.lists) {
			l := n.lists[key]
			if s := settings24()[key]; s != nil && len(l.items) > 0 {
				tellFate(problems, s, key, l.items[len(l.items)-1].Pos)
			}
		}
	}
}

// pluginSetting finds a setting of plugin { }. Many are numbered: quota2,
// sieve_before3, quota_rule12.
func pluginSetting(key string) *Setting {
	all := pluginSettings()
	if s := all[key]; s != nil {
		return s
	}
	return all[strings.TrimRight(key, "0123456789")]
}

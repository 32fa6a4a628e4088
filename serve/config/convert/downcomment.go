package convert

import (
	"strings"

	"dovetail/formats/conf"
)

// comment translates the settings that stand alone in comments, where they
// have a counterpart. Everything else stays as it is.
func (d *down) comment(n *conf.Node) {
	var b strings.Builder
	depth := 0
	for line := range strings.Lines(n.Raw()) {
		bare := strings.TrimLeft(strings.TrimRight(line, "\r\n"), " \t")
		lines := d.commentedSetting(n, strings.TrimLeft(bare, "#"), &depth)
		if lines == "" {
			b.WriteString(line)
			continue
		}
		for l := range strings.Lines(lines) {
			b.WriteString(indentOf(line) + "#" + strings.ReplaceAll(l, joiner, ""))
		}
	}
	if b.String() != n.Raw() {
		d.out[n.Line] = b.String()
	}
}

// commentedSetting gives what a comment becomes if it is a setting that
// changes; "" for any other.
func (d *down) commentedSetting(n *conf.Node, body string, depth *int) string {
	if !settingLike.MatchString(body) {
		return ""
	}
	f := conf.Parse(n.Pos.File, strings.TrimSpace(body), conf.V24)
	if len(f.Lines) != 1 {
		return ""
	}
	l := f.Lines[0]
	switch {
	case l.Kind == conf.Open:
		*depth++
	case l.Kind == conf.Close:
		*depth = max(0, *depth-1)
	}
	if l.Kind != conf.Assign || *depth > 0 || outer(n, "passdb") != nil || outer(n, "userdb") != nil {
		return ""
	}
	fake := &conf.Node{Line: l, File: n.File, Parent: n.Parent}
	it := d.resolve(fake)
	if isLocation(it.name) || it.key != "" || strings.HasPrefix(it.name, "sql_") || strings.HasPrefix(it.name, "ldap_") {
		return ""
	}
	before := d.losses
	d.setting(fake, it)
	lost := len(d.losses) > len(before)
	d.losses = before
	text := d.out[l]
	delete(d.out, l)
	if lost {
		return ""
	}
	return text
}

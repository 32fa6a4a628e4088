package convert

import (
	"regexp"
	"strings"

	"dovetail/formats/conf"
)

// comment translates the settings that stand in comments, "#ssl = yes", where
// they have a counterpart. Everything else stays as it is.
func (u *up) comment(n *conf.Node) {
	var b strings.Builder
	in := within(n)
	depth := 0
	for line := range strings.Lines(n.Raw()) {
		text := strings.TrimRight(line, "\r\n")
		bare := strings.TrimLeft(text, " \t")
		indent := text[:len(text)-len(bare)]
		if in == "plugin" {
			indent = u.indent(n)
		}
		lines := u.commentedSetting(n, in, bare, &depth)
		if lines == nil {
			if in == "plugin" {
				line = indent + bare + "\n"
			}
			b.WriteString(line)
			continue
		}
		for _, l := range lines {
			b.WriteString(indent + "#" + l + "\n")
		}
	}
	if b.String() != n.Raw() {
		u.out[n.Line] = b.String()
	}
}

// settingLike tells settings from prose such as "with ssl=yes the file …".
var settingLike = regexp.MustCompile(`^ ?([a-z0-9_]+ =|[a-z_]+( \S+)? \{$|\}$)`)

// commentedSetting gives what a comment becomes if it is a setting; nil for
// any other.
func (u *up) commentedSetting(n *conf.Node, in, text string, depth *int) []string {
	body := strings.TrimLeft(text, "#")
	if !settingLike.MatchString(body) {
		return nil
	}
	f := conf.Parse("", strings.TrimSpace(body), conf.V23)
	if len(f.Lines) != 1 {
		return nil
	}
	l := f.Lines[0]
	switch {
	case l.Kind == conf.Open:
		*depth++
		return nil
	case l.Kind == conf.Close:
		*depth = max(0, *depth-1)
		return nil
	case l.Kind != conf.Assign || *depth > 0 || strings.HasPrefix(in, "passdb") || strings.HasPrefix(in, "userdb"):
		return nil
	case in == "plugin" && upPlugin[l.Key] == nil && rows().plugin[l.Key] == nil && !quotaPart.MatchString(l.Key):
		return nil
	case in != "plugin" && rows().by23[strings.TrimPrefix(in+"/"+l.Key, "/")] == nil:
		return nil
	}
	names := map[string]bool{}
	for k := range u.names {
		names[k] = true
	}
	t := u.translate(setting{l.Key, l.Value, l.Form, in, n})
	u.names = names
	if t.lost != "" || len(t.parts) > 0 || len(t.lines) == 0 {
		return nil
	}
	if len(t.lines) == 1 && t.lines[0] == strings.TrimSpace(strings.TrimSuffix(l.Raw(), l.Comment)) {
		return nil
	}
	if l.Comment != "" {
		t.lines[0] += " " + l.Comment
	}
	return t.lines
}

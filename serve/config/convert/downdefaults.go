package convert

import (
	"slices"
	"strings"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
)

// defaults writes out what is not set and has another default in 2.3.
func (d *down) defaults() {
	set := map[string]bool{}
	for _, it := range d.all {
		if len(it.at) == 0 {
			set[it.name] = true
		}
	}
	var out []string
	for _, row := range config.Settings() {
		name := plainName(row.Name24)
		kind, _ := config.Kind24(name)
		if row.Place != "core" || name == "" || set[name] || kind == config.Strings ||
			slices.Contains(cosmetic, row.Name23) || isLocation(name) {
			continue
		}
		fallback := config.Default24(name)
		if kind == config.Booleans {
			var words []string
			for _, p := range config.ListDefault24(name) {
				words = append(words, p[0])
			}
			fallback = strings.Join(words, " ")
		}
		if line, ok := d.default23(row, name, kind, fallback); ok {
			out = append(out, line)
		}
	}
	slices.Sort(out)
	if !set["auth_allow_weak_schemes"] {
		out = append(out, "# 2.3 accepts passwords of weak schemes, too; 2.4 refused them.")
	}
	if len(out) > 0 {
		d.tail = "\n" + defaultsNote("2.4", "2.3") + strings.Join(out, "\n") + "\n"
	}
}

// default23 writes a default of 2.4, unless it is that of 2.3 too.
func (d *down) default23(row *config.Setting, name string, kind config.Type, fallback string) (string, bool) {
	n := &conf.Node{Line: &conf.Line{Kind: conf.Assign, Key: row.Name23, Value: fallback, Form: conf.Plain}}
	line, why := d.line(n, item{name: name}, row.Name23, row, false)
	switch name {
	case "listen":
		return "", false
	case "protocols":
		line = "protocols = none"
	}
	if why != "" {
		return "", false
	}
	l := conf.Parse("", line, conf.V23).Lines[0]
	a, err := row.Canonical(l.Value, conf.V23)
	if err != nil {
		return "", false
	}
	b := row.Default23
	if kind == config.Booleans {
		x, y := listWords(a), listWords(b)
		slices.Sort(x)
		slices.Sort(y)
		return line, !slices.Equal(x, y)
	}
	return line, a != b && normalTemplate(a) != normalTemplate(b)
}

var _ = variable.InAuth

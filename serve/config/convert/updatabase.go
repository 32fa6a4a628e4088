package convert

import (
	"slices"
	"strings"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
)

// database is a passdb or userdb on its way to 2.4.
type database struct {
	u      *up
	n      *conf.Node
	kind   string // passdb, userdb
	driver string
	name   string
	before []string // lines before the section: connections, which others share
	args   translation
}

// goneDrivers are the databases that 2.4 does not have.
var goneDrivers = []string{"vpopmail", "checkpassword", "dict", "shadow", "nss", "cdb", "sia", "rpam"}

// database writes a passdb or userdb: it needs a name, which is that of its
// driver if that is free, and its arguments are settings.
func (u *up) database(n *conf.Node) {
	m := sets(n)
	d := &database{u: u, n: n, kind: n.Key, driver: text(m, "driver"), name: n.Name}
	switch {
	case d.driver == "":
		d.driver = n.Name
	case slices.Contains(goneDrivers, d.driver):
		u.loseSection(n, "there is no "+n.Key+" "+d.driver)
		return
	}
	if d.driver == "" {
		u.loseSection(n, "it has no driver")
		return
	}
	if d.name == "" {
		d.name = u.unused(n.Key, d.driver)
	}
	d.arguments(text(m, "args"))
	if d.args.lost != "" && m["args"] == nil {
		d.args = translation{}
	}
	u.put(n, append(d.before, u.writer.open(n.Key, d.name))...)
	d.children(m)
}

// key gives the name of a setting of the driver inside the section. The short
// form goes with the name that the driver itself would have.
func (d *database) key(short string) string {
	if d.name == d.driver {
		return short
	}
	return d.kind + "_" + strings.ReplaceAll(d.driver, "-", "_") + "_" + short
}

func (d *database) children(m map[string]*conf.Node) {
	u, written := d.u, false
	for _, n := range d.n.Children {
		u.seen[n.Line] = true
		switch n.Kind {
		case conf.Assign:
			if m[n.Key] != n {
				u.put(n) // a later line counts
				continue
			}
			written = written || n.Key == "args"
			d.assignment(n)
		case conf.Include:
			u.include(n, u.base)
		case conf.Comment:
			u.comment(n)
		}
	}
	if !written && d.n.Close != nil && len(d.args.lines) > 0 {
		indent := d.n.Indent() + "  "
		u.out[d.n.Close] = indent + strings.Join(d.args.lines, "\n"+indent) + "\n" + d.n.Close.Raw()
	}
}

func (d *database) assignment(n *conf.Node) {
	u := d.u
	switch n.Key {
	case "driver":
		if d.name == d.driver {
			u.put(n)
		}
	case "args":
		if d.args.lost != "" {
			u.lose(n, d.args.lost)
			return
		}
		for _, p := range d.args.parts {
			u.part(n, p[0], p[1])
		}
		u.put(n, d.args.lines...)
	case "override_fields", "default_fields":
		list := words(n.Value)
		if n.Key == "default_fields" {
			for i := range list {
				list[i].key += ":default"
			}
		}
		t := d.fieldLines(list)
		if t.lost != "" {
			u.lose(n, t.lost)
			return
		}
		u.put(n, t.lines...)
	default:
		u.assignment(n)
	}
}

// words splits "key=value key=value".
func words(s string) []pair {
	var all []pair
	for w := range strings.FieldsSeq(s) {
		k, v, _ := strings.Cut(w, "=")
		all = append(all, pair{k, v})
	}
	return all
}

// fieldLines writes fields with values that have variables of 2.3.
func (d *database) fieldLines(list []pair) translation {
	var inner []string
	for _, p := range list {
		expanded, why := d.field(p)
		if why != "" {
			return lost(p.key + ": " + why)
		}
		for _, e := range expanded {
			inner = append(inner, d.u.assign(quoteKey(e.key), e.value))
		}
	}
	if len(inner) == 0 {
		return translation{}
	}
	return lines(section("fields {", inner...)...)
}

// field writes one field; those that hold a location or a quota rule have the
// names of the settings now.
func (d *database) field(p pair) (all []pair, why string) {
	name, isDefault := strings.CutSuffix(p.key, ":default")
	base := strings.TrimPrefix(name, "userdb_")
	all = []pair{{name, p.value}}
	switch {
	case d.kind == "passdb" && base == name:
	case base == "mail":
		parts, unknown := splitLocation(p.value)
		if unknown != "" {
			return nil, "unknown part of a location: " + unknown
		}
		all = parts
	case base == "quota_rule":
		key, value, ok := quotaField(p.value)
		if !ok {
			return nil, "quota rules are settings of their own now"
		}
		all = []pair{{key, value}}
	}
	prefix := name[:len(name)-len(base)]
	for i := range all {
		if all[i].key != name {
			all[i].key = prefix + all[i].key
		}
		if isDefault {
			all[i].key += ":default"
		}
		value, losses := authTemplate(all[i].value)
		if len(losses) > 0 {
			return nil, losses[0].Text + ": " + losses[0].Why
		}
		all[i].value = value
	}
	return all, ""
}

// authTemplate writes a template of the authentication; %{ldap:NAME} is the
// same in both versions, but does not take defaults.
func authTemplate(s string) (string, []Loss) {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "%{ldap:")
		text, losses := to24(before, variable.InAuth)
		if len(losses) > 0 {
			return "", losses
		}
		out.WriteString(text)
		if !ok {
			return out.String(), nil
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return "", []Loss{{Text: s, Why: "the variable does not end"}}
		}
		attr, fallback, has := strings.Cut(name, ":")
		out.WriteString("%{ldap:" + attr)
		if has {
			out.WriteString(" | default('" + strings.ReplaceAll(fallback, "'", `\'`) + "')")
		}
		out.WriteString("}")
		s = after
	}
}

// arguments translates args of the driver.
func (d *database) arguments(args string) {
	switch d.driver {
	case "sql":
		d.external(args, d.sql)
	case "ldap":
		d.external(args, d.ldap)
	case "static":
		d.static(args)
	case "passwd-file":
		d.passwdFile(args)
	case "pam":
		d.pam(args)
	case "passwd", "prefetch", "bsdauth":
		for _, w := range strings.Fields(args) {
			if !strings.HasPrefix(w, "blocking=") {
				d.args.parts = append(d.args.parts, [2]string{w, "there is no such argument"})
			}
		}
	case "lua":
		d.lua(args)
	default:
		if args != "" {
			d.args = lost("arguments of " + d.driver + " are settings of their own now")
		}
	}
}

func (d *database) static(args string) {
	var fields []pair
	for _, p := range words(args) {
		switch {
		case d.kind == "passdb" && p.key == "password":
			text, losses := authTemplate(p.value)
			if len(losses) > 0 {
				d.args = lost(losses[0].Why)
				return
			}
			d.args.lines = append(d.args.lines, d.u.assign(d.key("password"), text))
		case d.kind == "userdb" && p.key == "allow_all_users":
			d.args.lines = append(d.args.lines, d.u.assign(d.key("allow_all_users"), p.value))
		default:
			fields = append(fields, p)
		}
	}
	t := d.fieldLines(fields)
	t.lines = append(d.args.lines, t.lines...)
	d.args = t
}

func (d *database) passwdFile(args string) {
	for args = strings.TrimSpace(args); args != ""; {
		word, rest, _ := strings.Cut(args, " ")
		key, value, ok := strings.Cut(word, "=")
		switch {
		case ok && key == "scheme":
			if d.kind == "passdb" {
				d.args.lines = append(d.args.lines, d.u.assign("default_password_scheme", value))
			}
		case ok && key == "username_format":
			d.template("auth_username_format", value)
		default:
			d.template("passwd_file_path", args)
			return
		}
		args = strings.TrimSpace(rest)
	}
}

// template adds a setting with variables of the authentication.
func (d *database) template(key, value string) {
	text, losses := authTemplate(value)
	if len(losses) > 0 {
		d.args = lost(losses[0].Text + ": " + losses[0].Why)
		return
	}
	d.args.lines = append(d.args.lines, d.u.assign(key, text))
}

func (d *database) pam(args string) {
	for w := range strings.FieldsSeq(args) {
		key, value, ok := strings.Cut(w, "=")
		switch {
		case !ok && w == "-session", key == "blocking":
		case !ok && (w == "session" || w == "setcred"):
			d.args.lines = append(d.args.lines, d.key(w)+" = yes")
		case !ok && w == "*":
			d.template(d.key("service_name"), "%s")
		case !ok:
			d.template(d.key("service_name"), w)
		case key == "session", key == "setcred", key == "failure_show_msg":
			d.args.lines = append(d.args.lines, d.u.assign(d.key(key), value))
		case key == "max_requests":
			d.args.lines = append(d.args.lines, d.u.assign(d.key(key), value))
		default:
			d.args.parts = append(d.args.parts, [2]string{w, "the cache makes its keys itself"})
		}
	}
}

func (d *database) lua(args string) {
	for _, p := range words(args) {
		switch p.key {
		case "file":
			d.args.lines = append(d.args.lines, d.u.assign("lua_file", p.value))
		case "blocking":
			d.args.lines = append(d.args.lines, d.u.assign("use_worker", p.value))
		default:
			d.args.lines = append(d.args.lines, section("lua_settings {", d.u.assign(p.key, p.value))...)
		}
	}
}

package convert

import (
	"path/filepath"
	"slices"
	"strings"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
)

// back is a passdb or userdb on its way to 2.3.
type back struct {
	d      *down
	n      *conf.Node
	driver string
	set    map[string]string // by full name
	fields []pair
	def    []pair
	iter   []pair
}

// read collects what a section says.
func (d *down) read(n *conf.Node) *back {
	b := &back{d: d, n: n, driver: n.Name, set: map[string]string{}}
	for c := range n.All() {
		if c.Kind != conf.Assign {
			continue
		}
		it := d.resolve(c)
		switch {
		case it.name == n.Key+"_driver":
			b.driver = c.Value
		case it.name == n.Key+"_fields" && strings.HasSuffix(it.key, ":default"):
			b.def = append(b.def, pair{strings.TrimSuffix(it.key, ":default"), c.Value})
		case it.name == n.Key+"_fields":
			b.fields = append(b.fields, pair{it.key, c.Value})
		case it.name == "userdb_ldap_iterate_fields":
			b.iter = append(b.iter, pair{it.key, c.Value})
		case it.key == "":
			b.set[it.name] = c.Value
		}
	}
	return b
}

func (d *down) database(n *conf.Node) {
	b := d.read(n)
	if b.driver == "" {
		d.loseSection(n, "it has no driver")
		d.seeAll(n)
		return
	}
	out := []string{n.Key + " {"}
	if b.driver != n.Name {
		out[0] = d.open(n.Key, n.Name)
	}
	if b.driver == n.Name {
		out = append(out, "  "+d.assign("driver", b.driver))
	}
	if args, why := b.args(); why != "" {
		d.part(n, n.Key+" "+n.Name, why)
		out = append(out, "  # not in 2.3: "+why)
	} else if args != "" {
		out = append(out, "  "+d.assign("args", args))
	}
	for _, f := range []struct {
		key  string
		list []pair
	}{{"default_fields", b.def}, {"override_fields", b.fields}} {
		if len(f.list) == 0 {
			continue
		}
		text, why := fieldWords(f.list)
		if why != "" {
			d.part(n, f.key, why)
			continue
		}
		out = append(out, "  "+d.assign(f.key, text))
	}
	d.put(n, out...)
	for _, c := range n.Children {
		d.seen[c.Line] = true
		switch c.Kind {
		case conf.Open:
			d.drop(c)
		case conf.Include:
			d.include(c, d.base)
		case conf.Assign:
			d.own(c, b)
		}
	}
}

// own translates a setting of the section that does not depend on the driver.
func (d *down) own(n *conf.Node, b *back) {
	name := d.resolve(n).name
	key := strings.TrimPrefix(name, b.n.Key+"_")
	switch {
	case key == "driver":
		d.put(n, d.assign("driver", n.Value))
	case name == "auth_verbose":
		d.put(n, d.assign("auth_verbose", n.Value))
	case key == "mechanisms_filter":
		d.put(n, d.assign("mechanisms", strings.Join(listWords(n.Value), " ")))
	case key != name && rows().by23[b.n.Key+"/"+key] != nil && key != "name":
		d.put(n, d.assign(key, n.Value))
	case key == "use_cache", key == "fields_import_all", key == "use_worker" && !external(b.driver):
		d.lose(n, "there is no such setting")
	default:
		d.put(n)
	}
}

// fieldWords writes fields as words; a value with a blank cannot be one.
func fieldWords(list []pair) (string, string) {
	var words []string
	for _, p := range oldFields(list) {
		value, losses := authTemplate23(p.value)
		switch {
		case len(losses) > 0:
			return "", losses[0].Text + ": " + losses[0].Why
		case strings.ContainsAny(value, " \t"):
			return "", "the value of " + p.key + " has a blank"
		case value == "":
			words = append(words, p.key)
		default:
			words = append(words, p.key+"="+value)
		}
	}
	return strings.Join(words, " "), ""
}

// oldFields puts the fields of a location and of a quota together.
func oldFields(list []pair) []pair {
	var out []pair
	locations := map[string][]pair{}
	for _, p := range list {
		base := strings.TrimPrefix(p.key, "userdb_")
		prefix := p.key[:len(p.key)-len(base)]
		switch {
		case isLocation(base):
			locations[prefix] = append(locations[prefix], pair{base, p.value})
		case base == "quota_storage_size":
			out = append(out, pair{prefix + "quota_rule", "*:" + bytesRule(p.value)})
		case base == "quota_message_count":
			out = append(out, pair{prefix + "quota_rule", "*:messages=" + p.value})
		default:
			out = append(out, p)
		}
	}
	for prefix, parts := range locations {
		out = append(out, pair{prefix + "mail", joinLocation(parts)})
	}
	return out
}

func bytesRule(value string) string {
	if v, ok := strings.CutSuffix(value, "}k"); ok {
		return "storage=" + v + "}"
	}
	if strings.HasSuffix(value, "}") {
		return "bytes=" + value
	}
	return bytesOrStorage(value, "")
}

// authTemplate23 writes a template of the authentication; %{ldap:NAME} stays.
func authTemplate23(s string) (string, []Loss) {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "%{ldap:")
		text, losses := to23(before, variable.InAuth)
		if len(losses) > 0 {
			return "", losses
		}
		out.WriteString(text)
		if !ok {
			return out.String(), nil
		}
		name, after, _ := strings.Cut(rest, "}")
		if attr, fallback, has := strings.Cut(name, " | default("); has {
			name = attr + ":" + strings.Trim(fallback, "')")
		}
		if strings.Contains(name, "|") {
			return "", []Loss{{Text: name, Why: "no filters of attributes"}}
		}
		out.WriteString("%{ldap:" + name + "}")
		s = after
	}
}

// args writes the arguments of the driver.
func (b *back) args() (string, string) {
	get := func(name string) string { return b.set[name] }
	var words []string
	add := func(key, value string) string {
		text, losses := authTemplate23(value)
		if len(losses) > 0 {
			return losses[0].Text + ": " + losses[0].Why
		}
		if value != "" {
			words = append(words, key+text)
		}
		return ""
	}
	why := ""
	switch kind := b.n.Key; b.driver {
	case "passwd-file":
		add("scheme=", get("passdb_default_password_scheme"))
		why = add("username_format=", get("auth_username_format"))
		if w := add("", get("passwd_file_path")); w != "" {
			why = w
		}
	case "static":
		why = add("password=", get("passdb_static_password"))
		add("allow_all_users=", get("userdb_static_allow_all_users"))
		text, w := fieldWords(b.fields)
		if w != "" {
			return "", w
		}
		b.fields = nil
		words = append(words, strings.Fields(text)...)
	case "pam":
		for _, k := range []string{"session", "setcred", "failure_show_msg", "max_requests"} {
			add(k+"=", get("passdb_pam_"+k))
		}
		add("", get("passdb_pam_service_name"))
	case "lua":
		add("file=", get("lua_file"))
	case "sql", "ldap":
		return b.external(kind)
	}
	return strings.Join(words, " "), why
}

// external writes the file of sql or ldap. A passdb and a userdb that say the
// same of the connection have one together.
func (b *back) external(kind string) (string, string) {
	var text string
	var why string
	if b.driver == "sql" {
		text, why = b.sqlFile()
	} else {
		text, why = b.ldapFile()
	}
	if why != "" {
		return "", why
	}
	name, ok := b.d.exts[text]
	if !ok {
		name = "dovecot-" + b.driver + "-" + kind + ".conf.ext"
		for i := 2; slices.ContainsFunc(b.d.files, func(f File) bool { return f.Name == name }); i++ {
			name = "dovecot-" + b.driver + "-" + kind + itoa(i) + ".conf.ext"
		}
		b.d.exts[text] = name
		b.d.files = append(b.d.files, File{Name: name, Text: text, Secret: true})
	}
	dir := b.d.o.Out
	if b.d.o.back || dir == "" {
		dir = b.d.base
	}
	return filepath.Join(dir, name), ""
}

// value gives a setting of the section, or of the top level.
func (b *back) value(name string) string {
	if v, ok := b.set[name]; ok {
		return v
	}
	return b.d.top[name]
}

func (b *back) sqlFile() (string, string) {
	driver := b.value("sql_driver")
	var out []string
	out = append(out, b.d.assign("driver", driver))
	if driver == "sqlite" {
		out = append(out, b.d.assign("connect", b.value("sqlite_path")))
	} else {
		out = append(out, b.d.assign("connect", b.connect(driver)))
	}
	if v := b.set["passdb_default_password_scheme"]; v != "" {
		out = append(out, b.d.assign("default_pass_scheme", v))
	}
	for _, p := range []pair{{"passdb_sql_query", "password_query"}, {"passdb_sql_update_query", "update_query"},
		{"userdb_sql_query", "user_query"}, {"userdb_sql_iterate_query", "iterate_query"}} {
		if v, ok := b.set[p.key]; ok {
			text, losses := authTemplate23(v)
			if len(losses) > 0 {
				return "", losses[0].Text + ": " + losses[0].Why
			}
			out = append(out, b.d.assign(p.value, text))
		}
	}
	return strings.Join(out, "\n") + "\n", ""
}

// connect writes the sections of the servers as one string.
func (b *back) connect(driver string) string {
	var hosts, words []string
	tls := false
	for _, it := range b.d.all {
		i := slices.IndexFunc(it.at, func(s config.Step) bool { return s.Kind == driver })
		if i < 0 || i > 0 && outer(it.node, b.n.Key) != b.n {
			continue
		}
		if h := it.at[i].Name; !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
			words = append(words, "host="+h)
		}
		if len(hosts) > 1 {
			continue
		}
		key := strings.TrimPrefix(it.name, driver+"_")
		if it.key != "" {
			key = it.key
		}
		if key == "connection_limit" {
			key = "maxconns"
		}
		for old, name := range mysqlTLS {
			if it.name == name {
				key, tls = old, true
			}
		}
		words = append(words, key+"="+it.node.Value)
	}
	if tls {
		words = slices.DeleteFunc(words, func(w string) bool { return w == "ssl=yes" })
	}
	return strings.Join(words, " ")
}

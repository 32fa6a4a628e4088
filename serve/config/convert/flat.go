package convert

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// flat23 gives everything that holds for a connection, by path. Names that 2.4
// wants and 2.3 does not need are numbers; external files are settings.
func flat23(c *config.Config, f config.Filter, src conf.Source) map[string]string {
	var b bytes.Buffer
	_ = c.Print(&b, config.PrintOptions{Scope: config.Everything, Filter: f, Secrets: true, Simple: true})
	all := map[string]string{}
	var order []string
	for line := range strings.Lines(b.String()) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		all[key] = value
		order = append(order, key)
	}
	numbers := numbering(order, all)
	out := map[string]string{}
	for key, value := range all {
		key = numbers.path(key)
		if !ignored(key) {
			out[key] = normal(key, value)
		}
	}
	for key, value := range out {
		if p, ok := strings.CutSuffix(key, "/args"); ok && external(out[p+"/driver"]) {
			delete(out, key)
			kind, _, _ := strings.Cut(p, "/")
			for k, v := range extSettings(src, value, kind, out[p+"/driver"]) {
				out[p+"/"+k] = v
			}
			constants(out, p)
		}
	}
	for key, value := range out {
		if p, ok := strings.CutSuffix(key, "/args"); ok && out[p+"/driver"] == "static" {
			out[key] = sortedList(value, " ")
		}
		if p, ok := strings.CutSuffix(key, "/pass"); ok && isYes(value) {
			out[key], out[p+"/result_success"] = "no", "continue"
		}
	}
	normalPlugin(out)
	return out
}

func external(driver string) bool { return driver == "sql" || driver == "ldap" }

// ignored tells of paths that say nothing: lists of names, and names.
func ignored(key string) bool {
	last := key[strings.LastIndexByte(key, '/')+1:]
	switch {
	case strings.HasPrefix(key, "plugin/"):
		return false
	case last == "name" && key != last, strings.HasSuffix(key, "_listener/"+last), last == "path" && strings.Contains(key, "_listener/"), last == "namespace", last == "inet_listener", last == "passdb", last == "userdb",
		last == "mailbox", last == "service", last == "unix_listener", last == "fifo_listener", last == "plugin",
		last == "dict", last == "metric", last == "event_exporter":
		return true
	}
	return false
}

// numbered are paths of namespaces and listeners with the number of each.
type numbered map[string]string

func numbering(order []string, all map[string]string) numbered {
	n := numbered{}
	for _, key := range order {
		kind := key[strings.LastIndexByte(key, '/')+1:]
		if kind != "namespace" && kind != "inet_listener" {
			continue
		}
		for i, name := range strings.Fields(all[key]) {
			n[key+"/"+name] = key + "/#" + strconv.Itoa(i)
		}
	}
	return n
}

func (n numbered) path(key string) string {
	parts := strings.Split(key, "/")
	for i := len(parts) - 1; i > 1; i-- {
		if to, ok := n[strings.Join(parts[:i], "/")]; ok {
			return strings.Join(append([]string{to}, parts[i:]...), "/")
		}
	}
	return key
}

// constants moves attributes that take nothing from the directory to the
// fields that override: both mean the same.
func constants(out map[string]string, section string) {
	for _, list := range []string{"pass_attrs", "user_attrs"} {
		v, ok := out[section+"/"+list]
		if !ok {
			continue
		}
		var keep, fixed []string
		for w := range strings.SplitSeq(v, ",") {
			attr, rest, _ := strings.Cut(w, "=")
			if field, value, more := strings.Cut(rest, "="); more && attr != "" {
				w = "=" + field + "=" + strings.ReplaceAll(value, "%$", "%{ldap:"+attr+"}")
			}
			if strings.HasPrefix(w, "=") && !strings.Contains(w, "%{ldap:") {
				fixed = append(fixed, w[1:])
			} else {
				keep = append(keep, w)
			}
		}
		out[section+"/"+list] = sortedList(strings.Join(keep, ","), ",")
		all := out[section+"/override_fields"] + " " + strings.Join(fixed, " ")
		out[section+"/override_fields"] = sortedList(all, " ")
	}
}

// extSettings reads an external file for what a passdb or userdb takes from it.
func extSettings(src conf.Source, name, kind, driver string) map[string]string {
	out := map[string]string{}
	data, err := readText(src, name)
	if err != nil {
		out["args"] = name
		return out
	}
	if driver == "ldap" {
		for _, p := range ldapDefaults {
			out[p.key] = p.value
		}
	}
	for _, l := range conf.Parse(name, data, conf.Ext).Lines {
		if l.Kind == conf.Assign {
			out[l.Key] = l.Value
		}
	}
	drop := []string{"user_query", "iterate_query", "user_attrs", "user_filter", "iterate_attrs", "iterate_filter"}
	if kind == "userdb" {
		drop = []string{"password_query", "update_query", "pass_attrs", "pass_filter", "auth_bind", "auth_bind_userdn",
			"default_pass_scheme"}
	} else if isYes(out["auth_bind"]) && out["auth_bind_userdn"] != "" {
		drop = append(drop, "pass_attrs")
	}
	for _, k := range drop {
		delete(out, k)
	}
	if h, ok := out["hosts"]; ok {
		delete(out, "hosts")
		out["uris"] = "ldap://" + strings.Join(strings.Fields(h), " ldap://")
	}
	switch out["tls_require_cert"] {
	case "hard", "demand", "":
		delete(out, "tls_require_cert")
	default:
		out["tls_require_cert"] = "never"
	}
	delete(out, "sasl_bind")
	if c, ok := out["connect"]; ok {
		w := strings.Fields(c)
		slices.Sort(w)
		out["connect"] = strings.Join(w, " ")
	}
	for k, v := range out {
		out[k] = normalTemplate(v)
		if strings.HasSuffix(k, "_attrs") {
			out[k] = sortedList(v, ",")
		}
	}
	return out
}

func sortedList(s, sep string) string {
	var w []string
	for p := range strings.SplitSeq(s, sep) {
		if p = strings.TrimSpace(p); p != "" {
			w = append(w, p)
		}
	}
	slices.Sort(w)
	return strings.Join(w, sep)
}

// long names of variables and their short ones mean the same.
var shortNames = strings.NewReplacer("%{user}", "%u", "%{username}", "%n", "%{domain}", "%d", "%{home}", "%h",
	"%{service}", "%s", "%{pid}", "%p", "%{rip}", "%r", "%{lip}", "%l", "%{password}", "%w",
	"%{process:uid}", "%i", "%{mech}", "%m", "%{secured}", "%c")

func normalTemplate(v string) string {
	if !strings.Contains(v, "%{") {
		return v
	}
	return shortNames.Replace(v)
}

// normal writes one of several spellings of a value.
func normal(key, value string) string {
	last := key[strings.LastIndexByte(key, '/')+1:]
	switch last {
	case "listen", "address", "haproxy_trusted_networks", "login_trusted_networks", "mail_access_groups", "extra_groups":
		return strings.Join(strings.FieldsFunc(value, func(c rune) bool { return c == ' ' || c == ',' }), " ")
	case "protocols":
		if value == "none" {
			return ""
		}
		return strings.Join(strings.Fields(value), " ")
	case "mail_plugins":
		return strings.Join(slices.DeleteFunc(strings.Fields(value), func(w string) bool { return gonePlugins[w] }), " ")
	case "imap_client_workarounds":
		return strings.Join(strings.Fields(value), " ")
	case "override_fields", "default_fields":
		return sortedList(normalTemplate(value), " ")
	case "mail_location", "location":
		return normalLocation(normalTemplate(value))
	}
	if strings.HasPrefix(key, "passdb/") || strings.HasPrefix(key, "userdb/") {
		if last == "args" && strings.HasPrefix(value, "blocking=") {
			return ""
		}
	}
	return normalTemplate(value)
}

// normalLocation puts the parts of a location in one order.
func normalLocation(v string) string {
	all, unknown := splitLocation(v)
	if unknown != "" {
		return v
	}
	return joinLocation(all)
}

// normalPlugin writes one of several spellings of plug-in settings.
func normalPlugin(all map[string]string) {
	if v, ok := all["plugin/sieve"]; ok && !strings.HasPrefix(v, "file:") {
		if path, active, why := scriptPath(v); why == "" && active == "" {
			dir := all["plugin/sieve_dir"]
			if dir == "" {
				dir = "~/sieve"
			}
			all["plugin/sieve"] = "file:" + dir + ";active=" + path
			delete(all, "plugin/sieve_dir")
		}
	}
	delete(all, "plugin/quota_vsizes")
	for key, v := range all {
		if strings.HasPrefix(key, "plugin/") && strings.HasPrefix(v, "file:") && !strings.Contains(v, ";") && key != "plugin/sieve" &&
			strings.HasPrefix(key, "plugin/sieve_") {
			all[key] = v[len("file:"):]
		}
	}
}

// flat24 gives what a configuration of 2.4 sets to something else than its
// default, by path.
func flat24(c *config.Config) map[string]string {
	var b bytes.Buffer
	_ = c.Print(&b, config.PrintOptions{Scope: config.NonDefault, Secrets: true})
	out := map[string]string{}
	lists := map[string][]string{}
	var at []config.Step
	for _, l := range conf.Parse("", b.String(), conf.V24).Lines {
		switch l.Kind {
		case conf.Open:
			at = append(at, config.Step{Kind: l.Key, Name: l.Name})
		case conf.Close:
			at = at[:max(0, len(at)-1)]
		case conf.Assign:
			flatLine(l, at, out, lists)
		}
	}
	for key, words := range lists {
		slices.Sort(words)
		words = slices.Compact(words)
		var usual []string
		for _, p := range config.ListDefault24(key) {
			usual = append(usual, p[0]+"="+p[1])
		}
		slices.Sort(usual)
		if !slices.Equal(words, usual) {
			out[key] = strings.Join(words, " ")
		}
	}
	return ofInbox(out)
}

// flatLine adds one line. A list is one value, however it is written.
func flatLine(l *conf.Line, at []config.Step, out map[string]string, lists map[string][]string) {
	path := ""
	var named []config.Step
	for i, s := range at {
		kind := full24(s.Kind, at[:i])
		switch t, ok := config.Kind24(kind); {
		case ok && t == config.Section:
		case ok && (t == config.Booleans || t == config.Strings):
			lists[path+kind] = append(lists[path+kind], l.Key+"="+l.Value)
			return
		default:
			path += kind + " " + s.Name + "/"
			named = append(named, s)
		}
	}
	name := full24(l.Key, at)
	kind, _ := config.Kind24(name)
	switch {
	case kind == config.Booleans:
		if lists[path+name] == nil {
			lists[path+name] = []string{}
		}
		for _, w := range listWords(l.Value) {
			lists[path+name] = append(lists[path+name], w+"=yes")
		}
	case strings.HasSuffix(name, "_version") && path == "", name == "auth_allow_weak_schemes": // always so in 2.3
	case len(named) == 0 && l.Value == config.Default24(name):
	default:
		out[path+name] = normal24(kind, l.Value)
	}
}

// normal24 writes one of several spellings of a number.
func normal24(kind config.Type, value string) string {
	switch kind {
	case config.Size:
		if n, err := conf.ParseSize(value, conf.V24); err == nil {
			return strconv.FormatUint(n, 10)
		}
	case config.Uint:
		if n, err := conf.ParseUint(value, conf.V24); err == nil {
			return strconv.FormatUint(uint64(n), 10)
		}
	case config.Time:
		if t, err := conf.ParseTime(value, conf.V24); err == nil {
			return t.String()
		}
	case config.TimeMs:
		if t, err := conf.ParseMsecs(value, conf.V24); err == nil {
			return t.String()
		}
	case config.Bool:
		if on, err := conf.ParseBool(value, conf.V24); err == nil {
			return yesNo(on)
		}
	}
	return value
}

// ofInbox makes mailboxes of the top level those of the namespace of the
// INBOX.
func ofInbox(all map[string]string) map[string]string {
	inbox, spaces := "namespace inbox/", false
	for key, v := range all {
		spaces = spaces || strings.HasPrefix(key, "namespace ")
		if at, ok := strings.CutSuffix(key, "namespace_inbox"); ok && isYes(v) {
			inbox = at
		}
	}
	out := map[string]string{}
	for key, v := range all {
		if strings.HasPrefix(key, "mailbox ") {
			key = inbox + key
			if !spaces {
				out[inbox+"namespace_inbox"] = "yes" // as without namespaces
			}
		}
		out[key] = v
	}
	return out
}

package convert

import (
	"strings"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
)

// downSection are the sections that 2.3 has in another form, by full name.
var downSection map[string]func(d *down, n *conf.Node)

func init() {
	downSection = map[string]func(d *down, n *conf.Node){
		"passdb": (*down).database, "userdb": (*down).database,
		"mysql": (*down).drop, "pgsql": (*down).drop,
		"namespace":      func(d *down, n *conf.Node) { d.walk(n.Children) },
		"mailbox":        (*down).mailbox,
		"metric":         (*down).metric,
		"quota":          (*down).quota,
		"sieve_script":   (*down).script,
		"imapsieve_from": func(d *down, n *conf.Node) { d.put(n); d.walk(n.Children); d.closing(n) },
		"mail_attribute": func(d *down, n *conf.Node) { d.dictionary(n, "mail_attribute_dict", false) },
		"last_login":     func(d *down, n *conf.Node) { d.dictionary(n, "last_login_dict", true) },
		"acl_sharing_map": func(d *down, n *conf.Node) {
			d.dictionary(n, "acl_shared_dict", true)
		},
		"dict_server":         (*down).dicts,
		"fts":                 func(d *down, n *conf.Node) { d.instead(n, d.inPlugin(true, d.assign("fts", n.Name))...) },
		"mail_ext_attachment": (*down).attachments,
		"quota_over_status": func(d *down, n *conf.Node) {
			d.instead(n, d.inPlugin(true, d.assign("quota_over_script", d.execute(n)))...)
		},
	}
}

func (d *down) closing(n *conf.Node) {
	if n.Close != nil {
		d.putLine(n.Close, n.Indent())
	}
}

// mailbox puts a mailbox of the top level into the namespace of the INBOX. Its
// quota and scripts are settings of plug-ins.
func (d *down) mailbox(n *conf.Node) {
	inside := strings.HasPrefix(within(n), "namespace")
	plain := false
	for _, c := range n.Children {
		name := d.resolve(c).name
		plain = plain || c.Kind == conf.Assign && !strings.HasPrefix(name, "quota_") && !strings.HasPrefix(name, "sieve_")
	}
	if inside || plain {
		for _, c := range n.Children {
			if c.Kind == conf.Open {
				d.loseSection(c, "a mailbox has no such sections")
				d.seeAll(c)
				d.seen[c.Line] = true
			}
		}
		if !inside {
			lines := []string{d.open("namespace", d.inbox)}
			if !d.spaces {
				lines = append(lines, "  inbox = yes")
				d.spaces = true
			}
			d.put(n, append(lines, d.open("mailbox", n.Name))...)
			if n.Close != nil {
				d.putLine(n.Close, n.Indent(), "}", "}")
			}
		}
		d.walk(n.Children)
		return
	}
	if limits := d.limits(n); limits != "" {
		d.instead(n, d.inPlugin(true, d.assign(numberedKey(d.rules, "quota_rule"), n.Name+":"+limits))...)
		return
	}
	d.put(n)
	d.walk(n.Children)
	d.closing(n)
}

// limits writes the quota settings of a section as those of a rule.
func (d *down) limits(n *conf.Node) string {
	var parts []string
	for _, c := range n.Children {
		if c.Kind != conf.Assign {
			continue
		}
		value := c.Value
		if value == "unlimited" {
			value = "0"
		}
		switch d.resolve(c).name {
		case "quota_ignore":
			if isYes(value) {
				parts = append(parts, "ignore")
			}
		case "quota_storage_size":
			parts = append(parts, bytesOrStorage(value, ""))
		case "quota_storage_extra":
			parts = append(parts, bytesOrStorage(value, "+"))
		case "quota_storage_percentage":
			if len(value) == 3 {
				value = "+" + strings.TrimLeft(value[1:], "0")
			}
			parts = append(parts, "storage="+value+"%%")
		case "quota_message_count":
			parts = append(parts, "messages="+value)
		}
	}
	return strings.Join(parts, ":")
}

// bytesOrStorage writes a size: plain numbers were kilobytes in 2.3.
func bytesOrStorage(value, sign string) string {
	if n, ok := strings.CutSuffix(value, " k"); ok {
		return "storage=" + sign + n
	}
	if n, ok := strings.CutSuffix(value, " B"); ok {
		return "bytes=" + sign + n
	}
	if strings.Trim(value, "0123456789") == "" && value != "0" {
		return "bytes=" + sign + value
	}
	return "storage=" + sign + value
}

// root gives the key of a quota root, quota, quota2 …, in the order of names.
func (d *down) root(name string) string {
	if d.roots == nil {
		d.roots = map[string]string{}
	}
	if _, ok := d.roots[name]; !ok {
		d.roots[name] = "quota"
		if n := len(d.roots); n > 1 {
			d.roots[name] += itoa(n)
		}
	}
	return d.roots[name]
}

// quota writes a root with its limits and warnings.
func (d *down) quota(n *conf.Node) {
	root := d.root(n.Name)
	var out []string
	m := map[string]string{}
	for _, c := range n.Children {
		if c.Kind == conf.Assign {
			m[d.resolve(c).name] = c.Value
		}
		if c.Kind == conf.Open && d.resolve(c).name == "quota_warning" || c.Kind == conf.Open && c.Key == "warning" {
			out = append(out, d.assign(numberedKey(d.warnings, root+"_warning"), d.warning(c)))
		}
	}
	if driver := m["quota_driver"]; driver != "" {
		options := ""
		for _, o := range [][3]string{{"quota_enforce", "no", ":noenforcing"}, {"quota_hidden", "yes", ":hidden"},
			{"quota_ignore_unlimited", "yes", ":ignoreunlimited"}} {
			if m[o[0]] == o[1] {
				options += o[2]
			}
		}
		if v := m["quota_fs_type"]; v != "" && v != "any" {
			options += ":" + v
		}
		if v := m["quota_fs_mount_path"]; v != "" {
			options += ":mount=" + v
		}
		value := driver + ":" + n.Name
		if n.Name == root {
			value = driver
		}
		if options != "" && n.Name == root {
			value += ":"
		}
		out = append(out, d.assign(root, value+options))
	}
	if l := d.limits(n); l != "" {
		out = append(out, d.assign(numberedKey(d.rules, root+"_rule"), "*:"+l))
	}
	if g := m["quota_storage_grace"]; g != "" {
		out = append(out, d.assign(root+"_grace", g))
	}
	d.instead(n, d.inPlugin(true, out...)...)
}

func (d *down) warning(n *conf.Node) string {
	value, sign, kind := "", "", "storage"
	for _, c := range n.Children {
		switch {
		case c.Kind != conf.Assign:
		case d.resolve(c).name == "quota_warning_threshold" && c.Value == "under":
			sign = "-"
		case d.resolve(c).name == "quota_warning_resource" && c.Value == "message":
			kind = "messages"
		case strings.HasSuffix(c.Key, "_percentage"):
			value = c.Value + "%%"
		case strings.HasSuffix(c.Key, "_size"), strings.HasSuffix(c.Key, "_count"):
			value = strings.TrimPrefix(bytesOrStorage(c.Value, ""), "storage=")
		}
	}
	return sign + kind + "=" + value + " " + d.execute(n)
}

// execute writes the service of a section and its arguments.
func (d *down) execute(n *conf.Node) string {
	for _, c := range n.Children {
		if c.Kind == conf.Open && c.Key == "execute" {
			args, _ := to23(text(sets(c), "args"), variable.InStorage)
			return strings.TrimSpace(c.Name + " " + args)
		}
	}
	return ""
}

// script writes sieve, sieve_before2 and their like, or the scripts of
// imapsieve.
func (d *down) script(n *conf.Node) {
	m := map[string]string{}
	for _, c := range n.Children {
		if c.Kind == conf.Assign {
			m[d.resolve(c).name] = c.Value
		}
	}
	kind := m["sieve_script_type"]
	path, losses := to23(m["sieve_script_path"], variable.InStorage)
	active, more := to23(m["sieve_script_active_path"], variable.InStorage)
	if len(losses)+len(more) > 0 || m["sieve_script_driver"] != "" && m["sieve_script_driver"] != "file" {
		d.loseSection(n, "no such script can be named")
		d.seeAll(n)
		return
	}
	mailbox, from := outer(n, "mailbox"), outer(n, "imapsieve_from")
	_, cause := m["sieve_script_cause"]
	switch {
	case mailbox != nil || from != nil || cause || strings.HasPrefix(n.Name, "imapsieve"):
		d.imapSieve(n, mailbox, from, kind, path, m["sieve_script_cause"])
	case kind == "" || kind == "personal":
		value := "file:" + path
		if active != "" {
			value += ";active=" + active
		}
		d.instead(n, d.inPlugin(true, d.assign("sieve", value))...)
	default:
		number := strings.TrimPrefix(n.Name, kind)
		if number == n.Name || strings.Trim(number, "0123456789") != "" {
			d.scripts++
			number = itoa(d.scripts)
			if d.scripts == 1 {
				number = ""
			}
		}
		d.instead(n, d.inPlugin(true, d.assign("sieve_"+kind+number, path))...)
	}
}

func (d *down) imapSieve(n, mailbox, from *conf.Node, kind, path, causes string) {
	d.imapScripts++
	key := "imapsieve_mailbox" + itoa(d.imapScripts) + "_"
	if number, ok := strings.CutPrefix(strings.TrimSuffix(n.Name, "-"+kind), "imapsieve"); ok && number != "" {
		key = "imapsieve_mailbox" + number + "_"
	}
	name := "*"
	if mailbox != nil {
		name = mailbox.Name
	}
	out := []string{d.assign(key+"name", name)}
	if from != nil {
		out = append(out, d.assign(key+"from", from.Name))
	}
	if causes != "" {
		out = append(out, d.assign(key+"causes", strings.ToUpper(strings.Join(listWords(causes), " "))))
	}
	out = append(out, d.assign(key+kind, "file:"+path))
	d.instead(n, d.inPlugin(true, out...)...)
}

// uri writes the dictionary in a section as an address.
func (d *down) uri(n *conf.Node) string {
	m := sets(n)
	driver := text(m, "driver")
	if driver == "" {
		driver = n.Name
	}
	get := func(key string) string {
		for _, k := range []string{key, driver + "_" + key, "dict_" + driver + "_" + key} {
			if v := text(m, k); v != "" {
				return v
			}
		}
		return ""
	}
	switch driver {
	case "file":
		path, losses := to23(get("path"), variable.InStorage)
		if len(losses) == 0 {
			return "file:" + path
		}
	case "proxy":
		return "proxy:" + get("socket_path") + ":" + get("name")
	case "fail":
		return "fail:"
	}
	return ""
}

// dictionary writes a section with a dictionary as one setting.
func (d *down) dictionary(n *conf.Node, key string, plugin bool) {
	for _, c := range n.Children {
		if c.Kind == conf.Open && c.Key == "dict" {
			if uri := d.uri(c); uri != "" && len(n.Children) == 1 {
				d.instead(n, d.inPlugin(plugin, d.assign(key, uri))...)
				return
			}
		}
	}
	d.loseSection(n, "no address of a dictionary says this")
	d.seeAll(n)
}

func (d *down) dicts(n *conf.Node) {
	d.put(n, "dict {")
	for _, c := range n.Children {
		d.seen[c.Line] = true
		if c.Kind != conf.Open {
			continue
		}
		uri := d.uri(c)
		if uri == "" {
			d.loseSection(c, "no address of a dictionary says this")
			d.seeAll(c)
			continue
		}
		d.instead(c, d.assign(c.Name, uri))
	}
}

func (d *down) attachments(n *conf.Node) {
	var words []string
	for _, c := range n.Children {
		if c.Kind == conf.Open && c.Key == "fs" {
			words = append(words, c.Name)
		}
	}
	d.instead(n, d.assign("mail_attachment_fs", strings.Join(words, " ")))
}

// numberedKey gives KEY, KEY2, KEY3 …
func numberedKey(used map[string]int, key string) string {
	used[key]++
	if n := used[key]; n > 1 {
		return key + itoa(n)
	}
	return key
}

// workers writes the limit of the workers, if the section says nothing else, as
// the setting that it was in 2.3.
func (d *down) workers(n *conf.Node) {
	if len(n.Children) != 1 {
		return
	}
	if c := n.Children[0]; c.Kind == conf.Assign && d.resolve(c).name == "service_process_limit" {
		d.instead(n, d.assign("auth_worker_max_count", c.Value))
	}
}

// metric writes the fields that a metric is counted by in one setting.
func (d *down) metric(n *conf.Node) {
	var words []string
	for _, c := range n.Children {
		if c.Kind == conf.Open && c.Key == "group_by" {
			words = append(words, c.Name)
		}
	}
	for _, c := range n.Children {
		if c.Kind != conf.Open || c.Key != "group_by" {
			continue
		}
		if !empty(c) {
			d.part(c, c.Key+" "+c.Name, "how it is counted has another form")
		}
		if len(words) > 0 {
			d.instead(c, "group_by = "+strings.Join(words, " "))
			words = nil
		} else {
			d.drop(c)
		}
	}
	d.walk(n.Children)
}

package convert

import (
	"strings"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
)

// translation is what one setting becomes.
type translation struct {
	lines []string
	lost  string      // why nothing can be written
	parts [][2]string // what was left out, and why
}

func lines(all ...string) translation { return translation{lines: all} }
func lost(why string) translation     { return translation{lost: why} }

// setting is one assignment in its context.
type setting struct {
	key, value string
	form       conf.Form
	in         string     // the kinds of the sections around: service/inet_listener
	node       *conf.Node // nil for settings that are written out
}

func (u *up) assignment(n *conf.Node) {
	s := setting{n.Key, n.Value, n.Form, within(n), n}
	open, key := "", n.Key
	if strings.Contains(key, "/") {
		if s, open = u.path(s); open == "" && s.in != "plugin" {
			u.lose(n, "no such setting")
			return
		}
	}
	t := u.translate(s)
	if t.lost != "" {
		u.lose(n, t.lost)
		return
	}
	for _, p := range t.parts {
		u.part(n, p[0], p[1])
	}
	for kind, name := range reverse(open) {
		t.lines = section(u.writer.open(kind, name), t.lines...)
	}
	if len(t.lines) == 1 && t.lines[0] == n.Key+" = "+n.Written() {
		if u.indent(n) == n.Indent() {
			return
		}
	}
	u.put(n, t.lines...)
}

// path takes the sections from a key that is a path: service/imap/user.
func (u *up) path(s setting) (setting, string) {
	if rest, ok := strings.CutPrefix(s.key, "plugin/"); ok {
		s.key, s.in = rest, "plugin"
		return s, ""
	}
	parts := strings.Split(s.key, "/")
	if len(parts)%2 == 0 {
		return s, ""
	}
	s.key = parts[len(parts)-1]
	open := strings.Join(parts[:len(parts)-1], "/")
	for i := 0; i < len(parts)-1; i += 2 {
		s.in = strings.TrimPrefix(s.in+"/"+parts[i], "/")
	}
	return s, open
}

// reverse gives the kinds and names of a path from the innermost section.
func reverse(path string) func(func(kind, name string) bool) {
	return func(yield func(kind, name string) bool) {
		parts := strings.Split(path, "/")
		for i := len(parts) - 2; i >= 0; i -= 2 {
			if !yield(parts[i], parts[i+1]) {
				return
			}
		}
	}
}

// translate gives the lines for a setting of any context.
func (u *up) translate(s setting) translation {
	if s.in == "plugin" {
		return u.plugin(s)
	}
	full := strings.TrimPrefix(s.in+"/"+s.key, "/")
	if special := upSpecial[full]; special != nil {
		return special(u, s)
	}
	row := rows().by23[full]
	if row == nil {
		return u.statistics(s)
	}
	name := plainName(row.Name24)
	if name == "" {
		if v, err := row.Canonical(s.value, conf.V23); err == nil && v == row.Default23 {
			return translation{} // nothing is lost with a default
		}
		return lost(why(row))
	}
	return u.plain(s, row, name)
}

// why says why a row has no counterpart.
func why(row *config.Setting) string {
	if row.Name24 == "" || strings.HasPrefix(row.Name24, "(removed") {
		return "there is no such setting any more"
	}
	return "it is now " + strings.Trim(row.Name24, "()")
}

// shorten takes what the section around says already from a full name.
func shorten(name, in string) string {
	kind := in[strings.LastIndexByte(in, '/')+1:]
	if short, ok := strings.CutPrefix(name, kind+"_"); ok && kind != "" {
		return short
	}
	return name
}

// plain translates a setting that is one in 2.4 too.
func (u *up) plain(s setting, row *config.Setting, name string) translation {
	kind, _ := config.Kind24(name)
	key := shorten(name, s.in)
	switch s.form {
	case conf.FromFile:
		if kind == config.File {
			return lines(u.assign(key, s.value))
		}
		return lines(key + " = <" + s.value)
	case conf.Reference:
		return u.reference(s, key, kind)
	}
	switch kind {
	case config.File:
		if s.value == "" || name == "ssl_client_ca_file" {
			return lines(u.assign(key, s.value))
		}
		return lines(u.assign(key, "inline:"+s.value))
	case config.Booleans:
		return lines(u.booleans(key, s.value)...)
	case config.Strings:
		return u.strings(s, row, key)
	case config.Bool, config.Uint, config.Size, config.Time, config.TimeMs, config.Octal, config.Port:
		return lines(u.assign(key, number(row, name, s.value)))
	}
	value, losses := u.template(s, row)
	if len(losses) > 0 {
		return lost(losses[0].Text + ": " + losses[0].Why)
	}
	return lines(u.assign(key, value))
}

// unlimited are the settings whose 0 meant that there is no limit.
var unlimited = map[string]bool{"last_valid_gid": true, "last_valid_uid": true, "imapc_max_line_length": true,
	"lmtp_user_concurrency_limit": true, "mail_sort_max_read_count": true, "mail_vsize_bg_after_count": true,
	"submission_max_mail_size": true, "submission_max_recipients": true, "service_restart_request_count": true,
	"service_vsz_limit": true, "default_vsz_limit": true, "sieve_quota_script_count": true,
	"sieve_quota_storage_size": true, "quota_mail_size": true, "quota_mailbox_count": true,
	"quota_mailbox_message_count": true, "fts_message_max_size": true}

// number writes a number, or a yes or no, as 2.4 reads it.
func number(row *config.Setting, name, value string) string {
	zero := value == "0"
	if v, err := row.Canonical(value, conf.V23); err == nil {
		zero = zero || v == "0"
		if row.Type == config.Time && v == "4294967295 secs" {
			return "infinite"
		}
		if row.Type == config.Size && v == "18446744073709551615 B" {
			if name == "service_vsz_limit" {
				return "0" // the default of all services
			}
			return "unlimited"
		}
	}
	if zero && unlimited[name] {
		return "unlimited"
	}
	return value
}

// booleans writes a list of words. "+word" of some lists adds to what there is.
func (u *up) booleans(key, value string) []string {
	words := strings.FieldsFunc(value, func(c rune) bool { return c == ' ' || c == ',' || c == '\t' })
	if key == "mail_attachment_detection_options" {
		words = strings.Fields(value)
	}
	if key == "mail_plugins" {
		words = plugins(words)
	}
	if len(words) == 0 || words[0][0] != '+' && words[0][0] != '-' {
		return []string{u.assign(key, strings.Join(words, " "))}
	}
	var items []string
	for _, w := range words {
		on := "yes"
		if w[0] == '-' {
			on = "no"
		}
		items = append(items, quoteKey(strings.TrimLeft(w, "+-"))+" = "+on)
	}
	return section(key+" {", items...)
}

func quoteKey(key string) string {
	if strings.ContainsAny(key, " \"\\#=") {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
	}
	return key
}

// strings writes a list of names with values.
func (u *up) strings(s setting, row *config.Setting, key string) translation {
	var items []string
	words := strings.Fields(s.value)
	switch key {
	case "imap_id_send": // pairs; "*" is what the program would say
		for i := 0; i+1 < len(words); i += 2 {
			v := words[i+1]
			if v == "*" {
				v = idValues[words[i]]
			}
			if v != "" {
				items = append(items, u.assign(words[i], v))
			}
		}
	default:
		for _, w := range words {
			k, v, ok := strings.Cut(w, "=")
			if !ok && key == "import_environment" {
				v = "%{env:" + k + "}"
			} else if to, losses := variable.To24(v, variable.InAuth); len(losses) == 0 {
				v = to
			}
			items = append(items, u.assign(quoteKey(k), v))
		}
	}
	if len(items) == 0 {
		return lines(key + " =")
	}
	return lines(section(key+" {", items...)...)
}

// reference translates a value with $names.
func (u *up) reference(s setting, key string, kind config.Type) translation {
	self, var1 := false, []string{}
	for _, w := range strings.Fields(s.value) {
		name, ok := strings.CutPrefix(w, "$")
		switch {
		case !ok || strings.HasPrefix(w, "$ENV:"):
		case name == s.key:
			self = true
			continue
		case kind == config.Booleans:
			return lost("a list cannot refer to " + w)
		default:
			if row := rows().by23[name]; row != nil && plainName(row.Name24) != "" {
				w = "$SET:" + plainName(row.Name24)
			} else {
				return lost("there is no " + w)
			}
		}
		var1 = append(var1, w)
	}
	if !self {
		return lines(key + " = " + strings.Join(var1, " "))
	}
	if kind != config.Booleans {
		return lines(key + " = $SET:" + key + " " + strings.Join(var1, " "))
	}
	var items []string
	if key == "mail_plugins" {
		var1 = plugins(var1)
	}
	for _, w := range var1 {
		items = append(items, quoteKey(strings.TrimRight(w, ","))+" = yes")
	}
	if len(items) == 0 {
		return translation{}
	}
	return lines(section(key+" {", items...)...)
}

// idValues are what "*" stands for in imap_id_send.
var idValues = map[string]string{"name": "Dovecot", "version": "%{dovecot:version}", "os": "%{system:os}",
	"os-version": "%{system:os-version}"}

// gonePlugins are those that 2.4 does not have, or has always; it refuses to
// start with them.
var gonePlugins = map[string]bool{"replication": true, "imap_zlib": true, "listescape": true, "old_stats": true,
	"imap_old_stats": true, "stats": true, "imap_stats": true, "autocreate": true, "expire": true, "fts_lucene": true,
	"fts_squat": true, "mailbox_alias": true, "snarf": true}

// plugins gives the names of plug-ins as 2.4 has them.
func plugins(words []string) []string {
	var out []string
	for _, w := range words {
		switch name := strings.TrimRight(w, ","); {
		case name == "zlib":
			out = append(out, "mail_compress")
		case !gonePlugins[name]:
			out = append(out, name)
		}
	}
	return out
}

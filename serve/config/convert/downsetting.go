package convert

import (
	"slices"
	"strings"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
)

func (d *down) assignment(n *conf.Node) {
	it := d.resolve(n)
	switch {
	case strings.HasPrefix(n.Key, "@"):
		d.lose(n, "there are no groups")
	case it.name == "dovecot_config_version", it.name == "dovecot_storage_version":
		d.put(n)
	case isLocation(it.name):
		d.location(n, it)
	case it.key != "":
		d.lose(n, "an item of a list cannot be set alone")
	case strings.HasPrefix(it.name, "sql_"), strings.HasPrefix(it.name, "ldap_"), strings.HasPrefix(it.name, "sqlite_"):
		d.put(n) // in the external files
	default:
		d.setting(n, it)
	}
}

// setting translates one that stands alone.
func (d *down) setting(n *conf.Node, it item) {
	if special := downSpecial[it.name]; special != nil {
		lines, why := special(d, n)
		if why != "" {
			d.lose(n, why)
			return
		}
		d.put(n, lines...)
		return
	}
	key, plugin := d.name23(it.name)
	if to := statistics23[it.name]; to != "" {
		key = to
	}
	if key == "" {
		if same24(it.name, n.Value) {
			d.put(n)
			return
		}
		d.lose(n, "there is no such setting")
		return
	}
	open := ""
	if at := strings.LastIndexByte(n.Key, '/'); at > 0 && !plugin {
		open = n.Key[:at]
	}
	row := rows().by23[key]
	key = key[strings.LastIndexByte(key, '/')+1:]
	line, why := d.line(n, it, key, row, plugin)
	if why != "" {
		d.lose(n, why)
		return
	}
	out := []string{line}
	for kind, name := range reverse(open) {
		out = section(d.open(kind, name), out...)
	}
	out = d.inPlugin(plugin, out...)
	if len(out) == 1 && n.Key == key && !n.KeyQuoted && out[0] == key+" = "+n.Written() {
		return
	}
	d.put(n, out...)
}

// same24 tells whether a value is the default.
func same24(name, value string) bool {
	if kind, _ := config.Kind24(name); kind == config.Booleans {
		var words []string
		for _, p := range config.ListDefault24(name) {
			words = append(words, p[0])
		}
		return strings.Join(words, " ") == strings.Join(strings.Fields(value), " ")
	}
	return config.Default24(name) == value
}

// line writes "key = value" with the value as 2.3 reads it.
func (d *down) line(n *conf.Node, it item, key string, row *config.Setting, plugin bool) (line, why string) {
	kind, _ := config.Kind24(it.name)
	value := n.Value
	switch {
	case n.Form == conf.FromFile:
		return key + " = <" + value, ""
	case n.Form == conf.Reference && (strings.Contains(value, "$SET:") || strings.Contains(value, "$ENV:")):
		return d.reference(n, key)
	case kind == config.File:
		if inline, ok := strings.CutPrefix(value, "inline:"); ok || value == "" || row == nil || key == "ssl_client_ca_file" {
			return d.assign(key, inline+strings.TrimPrefix(value, "inline:")[len(inline):]), ""
		}
		return key + " = <" + value, ""
	case it.name == "mail_plugins":
		return d.assign(key, strings.Join(d.plugins(listWords(value)), " ")), ""
	case kind == config.Booleans:
		return d.assign(key, strings.Join(listWords(value), " ")), ""
	case value == "0" && unlimited[it.name] && !strings.HasSuffix(it.name, "vsz_limit"):
		return "", "0 means no limit there"
	case value == "unlimited" && (kind == config.Uint || kind == config.Size):
		if !unlimited[it.name] {
			return d.assign(key, map[config.Type]string{config.Uint: "4294967295", config.Size: "18446744073709551615 B"}[kind]), ""
		}
		return key + " = 0", ""
	case (value == "infinite" || value == "unlimited") && (kind == config.Time || kind == config.TimeMs):
		return key + " = 4294967295 secs", ""
	case kind == config.String || kind == config.Plain:
		text, losses := d.template(it, key, row, value, plugin)
		if len(losses) > 0 {
			return "", losses[0].Text + ": " + losses[0].Why
		}
		value = text
	}
	return d.assign(key, value), ""
}

func listWords(s string) []string {
	return strings.FieldsFunc(s, func(c rune) bool { return c == ' ' || c == ',' || c == '\t' })
}

// template writes the variables of a value as 2.3 has them.
func (d *down) template(it item, key string, row *config.Setting, value string, plugin bool) (string, []Loss) {
	switch key {
	case "rejection_reason", "rejection_subject":
		for _, r := range rejection {
			value = strings.ReplaceAll(value, r[1], r[0])
		}
		return value, nil
	case "log_timestamp", "mail_attachment_hash":
		return value, nil
	case "dsync_remote_cmd":
		return strings.ReplaceAll(value, "%{user}", "%u"), nil
	}
	p, ok := places[key]
	switch {
	case ok:
	case plugin:
		p = variable.InStorage
	case row == nil:
		return value, nil
	case len(it.at) > 0 && (it.at[0].Kind == "passdb" || it.at[0].Kind == "userdb"):
		p = variable.InAuth
	case it.name == "namespace_prefix" && d.shared(it):
		p = variable.InSharedPrefix
	case row.Type != config.Vars:
		return strings.ReplaceAll(value, "%%{", "%{"), nil
	default:
		p = variable.InStorage
	}
	return to23(value, p)
}

// shared tells whether an item stands in a shared namespace.
func (d *down) shared(it item) bool {
	for _, o := range d.all {
		if o.name == "namespace_type" && o.node.Value == "shared" && len(it.at) > 0 && len(o.at) > 0 &&
			strings.EqualFold(o.at[len(o.at)-1].Name, it.at[len(it.at)-1].Name) {
			return true
		}
	}
	return false
}

// reference writes $SET:name as $name.
func (d *down) reference(n *conf.Node, key string) (line, why string) {
	words := strings.Fields(n.Value)
	for i, w := range words {
		name, ok := strings.CutPrefix(w, "$SET:")
		if !ok {
			continue
		}
		to, plugin := d.name23(name)
		if to == "" || plugin || strings.Contains(to, "/") {
			return "", "there is no " + w
		}
		words[i] = "$" + to
	}
	return key + " = " + strings.Join(words, " "), ""
}

// downSpecial are the settings that do not only have another name, by full
// name of 2.4.
var downSpecial map[string]func(d *down, n *conf.Node) (lines []string, why string)

func init() {
	downSpecial = map[string]func(d *down, n *conf.Node) ([]string, string){
		"auth_allow_cleartext":          oneOf("disable_plaintext_auth", "no", "yes"),
		"ssl_server_prefer_ciphers":     oneOf("ssl_prefer_server_ciphers", "server", ""),
		"ssl_server_ca_file":            fromFile("ssl_ca"),
		"log_debug":                     logDebug,
		"service_restart_request_count": count,
		"auth_allow_weak_schemes":       weak,
		"dict_name":                     nothing,
		"fs_driver":                     nothing,
		"ssl_server_request_client_cert": func(d *down, n *conf.Node) ([]string, string) {
			return []string{d.assign("ssl_verify_client_cert", yesNo(n.Value != "no"))}, ""
		},
		"protocols": func(d *down, n *conf.Node) ([]string, string) {
			if len(listWords(n.Value)) == 0 {
				return []string{"protocols = none"}, ""
			}
			return []string{"protocols = " + strings.Join(listWords(n.Value), " ")}, ""
		},
		"listen": func(d *down, n *conf.Node) ([]string, string) {
			if n.Parent.Kind == conf.Open && n.Parent.Key == "inet_listener" {
				return []string{d.assign("address", strings.Join(listWords(n.Value), " "))}, ""
			}
			return []string{d.assign("listen", strings.Join(listWords(n.Value), ", "))}, ""
		},
		"unix_listener_type": listenerType, "fifo_listener_type": listenerType, "inet_listener_type": listenerType,
		"mail_attachment_detection_options": func(d *down, n *conf.Node) ([]string, string) {
			return []string{d.assign(n.Key, strings.Join(strings.Fields(n.Value), " "))}, ""
		},
		"service_vsz_limit": func(d *down, n *conf.Node) ([]string, string) {
			value := n.Value
			switch value {
			case "0":
				value = "18446744073709551615 B"
			case "unlimited":
				value = "0"
			}
			return []string{d.assign("vsz_limit", value)}, ""
		},
		"http_client_request_absolute_timeout": policyTimeout, "http_client_request_timeout": policyTimeout,
		"http_client_rawlog_dir": func(d *down, n *conf.Node) ([]string, string) {
			switch n.Parent.Key {
			case "stats_server", "doveadm_server":
				return []string{d.assign(strings.TrimSuffix(n.Parent.Key, "_server")+"_http_rawlog_dir", n.Value)}, ""
			}
			return nil, "there is no such setting"
		},
		"mail_compress_write_method": inPlugin("zlib_save"), "compress_gz_level": inPlugin("zlib_save_level"),
		"compress_deflate_level": inPlugin("zlib_save_level"), "compress_zstd_level": inPlugin("zlib_save_level"),
		"compress_bz2_block_size_100k": inPlugin("zlib_save_level"), "acl_driver": inPlugin("acl"),
		"imap_acl_allow_anyone": func(d *down, n *conf.Node) ([]string, string) {
			if !isYes(n.Value) {
				return nil, ""
			}
			return d.inPlugin(true, "acl_anyone = allow"), ""
		},
		"sieve_vacation_check_recipient": func(d *down, n *conf.Node) ([]string, string) {
			return d.inPlugin(true, "sieve_vacation_dont_check_recipient = "+yesNo(!isYes(n.Value))), ""
		},
		"quota_storage_size": rule("storage="), "quota_message_count": rule("messages="),
	}
}

func inPlugin(key string) func(*down, *conf.Node) ([]string, string) {
	return func(d *down, n *conf.Node) ([]string, string) { return d.inPlugin(true, d.assign(key, n.Value)), "" }
}

// rule writes a limit of the top level, which is that of every root.
func rule(kind string) func(*down, *conf.Node) ([]string, string) {
	return func(d *down, n *conf.Node) ([]string, string) {
		if n.Value == "unlimited" {
			return d.inPlugin(true, "quota_rule = *:"+kind+"0"), ""
		}
		return d.inPlugin(true, d.assign("quota_rule", "*:"+kind+n.Value)), ""
	}
}

func nothing(*down, *conf.Node) ([]string, string) { return nil, "" }

func oneOf(key, on, inverse string) func(*down, *conf.Node) ([]string, string) {
	return func(d *down, n *conf.Node) ([]string, string) {
		if inverse != "" {
			return []string{key + " = " + yesNo(!isYes(n.Value))}, ""
		}
		return []string{key + " = " + yesNo(n.Value == on)}, ""
	}
}

func fromFile(key string) func(*down, *conf.Node) ([]string, string) {
	return func(d *down, n *conf.Node) ([]string, string) {
		if text, ok := strings.CutPrefix(n.Value, "inline:"); ok || n.Value == "" {
			return []string{d.assign(key, text)}, ""
		}
		return []string{key + " = <" + n.Value}, ""
	}
}

func logDebug(d *down, n *conf.Node) ([]string, string) {
	var out []string
	for w := range strings.FieldsSeq(n.Value) {
		switch w {
		case "category=ssl":
			out = append(out, "verbose_ssl = yes")
		case "category=auth":
			out = append(out, "auth_debug = yes")
		case "category=mail":
			out = append(out, "mail_debug = yes")
		default:
			return []string{d.assign("log_debug", n.Value)}, ""
		}
	}
	return out, ""
}

func count(d *down, n *conf.Node) ([]string, string) {
	value := n.Value
	switch value {
	case "unlimited":
		value = "0"
	case "0":
		return nil, "0 means no limit there"
	}
	return []string{d.assign("service_count", value)}, ""
}

// weak schemes are always allowed in 2.3.
func weak(d *down, n *conf.Node) ([]string, string) {
	if isYes(n.Value) {
		return nil, ""
	}
	return nil, "weak schemes of passwords are always allowed"
}

// listenerType can only be said by the end of a name in 2.3.
func listenerType(d *down, n *conf.Node) ([]string, string) {
	name := n.Parent.Name
	if n.Value == "" || n.Value == "auth" || strings.HasSuffix(name, "-"+n.Value) || name == n.Value ||
		slices.Contains([]string{"tcp", "imap", "imaps", "login"}, n.Value) && strings.HasSuffix(name, n.Value) {
		return nil, ""
	}
	return nil, "the type of a listener is the end of its name"
}

// statistics23 are the settings of sections that the table does not have.
var statistics23 = map[string]string{
	"metric_filter": "metric/filter", "metric_exporter": "metric/exporter", "metric_description": "metric/description",
	"metric_fields": "metric/fields", "metric_exporter_include": "metric/exporter_include",
	"event_exporter_driver": "event_exporter/transport", "event_exporter_format": "event_exporter/format",
	"event_exporter_file_path": "event_exporter/transport_args", "event_exporter_unix_path": "event_exporter/transport_args",
	"event_exporter_http_post_url": "event_exporter/transport_args",
}

// plugins writes the names of plug-ins as 2.3 has them.
func (d *down) plugins(words []string) []string {
	for i, w := range words {
		if w == "mail_compress" {
			words[i] = "zlib"
		}
	}
	return words
}

// policyTimeout is of the policy server alone: 2.3 has no setting for others.
func policyTimeout(d *down, n *conf.Node) ([]string, string) {
	ms, err := conf.ParseMsecs(n.Value, conf.V24)
	if err != nil || n.Parent.Key != "auth_policy" {
		return nil, "there is no such setting"
	}
	return []string{d.assign("auth_policy_server_timeout_msecs", itoa(int(ms.Milliseconds())))}, ""
}

package convert

import (
	"strings"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
)

// upSpecial are the settings that do not only get another name, by full name
// of 2.3.
var upSpecial map[string]func(u *up, s setting) translation

func init() {
	upSpecial = map[string]func(u *up, s setting) translation{
		"disable_plaintext_auth":    inverted("auth_allow_cleartext"),
		"ssl_prefer_server_ciphers": chosen("ssl_server_prefer_ciphers", "server", "client"),
		"ssl_verify_client_cert":    chosen("ssl_server_request_client_cert", "yes", "no"),
		"ssl_ca":                    (*up).certificates,
		"verbose_ssl":               (*up).verboseTLS,
		"protocols":                 (*up).protocols,
		"mail_plugins":              (*up).mailPlugins,
		"mail_location":             (*up).location,
		"namespace/location":        (*up).location,
		"namespace/mail":            (*up).location,
		"namespace/mail_location":   (*up).location,
		"namespace/mailbox/driver":  renamed("mail_driver"),
		"auth_worker_max_count":     (*up).workers,
		"mail_attribute_dict":       (*up).attributes,
		"mail_attachment_fs":        (*up).attachments,
		"service/service_count":     (*up).serviceCount,
		"service/inet_listener/address": func(u *up, s setting) translation {
			return lines(u.booleans("listen", s.value)...)
		},
		"service/inet_listener/reuse_port": func(u *up, s setting) translation {
			if isYes(s.value) {
				return lost("it is a setting of the whole service: reuse_port")
			}
			return translation{}
		},
		"auth_policy_server_timeout_msecs": func(u *up, s setting) translation {
			return lines(section("auth_policy {", u.assign("http_client_request_absolute_timeout", s.value+" ms"))...)
		},
		"stats_http_rawlog_dir":   rawlog("stats_server"),
		"doveadm_http_rawlog_dir": rawlog("doveadm_server"),
		"imapc_ssl_verify":        renamed("ssl_client_require_valid_cert"),
		"passdb/pass":             (*up).pass,
		"passdb/name":             func(*up, setting) translation { return translation{} },
		"userdb/name":             func(*up, setting) translation { return translation{} },
		"passdb/auth_verbose":     (*up).verbose,
		"userdb/auth_verbose":     (*up).verbose,
	}
}

func renamed(name string) func(*up, setting) translation {
	return func(u *up, s setting) translation { return lines(u.assign(name, s.value)) }
}

func chosen(name, yes, no string) func(*up, setting) translation {
	return func(u *up, s setting) translation {
		if isYes(s.value) {
			return lines(u.assign(name, yes))
		}
		return lines(u.assign(name, no))
	}
}

func inverted(name string) func(*up, setting) translation { return chosen(name, "no", "yes") }

func rawlog(section24 string) func(*up, setting) translation {
	return func(u *up, s setting) translation {
		return lines(section(section24+" {", u.assign("http_client_rawlog_dir", s.value))...)
	}
}

// certificates of authorities served both sides in 2.3, unless a client's own
// file is set.
func (u *up) certificates(s setting) translation {
	value := s.value
	if s.form != conf.FromFile && value != "" {
		value = "inline:" + value
	}
	return lines(u.assign("ssl_server_ca_file", value))
}

func (u *up) verboseTLS(s setting) translation {
	if isYes(s.value) {
		return lines("log_debug = category=ssl")
	}
	return translation{}
}

func (u *up) protocols(s setting) translation {
	if s.value == "none" {
		return lines("protocols =")
	}
	if s.form == conf.Reference {
		return u.reference(s, s.key, config.Booleans)
	}
	return lines(u.booleans(s.key, s.value)...)
}

func (u *up) workers(s setting) translation {
	return lines(section("service auth-worker {", u.assign("process_limit", s.value))...)
}

func (u *up) serviceCount(s setting) translation {
	value := s.value
	if value == "0" {
		value = "unlimited"
	}
	return lines(u.assign("restart_request_count", value))
}

func (u *up) attributes(s setting) translation {
	if s.value == "" {
		return translation{}
	}
	return u.dictionary("mail_attribute {", s.value)
}

// dictionary writes a dictionary's address as a section inside another.
func (u *up) dictionary(open, uri string) translation {
	inner, err := u.dict(uri)
	if err != "" {
		return lost(err)
	}
	return lines(section(open, inner...)...)
}

// dict writes file:PATH, fs:..., proxy:SOCKET:NAME as a section.
func (u *up) dict(uri string) (section24 []string, why string) {
	driver, rest, _ := strings.Cut(uri, ":")
	switch driver {
	case "file":
		path, losses := to24(rest, variable.InStorage)
		if len(losses) > 0 {
			return nil, losses[0].Why
		}
		return section("dict file {", u.assign("path", path)), ""
	case "proxy":
		socket, name, _ := strings.Cut(rest, ":")
		inner := []string{u.assign("name", name)}
		if socket != "" {
			inner = append(inner, u.assign("socket_path", socket))
		}
		return section("dict proxy {", inner...), ""
	case "fail":
		return section("dict fail {"), ""
	}
	return nil, "dictionaries of the kind " + driver + " have settings of their own now"
}

// attachments writes a chain of file systems.
func (u *up) attachments(s setting) translation {
	var inner []string
	for _, w := range strings.Fields(s.value) {
		if strings.ContainsAny(w, ":=") {
			return lost("file systems with arguments have settings of their own now")
		}
		inner = append(inner, section(u.writer.open("fs", w))...)
	}
	return lines(section("mail_ext_attachment {", inner...)...)
}

func (u *up) pass(s setting) translation {
	if isYes(s.value) {
		return lines("result_success = continue")
	}
	return translation{}
}

func (u *up) verbose(s setting) translation {
	if s.value == "default" {
		return translation{}
	}
	return lines(u.assign("auth_verbose", s.value))
}

// statistics translates settings of sections that the table does not have.
func (u *up) statistics(s setting) translation {
	full := s.in + "/" + s.key
	switch full {
	case "metric/name":
		return translation{}
	case "metric/fields", "metric/exporter_include":
		return lines(u.booleans(s.key, s.value)...)
	case "metric/metric_name", "event_exporter/name":
		return translation{}
	case "metric/group_by":
		return u.groups(s)
	case "metric/filter", "metric/exporter", "metric/description":
		return lines(u.assign(s.key, s.value))
	case "event_exporter/format":
		return lines(u.assign("format", s.value))
	case "event_exporter/transport":
		return lines(u.assign("driver", s.value))
	case "event_exporter/transport_args":
		return u.transport(s)
	case "event_exporter/format_args":
		return lines(u.assign("time_format", strings.TrimPrefix(s.value, "time-")))
	}
	return lost("there is no such setting")
}

func (u *up) transport(s setting) translation {
	kind := ""
	if n := outer(s.node, "event_exporter"); n != nil {
		kind = text(sets(n), "transport")
	}
	switch kind {
	case "file", "unix":
		return lines(u.assign(kind+"_path", s.value))
	case "http-post":
		return lines(u.assign("http_post_url", s.value))
	}
	return lost("a transport " + kind + " takes no argument")
}

// groups writes the fields that a metric is counted by.
func (u *up) groups(s setting) translation {
	var all []string
	for _, w := range strings.Fields(s.value) {
		field, how, more := strings.Cut(w, ":")
		if more && how != "discrete" {
			return lost("group_by " + w + " is a section with settings of its own now")
		}
		all = append(all, section("group_by "+field+" {")...)
	}
	return lines(all...)
}

// mailPlugins tells which plug-ins are lost, of those that did something.
func (u *up) mailPlugins(s setting) translation {
	t := lines(u.booleans(s.key, s.value)...)
	if s.form == conf.Reference {
		t = u.reference(s, s.key, config.Booleans)
	}
	for _, w := range listWords(s.value) {
		if gonePlugins[w] && w != "imap_zlib" && w != "listescape" && w != "stats" && w != "old_stats" {
			t.parts = append(t.parts, [2]string{"plug-in " + w, "2.4 has no such plug-in"})
		}
	}
	return t
}

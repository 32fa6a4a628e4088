package convert

import (
	"slices"
	"strings"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// cosmetic are settings whose defaults differ only in the name of the program,
// in where it is installed, in what it says of itself, or in what is cached;
// those of imapc are set by the driver in 2.4.
var cosmetic = strings.Fields(`base_dir state_dir libexec_dir login_greeting login_plugin_dir mail_plugin_dir
	managesieve_implementation_string managesieve_sieve_capability managesieve_notify_capability
	import_environment imap_id_send auth_policy_request_attributes dsync_remote_cmd auth_socket_path
	imapc_user pop3c_user postmaster_address rejection_reason rejection_subject mail_access_groups instance_name
	mbox_write_locks mail_attachment_detection_options imapc_cmd_timeout imapc_connection_retry_interval
	imapc_max_idle_time mail_cache_fields mail_always_cache_fields`)

// defaults writes out what is not set and has another default in 2.4.
func (u *up) defaults() {
	set := map[string]bool{}
	u.c.Each(func(f config.Filter, at []config.Step, key string, _ config.Value) {
		if len(at) == 0 && f == (config.Filter{}) {
			set[key] = true
		}
	})
	var out []string
	for _, row := range config.Settings() {
		name := plainName(row.Name24)
		if row.Place != "core" || set[row.Name23] || name == "" || slices.Contains(cosmetic, row.Name23) {
			continue
		}
		value, ok := u.c.Get(config.Filter{}, row.Name23)
		if !ok {
			continue
		}
		t := u.translate(setting{key: row.Name23, value: value.Text, form: conf.Plain})
		if t.lost == "" && len(t.lines) == 1 && !sameDefault(row, name, t.lines[0]) {
			out = append(out, t.lines[0])
		}
	}
	location, _ := u.c.Get(config.Filter{}, "mail_location")
	if !strings.Contains(location.Text, "NO-NOSELECT") && (location.Text != "" || !u.o.back) {
		out = append(out, "mailbox_list_drop_noselect = no")
	}
	if !u.o.back {
		out = append(out, "auth_allow_weak_schemes = yes")
	}
	slices.Sort(out)
	u.tail = "\n" + defaultsNote("2.3", "2.4") + strings.Join(slices.Compact(out), "\n") + "\n"
}

func defaultsNote(from, to string) string {
	return "# What " + from + " does without being told, and " + to + " only if told:\n"
}

// sameDefault tells whether a line says what holds anyway in 2.4.
func sameDefault(row *config.Setting, name, line string) bool {
	l := conf.Parse("", line, conf.V24).Lines[0]
	fallback := config.Default24(name)
	if kind, _ := config.Kind24(name); kind == config.Booleans {
		var list []string
		for _, d := range config.ListDefault24(name) {
			list = append(list, d[0])
		}
		have := strings.Fields(l.Value)
		slices.Sort(list)
		slices.Sort(have)
		return slices.Equal(list, have)
	}
	if l.Value == fallback {
		return true
	}
	a, err := row.Canonical(l.Value, conf.V23)
	b, err2 := row.Canonical(fallback, conf.V23)
	return err == nil && err2 == nil && a == b
}

// dicts writes the names of dictionaries, which the dictionary server knows.
func (u *up) dicts(n *conf.Node) {
	u.put(n, "dict_server {")
	for _, c := range n.Children {
		u.seen[c.Line] = true
		switch c.Kind {
		case conf.Include:
			u.include(c, u.base)
		case conf.Assign:
			inner, why := u.dict(c.Value)
			if why != "" || c.Form == conf.FromFile {
				u.lose(c, why)
				continue
			}
			driver, _, _ := strings.Cut(c.Value, ":")
			inner = inner[1 : len(inner)-1]
			for i := range inner {
				inner[i] = strings.TrimPrefix(inner[i], "  ")
				if c.Key != driver {
					inner[i] = "dict_" + driver + "_" + inner[i]
				}
			}
			u.put(c, section(u.writer.open("dict", c.Key), append([]string{u.assign("driver", driver)}, inner...)...)...)
		}
	}
}

package convert

import (
	"regexp"
	"strings"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
)

var (
	quotaRoot    = regexp.MustCompile(`^quota[0-9]*$`)
	quotaPart    = regexp.MustCompile(`^(quota[0-9]*)_(rule|warning|grace)[0-9]*$`)
	sieveScript  = regexp.MustCompile(`^sieve_(before|after|default|discard|global)([0-9]*)$`)
	imapSieve    = regexp.MustCompile(`^imapsieve_mailbox([0-9]+)_(name|from|causes|before|after)$`)
	compressions = map[string]string{"gz": "gz", "deflate": "deflate", "bz2": "bz2", "zstd": "zstd"}
)

// plugin translates a setting of plugin { }, which stands at the top level of
// 2.4, or of the filter around.
func (u *up) plugin(s setting) translation {
	if s.form == conf.FromFile || s.form == conf.Reference && !strings.HasPrefix(s.value, "$ENV:") {
		return lost("plug-in settings with < or $ have no counterpart")
	}
	switch {
	case quotaRoot.MatchString(s.key):
		return u.quota(s)
	case quotaPart.MatchString(s.key):
		m := quotaPart.FindStringSubmatch(s.key)
		return u.quotaPart(s, m[1], m[2])
	case sieveScript.MatchString(s.key):
		m := sieveScript.FindStringSubmatch(s.key)
		return u.script(s, m[1], m[2])
	case imapSieve.MatchString(s.key):
		m := imapSieve.FindStringSubmatch(s.key)
		return u.imapSieve(s, m[1], m[2])
	}
	if special := upPlugin[s.key]; special != nil {
		return special(u, s)
	}
	row := rows().plugin[s.key]
	if row == nil {
		row = rows().plugin[strings.TrimRight(s.key, "0123456789")]
	}
	name := ""
	if row != nil {
		name = plainName(row.Name24)
	}
	if _, ok := config.Kind24(s.key); ok && name == "" {
		name = s.key
	}
	switch {
	case name == "" && row == nil:
		return lost("no such plug-in setting is known")
	case name == "":
		return lost(why(row))
	}
	return u.pluginValue(s, name)
}

// pluginValue writes a setting of plugin { } by the type that it has in 2.4.
func (u *up) pluginValue(s setting, name string) translation {
	value := s.value
	switch kind, _ := config.Kind24(name); kind {
	case config.Section, config.Sections, config.Strings:
		return lost("it is a section of its own now: " + name)
	case config.Booleans:
		return lines(u.booleans(name, value)...)
	case config.Bool:
		if _, err := conf.ParseBool(value, conf.V24); err != nil {
			value = "yes" // that it was there was enough
		}
	case config.Time, config.TimeMs:
		if value != "" && value != "0" && strings.Trim(value, "0123456789") == "" {
			value += " secs"
		}
		if value == "0" && unlimited[name] {
			value = "unlimited"
		}
	case config.Uint, config.Size:
		if value == "0" && unlimited[name] {
			value = "unlimited"
		}
	default:
		text, losses := to24(value, variable.InStorage)
		if len(losses) > 0 {
			return lost(losses[0].Text + ": " + losses[0].Why)
		}
		value = text
	}
	return lines(u.assign(name, value))
}

// upPlugin are the settings of plugin { } that become something else.
var upPlugin map[string]func(u *up, s setting) translation

func init() {
	upPlugin = map[string]func(u *up, s setting) translation{
		"sieve":                               (*up).sieve,
		"sieve_dir":                           (*up).sieveDir,
		"sieve_vacation_dont_check_recipient": inverted("sieve_vacation_check_recipient"),
		"quota_vsizes":                        func(*up, setting) translation { return translation{} }, // always so
		"quota_over_script":                   (*up).overScript,
		"acl":                                 (*up).acl,
		"acl_anyone": func(u *up, s setting) translation {
			return lines(u.assign("imap_acl_allow_anyone", yesNo(s.value == "allow")))
		},
		"acl_shared_dict":         func(u *up, s setting) translation { return u.dictionary("acl_sharing_map {", s.value) },
		"last_login_dict":         func(u *up, s setting) translation { return u.dictionary("last_login {", s.value) },
		"zlib_save":               func(u *up, s setting) translation { return lines(u.assign("mail_compress_write_method", s.value)) },
		"zlib_save_level":         (*up).level,
		"fts":                     func(u *up, s setting) translation { return lines(section(u.writer.open("fts", s.value))...) },
		"sieve_quota_max_scripts": (*up).plainPlugin,
	}
}

func (u *up) plainPlugin(s setting) translation {
	return u.pluginValue(s, plainName(rows().plugin[s.key].Name24))
}

func yesNo(b bool) string { return conf.FormatBool(b) }

func (u *up) level(s setting) translation {
	method := compressions[u.scope.plugin["zlib_save"]]
	switch method {
	case "":
		return lost("the level needs zlib_save")
	case "bz2":
		return lines(u.assign("compress_bz2_block_size_100k", s.value))
	}
	return lines(u.assign("compress_"+method+"_level", s.value))
}

func (u *up) acl(s setting) translation {
	driver, rest, more := strings.Cut(s.value, ":")
	t := lines(u.assign("acl_driver", driver))
	path, options, _ := strings.Cut(rest, ":")
	if more && path != "" {
		t.parts = append(t.parts, [2]string{path, "global ACL files became sections acl NAME { rights = … }"})
	}
	if ttl, ok := strings.CutPrefix(options, "cache_secs="); ok {
		t.lines = append(t.lines, u.assign("acl_cache_ttl", ttl+" secs"))
	}
	return t
}

func (u *up) overScript(s setting) translation {
	return lines(section("quota_over_status {", u.execute(s.value)...)...)
}

// execute writes a service and its arguments.
func (u *up) execute(command string) []string {
	name, args, _ := strings.Cut(command, " ")
	args, _ = to24(args, variable.InStorage)
	return section(u.writer.open("execute", name), u.assign("args", args))
}

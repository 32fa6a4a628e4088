package convert

import (
	"slices"
	"strings"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
)

// locationKeys are the parts of mail_location and what they are in 2.4, in the
// order in which they are written. Flags have no "=".
var locationKeys = []struct{ old, key, value string }{
	{"INBOX=", "mail_inbox_path", ""},
	{"INDEX=", "mail_index_path", ""},
	{"INDEXPVT=", "mail_index_private_path", ""},
	{"INDEXCACHE=", "mail_cache_path", ""},
	{"CONTROL=", "mail_control_path", ""},
	{"VOLATILEDIR=", "mail_volatile_path", ""},
	{"ALT=", "mail_alt_path", ""},
	{"ALTNOCHECK", "mail_alt_check", "no"},
	{"LAYOUT=", "mailbox_list_layout", ""},
	{"SUBSCRIPTIONS=", "mailbox_subscriptions_filename", ""},
	{"DIRNAME=", "mailbox_directory_name", ""},
	{"FULLDIRNAME=", "mailbox_directory_name", ""},
	{"MAILBOXDIR=", "mailbox_root_directory_name", ""},
	{"LISTINDEX=", "mailbox_list_index_prefix", ""},
	{"UTF-8", "mailbox_list_utf8", "yes"},
	{"BROKENCHAR=", "mailbox_list_visible_escape_char", ""},
	{"ITERINDEX", "mailbox_list_iter_from_index_dir", "yes"},
	{"NO-NOSELECT", "mailbox_list_drop_noselect", "yes"},
	{"NO-FS-VALIDATION", "mailbox_list_validate_fs_names", "no"},
}

// pair is a setting of 2.4.
type pair struct{ key, value string }

// splitLocation gives the settings of a mail_location, with the variables of
// 2.3 still in them. An unknown key is an error.
func splitLocation(s string) (all []pair, unknown string) {
	if s == "" {
		return nil, ""
	}
	driver, rest, ok := strings.Cut(s, ":")
	if !ok || strings.ContainsAny(driver, "/~%") {
		driver, rest = "", s
	}
	if driver != "" && driver != "auto" {
		all = append(all, pair{"mail_driver", driver})
	}
	parts := strings.Split(strings.ReplaceAll(rest, "::", "\x00"), ":")
	for i, p := range parts {
		p = strings.ReplaceAll(p, "\x00", ":")
		if i == 0 {
			if p != "" {
				all = append(all, pair{"mail_path", p})
			}
			continue
		}
		found := slices.IndexFunc(locationKeys, func(k struct{ old, key, value string }) bool {
			return strings.HasPrefix(p, k.old) && (k.value == "" || p == k.old)
		})
		if found < 0 {
			return all, p
		}
		k := locationKeys[found]
		if k.value != "" {
			all = append(all, pair{k.key, k.value})
			continue
		}
		all = append(all, pair{k.key, p[len(k.old):]})
		if k.old == "DIRNAME=" {
			all = append(all, pair{"mailbox_directory_name_legacy", "yes"})
		}
	}
	return all, ""
}

// location writes mail_location, or that of a namespace.
func (u *up) location(s setting) translation {
	if s.form == conf.Reference {
		if s.value == "$mail_location" {
			return translation{} // what a namespace has anyway
		}
		return lost("a location cannot refer to other settings")
	}
	place := variable.InStorage
	if s.in != "" && s.node != nil && u.shared(s) {
		place = variable.InSharedLocation
	}
	all, unknown := splitLocation(s.value)
	if unknown != "" {
		return lost("unknown part of a location: " + unknown)
	}
	var t translation
	have := map[string]bool{}
	for _, p := range all {
		value, losses := to24(p.value, place)
		if len(losses) > 0 {
			return lost(losses[0].Text + ": " + losses[0].Why)
		}
		have[p.key] = true
		t.lines = append(t.lines, u.assign(p.key, value))
	}
	if s.in != "namespace" || len(all) == 0 {
		return t
	}
	// A namespace takes from the top level what it does not set itself.
	above, _ := splitLocation(u.scope.location)
	for _, p := range above {
		if !have[p.key] && p.key != "mail_driver" {
			t.lines = append(t.lines, u.assign(p.key, unset(p, all)))
		}
	}
	return t
}

// unset gives the value of 2.4 for a part that a location of 2.3 does not have.
func unset(p pair, location []pair) string {
	switch {
	case p.value == "yes":
		return "no"
	case p.value == "no":
		return "yes"
	case p.key == "mailbox_list_layout":
		return layoutOf(location)
	}
	return config.Default24(p.key)
}

// layoutOf gives the layout that the driver of a location has by itself.
func layoutOf(location []pair) string {
	for _, p := range location {
		if p.key == "mail_driver" && p.value == "maildir" {
			return "maildir++"
		}
	}
	return "fs"
}

package convert

import (
	"strings"

	"dovetail/formats/conf/variable"
)

// scriptPath takes a location apart: [file:]PATH[;active=PATH][;OPTION…].
func scriptPath(location string) (path, active, why string) {
	if driver, rest, ok := strings.Cut(location, ":"); ok && !strings.ContainsAny(driver, "/~%;") {
		if driver != "file" {
			return "", "", "scripts in " + driver + " have settings of their own now"
		}
		location = rest
	}
	parts := strings.Split(location, ";")
	for _, o := range parts[1:] {
		switch key, value, _ := strings.Cut(o, "="); key {
		case "active":
			active = value
		case "":
		default:
			return "", "", "the option " + key + " of a script has a setting of its own now"
		}
	}
	return parts[0], active, ""
}

// sieve writes the user's own script. A plain path was the active script, and
// sieve_dir the folder of the others.
func (u *up) sieve(s setting) translation {
	path, active, why := scriptPath(s.value)
	if why != "" {
		return lost(why)
	}
	if !strings.HasPrefix(s.value, "file:") && active == "" {
		path, active = u.scope.plugin["sieve_dir"], path
		if path == "" {
			path = "~/sieve"
		}
	}
	return u.scriptSection("personal", "", path, active)
}

// sieveDir is written with sieve, unless that is not set.
func (u *up) sieveDir(s setting) translation {
	if v, ok := u.scope.plugin["sieve"]; ok {
		if strings.HasPrefix(v, "file:") {
			return lost("sieve names the folder already")
		}
		return translation{}
	}
	return u.scriptSection("personal", "", s.value, "~/.dovecot.sieve")
}

// script writes sieve_before2 and its like.
func (u *up) script(s setting, kind, number string) translation {
	path, active, why := scriptPath(s.value)
	if why != "" {
		return lost(why)
	}
	return u.scriptSection(kind+number, kind, path, active)
}

func (u *up) scriptSection(name, kind, path, active string) translation {
	var inner []string
	if kind != "" {
		inner = append(inner, u.assign("type", kind))
	}
	for _, p := range []pair{{"path", path}, {"active_path", active}} {
		text, losses := to24(p.value, variable.InStorage)
		if len(losses) > 0 {
			return lost(losses[0].Text + ": " + losses[0].Why)
		}
		if text != "" {
			inner = append(inner, u.assign(p.key, text))
		}
	}
	return lines(section("sieve_script "+name+" {", inner...)...)
}

// imapSieve writes the scripts of imapsieve_mailboxN with the line of the
// script; the other lines of N say where and when.
func (u *up) imapSieve(s setting, number, part string) translation {
	if part != "before" && part != "after" {
		return translation{}
	}
	get := func(key string) string { return u.scope.plugin["imapsieve_mailbox"+number+"_"+key] }
	path, _, why := scriptPath(s.value)
	if why != "" {
		return lost(why)
	}
	path, losses := to24(path, variable.InStorage)
	if len(losses) > 0 {
		return lost(losses[0].Why)
	}
	inner := []string{u.assign("type", part)}
	if causes := strings.ToLower(get("causes")); causes != "" {
		inner = append(inner, u.booleans("cause", causes)...)
	}
	inner = append(inner, u.assign("path", path))
	out := section("sieve_script imapsieve"+number+"-"+part+" {", inner...)
	if from := get("from"); from != "" && from != "*" {
		out = section(u.writer.open("imapsieve_from", from), out...)
	}
	if name := get("name"); name != "" && name != "*" {
		out = section(u.writer.open("mailbox", name), out...)
	}
	return lines(out...)
}

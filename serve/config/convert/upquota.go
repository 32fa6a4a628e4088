package convert

import (
	"regexp"
	"strings"
)

// quotaName gives the name of the root that a setting quota, quota2 … names:
// what stands between the driver and its options.
func quotaName(key, value string) string {
	_, rest, _ := strings.Cut(value, ":")
	name, _, _ := strings.Cut(rest, ":")
	if name == "" {
		return key
	}
	return name
}

// quota writes a root: DRIVER[:NAME[:OPTIONS]].
func (u *up) quota(s setting) translation {
	driver, rest, _ := strings.Cut(s.value, ":")
	_, options, _ := strings.Cut(rest, ":")
	inner := []string{u.assign("driver", driver)}
	var t translation
	if driver == "dict" {
		return lost("quota in dictionaries is gone; count does the same from the indexes")
	}
	for o := range strings.SplitSeq(options, ":") {
		switch {
		case o == "":
		case o == "noenforcing":
			inner = append(inner, "enforce = no")
		case o == "hidden":
			inner = append(inner, "hidden = yes")
		case o == "ignoreunlimited":
			inner = append(inner, "ignore_unlimited = yes")
		case strings.HasPrefix(o, "mount="):
			inner = append(inner, u.assign("fs_mount_path", o[6:]))
		case o == "user", o == "group":
			inner = append(inner, u.assign("fs_type", o))
		default:
			t.parts = append(t.parts, [2]string{o, "no such option of a quota root"})
		}
	}
	t.lines = section(u.writer.open("quota", quotaName(s.key, s.value)), inner...)
	return t
}

// quotaPart writes a rule, warning or grace of a root.
func (u *up) quotaPart(s setting, root, part string) translation {
	name := root
	if v, ok := u.scope.plugin[root]; ok {
		name = quotaName(root, v)
	}
	switch part {
	case "grace":
		if strings.Contains(s.value, "%") {
			return lost("a grace is a size now")
		}
		return lines(section(u.writer.open("quota", name), u.assign("storage_grace", s.value))...)
	case "warning":
		return u.warning(s, name)
	}
	return u.rule(s, name)
}

// rule writes MAILBOX:LIMITS. A rule for "*" is that of the root, others are
// settings of the mailbox.
func (u *up) rule(s setting, root string) translation {
	mailbox, limits, _ := strings.Cut(s.value, ":")
	var inner []string
	for l := range strings.SplitSeq(limits, ":") {
		kind, value, _ := strings.Cut(l, "=")
		extra := strings.HasPrefix(value, "+")
		value = strings.ReplaceAll(strings.TrimPrefix(value, "+"), "%%", "%")
		percent, isPercent := strings.CutSuffix(value, "%")
		switch {
		case l == "ignore":
			inner = append(inner, "quota_ignore = yes")
		case kind == "storage" && isPercent:
			if extra {
				percent = addHundred(percent)
			}
			inner = append(inner, u.assign("quota_storage_percentage", percent))
		case kind == "storage" && extra, kind == "bytes" && extra:
			inner = append(inner, u.assign("quota_storage_extra", sized(kind, value)))
		case kind == "storage", kind == "bytes":
			inner = append(inner, u.assign("quota_storage_size", limit(sized(kind, value))))
		case kind == "messages" && !extra:
			inner = append(inner, u.assign("quota_message_count", limit(value)))
		default:
			return lost("no such limit: " + l)
		}
	}
	if mailbox == "*" {
		return lines(section(u.writer.open("quota", root), inner...)...)
	}
	return lines(section(u.writer.open("mailbox", strings.TrimPrefix(mailbox, "?")), inner...)...)
}

// sized gives a number of kilobytes, or of bytes, its unit.
func sized(kind, value string) string {
	if value == "" || value == "0" || strings.Trim(value, "0123456789") != "" {
		return value
	}
	if kind == "storage" {
		return value + " k"
	}
	return value + " B"
}

func limit(value string) string {
	if value == "0" {
		return "unlimited"
	}
	return value
}

func addHundred(n string) string {
	if len(n) < 3 {
		return "1" + strings.Repeat("0", 2-len(n)) + n
	}
	return n
}

// warning writes [-]LIMIT SERVICE ARGUMENTS.
func (u *up) warning(s setting, root string) translation {
	what, command, ok := strings.Cut(s.value, " ")
	if !ok {
		return lost("a warning needs something to execute")
	}
	value, under := strings.CutPrefix(what, "-")
	var inner []string
	if under {
		inner = append(inner, "threshold = under")
	}
	kind, amount, _ := strings.Cut(value, "=")
	amount = strings.ReplaceAll(amount, "%%", "%")
	percent, isPercent := strings.CutSuffix(amount, "%")
	resource, key := "storage", "quota_storage_size"
	switch {
	case kind == "messages":
		resource, key = "message", "quota_message_count"
		if isPercent {
			key = "quota_message_percentage"
		}
	case isPercent:
		key = "quota_storage_percentage"
	}
	if !isPercent {
		percent = sized(kind, amount)
	}
	inner = append(inner, "resource = "+resource, u.assign(key, percent))
	inner = append(inner, u.execute(strings.TrimSpace(command))...)
	name := u.unused("quota_warning", "warn-"+strings.Trim(percent, " kB")+map[bool]string{true: "-under"}[under])
	inner = section("quota_warning "+name+" {", inner...)
	return lines(section(u.writer.open("quota", root), inner...)...)
}

// variables are %{…} without any inside.
var variables = regexp.MustCompile(`%\{[^{}]*\}`)

// quotaField writes a field quota_rule of a user, whose value may have
// variables, as the field of 2.4.
func quotaField(value string) (key, text string, ok bool) {
	for _, kind := range []string{"bytes", "storage"} {
		if rest, is := strings.CutPrefix(value, "*:"+kind+"="); is && !strings.Contains(variables.ReplaceAllString(rest, ""), ":") {
			if kind == "storage" && strings.HasSuffix(rest, "}") {
				rest += "k"
			}
			return "quota_storage_size", rest, true
		}
	}
	if rest, is := strings.CutPrefix(value, "*:messages="); is {
		return "quota_message_count", rest, true
	}
	return "", "", false
}

package options

import (
	"slices"
	"strings"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// sieveLocation takes DRIVER:PATH;active=PATH apart.
func sieveLocation(text string) (path, active string) {
	path, options, _ := strings.Cut(text, ";")
	for o := range strings.SplitSeq(options, ";") {
		if value, ok := strings.CutPrefix(o, "active="); ok {
			active = value
		}
	}
	return strings.TrimPrefix(path, "file:"), active
}

func sieveTemplate(text string) Template {
	path, _ := sieveLocation(text)
	return storageTemplate(path)
}

// sieve24 reads the sections sieve_script, each of a type, and the settings of
// the top level.
func sieve24(v config.View) Sieve {
	s := Sieve{Directory: Template{Text: "~/sieve"}, Active: Template{Text: "~/.dovecot.sieve"}}
	for _, script := range byPrecedence(v.Sections("sieve_script")) {
		get := func(key string) string {
			value, _ := script.Get("sieve_script_" + key)
			return value.Text
		}
		path := Template{Text: strings.TrimPrefix(get("path"), "file:")}
		switch get("type") {
		case "personal":
			if path.Text != "" {
				s.Directory = path
			}
			if active := get("active_path"); active != "" {
				s.Active = Template{Text: active}
			}
		case "default":
			s.Default = path
		case "before":
			s.Before = append(s.Before, Script{path})
		case "after":
			s.After = append(s.After, Script{path})
		}
	}
	s.Extensions = extensions24(v)
	s.MaxScriptSize = bounded(v, "sieve_max_script_size")
	s.MaxStorage = bounded(v, "sieve_quota_storage_size")
	if n, _ := v.Get("sieve_quota_script_count"); n.Text != "unlimited" {
		count, _ := conf.ParseUint(n.Text, conf.V24)
		s.MaxScripts = uint64(count)
	}
	return s
}

// extensions24 gives a list in the form of 2.3.
func extensions24(v config.View) []string {
	items, replaced := v.Items("sieve_extensions")
	var list []string
	for _, i := range items {
		switch {
		case i.Text != "yes":
			list = append(list, "-"+i.Key)
		case replaced:
			list = append(list, i.Key)
		default:
			list = append(list, "+"+i.Key)
		}
	}
	return list
}

// byPrecedence orders scripts by their number; those without one come last.
func byPrecedence(list []config.SectionView) []config.SectionView {
	number := func(s config.SectionView) int {
		v, _ := s.Get("sieve_script_precedence")
		n, _ := conf.ParseUint(v.Text, conf.V24)
		return int(n)
	}
	slices.SortStableFunc(list, func(a, b config.SectionView) int { return number(a) - number(b) })
	return list
}

// bounded gives a size of which "unlimited" is 0.
func bounded(v config.View, key string) uint64 {
	value, _ := v.Get(key)
	n, _ := conf.ParseSize(value.Text, conf.V24)
	if n == conf.UnlimitedSize {
		return 0
	}
	return n
}

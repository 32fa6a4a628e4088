package convert

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// prove reads what was written, converts it back and compares: what the input
// means, for every filter in it, must be what the way back means. Files of 2.3
// are compared as they are.
func prove(ctx context.Context, r *Result, in *config.Config, o Options) error {
	dir := filepath.Dir(in.Path)
	read := o.Read
	read.Dialect = o.To
	files := inMemory(dir, r.Files)
	if o.Out != "" {
		maps.Copy(files, inMemory(o.Out, r.Files)) // external files are named by where they will be
	}
	read.Source = overlay{o.Read.Source, files}
	out, problems := config.Load(ctx, in.Path, read)
	for _, p := range problems.All {
		if p.Severity == config.Fatal || p.Severity == config.Failed && o.To == conf.V24 {
			r.Differences = append(r.Differences, "the result cannot be read: "+p.Error())
		}
	}
	if out == nil || problems.Fatal() != nil {
		return nil
	}
	if in.Dialect != o.To {
		back := o
		back.To, back.back, back.Read = in.Dialect, true, read
		other, _, err := convert(ctx, in.Path, back)
		if err != nil {
			r.Differences = append(r.Differences, "the result cannot be converted back: "+err.Error())
			return nil
		}
		read.Dialect = conf.V23
		if in.Dialect == conf.V24 {
			read.Dialect = conf.V24
		}
		read.Source = overlay{o.Read.Source, inMemory(dir, other.Files)}
		if out, problems = config.Load(ctx, in.Path, read); out == nil || problems.Fatal() != nil {
			r.Differences = append(r.Differences, "the way back cannot be read: "+problems.Fatal().Error())
			return nil
		}
	}
	r.Differences = append(r.Differences, compare(in, o.Read.Source, out, read.Source)...)
	return nil
}

// compare lists the settings that are not the same in two configurations of
// one dialect.
func compare(a *config.Config, srcA conf.Source, b *config.Config, srcB conf.Source) []string {
	if a.Dialect == conf.V24 {
		return differences("", flat24(a), flat24(b))
	}
	var all []string
	filters := a.Filters()
	for _, f := range b.Filters() {
		if !slices.Contains(filters, f) {
			filters = append(filters, f)
		}
	}
	for i, f := range filters {
		found := differences("", flat23(a, f, srcA), flat23(b, f, srcB))
		for _, d := range found {
			if i == 0 {
				all = append(all, d)
			} else if !slices.Contains(all, d) {
				all = append(all, label(f)+d)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func label(f config.Filter) string {
	var parts []string
	if f.LocalName != "" {
		parts = append(parts, "local_name "+f.LocalName)
	}
	if f.Local.Bits() > 0 {
		parts = append(parts, "local "+f.Local.String())
	}
	if f.Remote.Bits() > 0 {
		parts = append(parts, "remote "+f.Remote.String())
	}
	if f.Protocol != "" {
		parts = append(parts, "protocol "+f.Protocol)
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, ", ") + ": "
}

func differences(label string, a, b map[string]string) []string {
	var all []string
	for key, v := range a {
		if w, ok := b[key]; !ok {
			if isDefault(key, v) {
				continue
			}
			all = append(all, fmt.Sprintf("%s%s = %s is gone", label, key, hide(key, v)))
		} else if v != w {
			all = append(all, fmt.Sprintf("%s%s = %s became %s", label, key, hide(key, v), hide(key, w)))
		}
	}
	for key, w := range b {
		if _, ok := a[key]; !ok && !isDefault(key, w) {
			all = append(all, fmt.Sprintf("%s%s = %s is new", label, key, hide(key, w)))
		}
	}
	slices.Sort(all)
	return all
}

// hide keeps secrets out of a list of differences.
func hide(key, value string) string {
	low := strings.ToLower(key + "=" + value)
	for _, w := range []string{"pass=", "password=", "dnpass", "_key=", "nonce", "secret"} {
		if strings.Contains(low, w) && value != "" && !strings.HasPrefix(value, "<") {
			return "(hidden)"
		}
	}
	return value
}

// isDefault tells whether a setting of a section of 2.3 says nothing.
func isDefault(path, value string) bool {
	parts := strings.Split(path, "/")
	if len(parts) < 3 {
		return false
	}
	var kinds []string
	for i := 0; i < len(parts)-1; i += 2 {
		kinds = append(kinds, parts[i])
	}
	row := rows().by23[strings.Join(append(kinds, parts[len(parts)-1]), "/")]
	return row != nil && row.Default23 == value
}

package conf

import (
	"path"
	"slices"
	"strings"
)

// glob finds the files that match a pattern, as glob(3) does with GLOB_BRACE:
// * ? [...] do not match "/" nor a leading dot; {a,b} is tried in the order
// written, each alternative sorted by bytes; a backslash takes the meaning
// from the next character. The error says why a directory could not be read.
func glob(src Source, pattern string, limit int) (names []string, err error) {
	patterns := braces(pattern, limit)
	if len(patterns) > limit {
		return nil, errTooMuch
	}
	for _, p := range patterns {
		found, failed := globOne(src, p, limit)
		names = append(names, found...)
		if failed != nil {
			err = failed
		}
		if len(names) > limit {
			return nil, errTooMuch
		}
	}
	return names, err
}

// braces expands the first {a,b} of a pattern and then the rest. Braces that
// are not closed stand for themselves. More than limit patterns are returned if
// there are too many, not all of them expanded.
func braces(pattern string, limit int) []string {
	var done []string
	work := []string{pattern} // the last one is next
	for len(work) > 0 && len(done)+len(work) <= limit {
		p := work[len(work)-1]
		work = work[:len(work)-1]
		open, alternatives, end := firstBrace(p)
		if alternatives == nil {
			done = append(done, p)
			continue
		}
		for _, a := range slices.Backward(alternatives) {
			work = append(work, p[:open]+a+p[end:])
		}
	}
	return append(done, work...)
}

// firstBrace splits what stands between the first braces that match. No
// alternatives are found if there are none.
func firstBrace(p string) (open int, alternatives []string, end int) {
	depth, start := 0, 0
	open = -1
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c == '\\':
			i++
		case c == '{':
			if depth++; depth == 1 {
				open, start = i, i+1
			}
		case c == ',' && depth == 1:
			alternatives = append(alternatives, p[start:i])
			start = i + 1
		case c == '}' && depth > 0:
			if depth--; depth == 0 {
				return open, append(alternatives, p[start:i]), i + 1
			}
		}
	}
	return -1, nil, 0
}

// globOne matches a pattern without braces, one path element after the other.
func globOne(src Source, pattern string, limit int) ([]string, error) {
	found := []string{""}
	var err error
	for pattern != "" && len(found) > 0 {
		rest := strings.TrimLeft(pattern, "/")
		slashes := pattern[:len(pattern)-len(rest)]
		element, _, _ := strings.Cut(rest, "/")
		pattern = rest[len(element):]
		var next []string
		for _, dir := range found {
			names, failed := globElement(src, dir+slashes, element, pattern == "")
			if failed != nil {
				err = failed
			}
			next = append(next, names...)
			if len(next) > limit {
				return nil, errTooMuch
			}
		}
		found = next
	}
	slices.Sort(found)
	return found, err
}

// globElement gives the entries of a directory that match one element.
func globElement(src Source, dir, element string, last bool) ([]string, error) {
	if !strings.ContainsAny(element, "*?[") {
		name := dir + strings.ReplaceAll(element, `\`, "")
		if last {
			if _, err := src.Lstat(name); err != nil {
				return nil, err
			}
		}
		return []string{name}, nil
	}
	where := dir
	if where == "" {
		where = "."
	}
	entries, err := src.ReadDir(where)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if matches(element, e.Name()) {
			names = append(names, dir+e.Name())
		}
	}
	return names, nil
}

// matches compares one element with a name. A pattern that path.Match refuses
// is a name.
func matches(element, name string) bool {
	if strings.HasPrefix(name, ".") && !strings.HasPrefix(element, ".") {
		return false
	}
	ok, err := path.Match(strings.ReplaceAll(element, "[!", "[^"), name)
	return ok || err != nil && element == name
}

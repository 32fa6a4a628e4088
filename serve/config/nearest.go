package config

import (
	"maps"
	"slices"
	"strings"
)

// nearest gives the name of a setting or section that may have been meant, or
// "".
func nearest(at *frame, key string) string {
	for _, s := range Settings() {
		if s.Place == "core" && slices.Contains(strings.Fields(s.Name24), key) {
			return s.Name23
		}
	}
	schema := at.tree.root.schema
	if up := strings.TrimSuffix(at.path, "/"); up != "" {
		if b := at.tree.links[lower(up)]; b != nil {
			schema = b.schema
		}
	}
	var names []string
	for _, s := range schema.list {
		names = append(names, s.Key())
	}
	for _, s := range schema.inner {
		names = append(names, s.kind())
	}
	return nearestOf(key, names)
}

func nearestPlugin(key string) string {
	return nearestOf(key, slices.Sorted(maps.Keys(pluginSettings())))
}

// nearest24 gives the name that a setting of 2.3 has in 2.4, or one that may
// have been meant.
func nearest24(key string) string {
	for _, s := range Settings() {
		if s.Name23 == key && s.Name24 != key {
			return s.Name24
		}
	}
	return nearestOf(key, slices.Sorted(maps.Keys(schema24())))
}

func nearestOf(key string, names []string) string {
	best, least := "", len(key)/3+1
	for _, name := range names {
		if d := distance(lower(key), name, least); d < least || d == least && best == "" {
			best, least = name, d
		}
	}
	return best
}

// distance counts the letters that must be added, removed or replaced to make
// b of a. It gives limit+1 when it is certain to be more than limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit || len(a) > 200 {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

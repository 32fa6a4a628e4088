package config

import (
	"maps"
	"slices"
	"strings"

	"dovetail/formats/spelling"
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
	return spelling.Nearest(key, names, len(key)/3+1)
}

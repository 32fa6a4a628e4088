package accounts

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Place names a list of accounts: "kind:path[:key=value…]".
type Place struct {
	Kind string
	Path string // as given
	Root string // a prefix of all its paths: where a site is unpacked
	Keys map[string]string
	spec string
}

// ErrPlace is what errors about the spelling of a place wrap.
var ErrPlace = errors.New("no such kind of list")

// kinds are the kinds of lists with the keys each knows.
var kinds = map[string][]string{
	"vpopmail":       {"assign"},
	"vpopmail-mysql": {"assign", "tables"},
	"passwd-file":    {"scheme"},
	"userdb":         {},
	"sql":            {"schema"},
}

// sites are the kinds that belong to a whole site, with paths in them that are the site's.
var sites = []string{"vpopmail", "vpopmail-mysql", "userdb"}

// ParsePlace reads the name of a list. root, "" for none, goes before the paths of sites; other lists lie where they say.
func ParsePlace(spec, root string) (Place, error) {
	kind, rest, _ := strings.Cut(spec, ":")
	known, ok := kinds[kind]
	if !ok {
		return Place{}, fmt.Errorf("%s: %w; known are vpopmail:, vpopmail-mysql:, passwd-file:, userdb: and sql: before a path", spec, ErrPlace)
	}
	parts := strings.Split(rest, ":")
	p := Place{Kind: kind, Path: parts[0], Keys: map[string]string{}, spec: spec}
	if p.Path == "" {
		return Place{}, fmt.Errorf("%s: %w: no path", spec, ErrPlace)
	}
	if slices.Contains(sites, kind) {
		p.Root = root
	}
	for _, part := range parts[1:] {
		key, value, has := strings.Cut(part, "=")
		if !has || !slices.Contains(known, key) {
			return Place{}, fmt.Errorf("%s: %w: %s: knows no key %q", spec, ErrPlace, kind, key)
		}
		p.Keys[key] = value
	}
	return p, nil
}

func (p Place) String() string { return p.spec }

// at is where a path of the site lies here.
func (p Place) at(path string) string {
	if p.Root == "" {
		return path
	}
	return filepath.Join(p.Root, path)
}

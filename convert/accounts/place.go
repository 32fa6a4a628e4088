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
	Root string // a prefix of all paths that are read: where a site is unpacked
	Keys map[string]string
	spec string
}

// ErrPlace is what errors about the spelling of a place wrap.
var ErrPlace = errors.New("no such kind of list")

// kinds are the kinds of lists with the keys each knows.
var kinds = map[string][]string{
	"vpopmail":       {"assign"},
	"vpopmail-mysql": {"assign", "tables"},
	"passwd-file":    {},
	"userdb":         {},
	"sql":            {"schema"},
}

// ParsePlace reads the name of a list. root goes before every path that is read, "" for none.
func ParsePlace(spec, root string) (Place, error) {
	kind, rest, _ := strings.Cut(spec, ":")
	known, ok := kinds[kind]
	if !ok {
		return Place{}, fmt.Errorf("%s: %w; there are vpopmail:, vpopmail-mysql:, passwd-file:, userdb: and sql:", spec, ErrPlace)
	}
	parts := strings.Split(rest, ":")
	p := Place{Kind: kind, Path: parts[0], Root: root, Keys: map[string]string{}, spec: spec}
	if p.Path == "" {
		return Place{}, fmt.Errorf("%s: %w: no path", spec, ErrPlace)
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

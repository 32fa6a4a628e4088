package convert

import (
	"path/filepath"
	"strings"

	"dovetail/formats/conf"
)

// include changes the pattern of an include that leaves the tree: what it read
// stands in the folder "included" now.
func (w *writer) include(n *conf.Node, base string) {
	pattern := n.Value
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(n.File.Name), pattern)
	}
	clean := filepath.Clean(pattern)
	inside := inTree(base, clean)
	if !filepath.IsAbs(n.Value) && !strings.HasPrefix(inside, "included/") {
		return
	}
	from := filepath.Dir(inTree(base, n.File.Name))
	rel, err := filepath.Rel(from, inside)
	if err != nil {
		return
	}
	word := "!include "
	if n.Try {
		word = "!include_try "
	}
	w.put(n, word+rel)
}

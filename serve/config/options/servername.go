package options

import (
	"slices"
	"strings"

	"dovetail/serve/config"
)

// ServerName is the TLS of names that a client may ask for (SNI).
type ServerName struct {
	Names []string // in lower case; "*." at the beginning stands for one label
	TLS   TLS
}

// ReadServerNames gives the names that have settings of their own; others get
// TLS of the view without a name. Of two that fit a name the first one holds:
// it has what Dovecot would merge of all sections that fit.
func ReadServerNames(c *config.Config, f config.Filter) ([]ServerName, error) {
	var list []ServerName
	seen := map[string]bool{}
	for _, section := range c.Filters() {
		name := section.LocalName
		names := words(strings.ToLower(name))
		if len(names) == 0 || seen[name] {
			continue
		}
		seen[name] = true
		f.LocalName = names[0]
		tls, err := Read[TLS](c.For(f))
		if err != nil {
			return nil, err
		}
		list = append(list, ServerName{names, tls})
	}
	slices.SortStableFunc(list, func(a, b ServerName) int { return a.wildcards() - b.wildcards() })
	return list, nil
}

func (n ServerName) wildcards() int {
	if slices.ContainsFunc(n.Names, func(s string) bool { return strings.HasPrefix(s, "*.") }) {
		return 1
	}
	return 0
}

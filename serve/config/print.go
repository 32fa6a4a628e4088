package config

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"dovetail/formats/conf"
)

// Scope says which settings are printed.
type Scope int

const (
	All        Scope = iota // -a: all but the hidden ones
	NonDefault              // -n: those that are not what they would be anyway
	Set                     // -N: those that are set
	Everything              // -s: hidden ones too
)

// PrintOptions say what Print prints, by doveconf's letters.
type PrintOptions struct {
	Scope    Scope
	Header   []string // lines before everything, printed as comments; not with Names
	Filter   Filter   // -f
	Names    []string // settings and sections by path; none: everything
	Values   bool     // -h: of a setting the value alone
	Secrets  bool     // -P
	Simple   bool     // -S: path=value
	Origin   bool     // tell after each line where it was set
	Modules  []string // -m
	Defaults bool     // -d: as if nothing were set
}

// Print writes a configuration as doveconf of its dialect does.
func (c *Config) Print(w io.Writer, o PrintOptions) error {
	out := bufio.NewWriter(w)
	if o.Defaults {
		c = c.defaults()
	}
	if len(o.Names) == 0 && !o.Simple {
		for _, line := range o.Header {
			fmt.Fprintf(out, "# %s\n", line)
		}
	}
	if c.Dialect == conf.V24 {
		c.print24(out, o)
	} else {
		c.print23(out, o)
	}
	return out.Flush()
}

// origin is what stands after a line that was set somewhere.
func (o PrintOptions) origin(pos conf.Pos) string {
	if !o.Origin || pos.File == "" {
		return ""
	}
	return " # " + pos.String()
}

// hiddenKey tells whether a value is a secret as a whole, by its name.
func hiddenKey(key string) bool {
	for _, end := range []string{"_password", "_key", "_nonce"} {
		if strings.HasSuffix(key, end) && len(key) > len(end) {
			return true
		}
	}
	return strings.HasPrefix(key, "ssl_dh")
}

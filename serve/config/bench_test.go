package config

import (
	"io"
	"testing"

	"dovetail/formats/conf"
)

// BenchmarkPrint is "config -n" of the tree that Debian's packages install.
func BenchmarkPrint(b *testing.B) {
	for b.Loop() {
		c, _ := Load(b.Context(), "testdata/configs/debian-tree/dovecot.conf", Options{Dialect: conf.V23})
		if err := c.Print(io.Discard, PrintOptions{Scope: NonDefault}); err != nil {
			b.Fatal(err)
		}
	}
}

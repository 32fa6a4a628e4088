package conf

import (
	"os"
	"testing"
)

// BenchmarkLoadDebian reads Debian's own tree: 30 files, most of them comments.
func BenchmarkLoadDebian(b *testing.B) {
	const main = "/etc/dovecot/dovecot.conf"
	if _, err := os.Stat(main); err != nil {
		b.Skip("no /etc/dovecot here")
	}
	b.ReportAllocs()
	for b.Loop() {
		c, err := Load(OS{}, main, Options{})
		if err != nil || c.First() != nil {
			b.Fatal(err, c.Problems)
		}
	}
}

// BenchmarkParse reads one file of Debian's from memory.
func BenchmarkParse(b *testing.B) {
	text, err := os.ReadFile("/etc/dovecot/conf.d/10-mail.conf")
	if err != nil {
		b.Skip("no /etc/dovecot here")
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		Parse("f", string(text), V23)
	}
}

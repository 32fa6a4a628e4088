package options

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
)

func noHosts(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }

// FuzzOptions reads everything of any configuration that a program could start
// with: it must be good for all options.
func FuzzOptions(f *testing.F) {
	names, _ := filepath.Glob("../testdata/configs/*.conf")
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	for _, p := range pairs {
		f.Add(p.old)
		f.Add("dovecot_config_version = 2.4.4\ndovecot_storage_version = 2.4.4\n" + p.new)
	}
	f.Fuzz(func(t *testing.T, text string) {
		files := fstest.MapFS{"d.conf": {Data: []byte(text)}, "sql.conf.ext": external["sql.conf.ext"], "ldap.conf.ext": {Data: []byte(text)}}
		src := conf.In{FS: files}
		c, problems := config.Load(t.Context(), "/d.conf", config.Options{Source: src, Expand: true, Lookup: noHosts})
		if c == nil {
			t.Fatal("not read at all")
		}
		v := c.For(config.Filter{Protocol: "imap"})
		for _, read := range []func(config.View) error{
			tried[IMAP], tried[TLS], tried[Login], tried[AuthRules], tried[Users], tried[Master], tried[Storage], tried[Log], tried[Delivery],
			func(v config.View) error { _, err := ReadServices(v); return err },
			func(v config.View) error { _, err := ReadNamespaces(v); return err },
			func(v config.View) error { _, err := ReadFeatures(v); return err },
			func(config.View) error { _, err := ReadServerNames(c, config.Filter{}); return err },
		} {
			if err := read(v); err != nil && problems.OK() {
				t.Errorf("%q: %v", text, err)
			}
		}
		// Files of databases may be missing or wrong: that is an error, and no more.
		ReadPassDBs(v, src)
		ReadUserDBs(v, src)
		ReadPlace(v).Location(variable.Values(nil), "/h")
	})
}

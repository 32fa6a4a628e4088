package options

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// load reads a configuration that must be good.
func load(t *testing.T, text string, more fstest.MapFS) *config.Config {
	t.Helper()
	files := fstest.MapFS{"d.conf": {Data: []byte(text)}}
	for name, f := range more {
		files[name] = f
	}
	c, problems := config.Load(t.Context(), "/d.conf", config.Options{Source: conf.In{FS: files}, Expand: true})
	for _, p := range problems.All {
		if p.Severity == config.Fatal || p.Severity == config.Failed {
			t.Fatal(p)
		}
	}
	return c
}

func view(t *testing.T, text string) config.View {
	t.Helper()
	return load(t, text, nil).For(config.Filter{})
}

// seed reads one of the whole configurations, with everything it names.
func seed(t *testing.T, name string) (*config.Config, conf.Source) {
	t.Helper()
	files := fstest.MapFS{}
	for _, f := range []string{name, strings.Replace(name, ".conf", ".conf.ext", 1)} {
		b, err := os.ReadFile(filepath.Join("../testdata/configs", f))
		if err != nil && f == name {
			t.Fatal(err)
		}
		files[f] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(string(b), "@ROOT@", ""))}
	}
	for _, f := range []string{"tls/server.crt", "tls/server.key", "tls/ca.crt", "tls/dh.pem", "tls/org.crt", "tls/org.key"} {
		files[f] = &fstest.MapFile{Data: []byte("PEM of " + f)}
	}
	c, problems := config.Load(t.Context(), "/"+name, config.Options{Source: conf.In{FS: files}, Expand: true})
	if p := problems.Fatal(); p != nil {
		t.Fatal(p)
	}
	return c, conf.In{FS: files}
}

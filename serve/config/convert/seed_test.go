package convert

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// seeds copies the whole configurations into a directory.
func seeds(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	const from = "../testdata/configs"
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		dest := filepath.Join(root, rel)
		if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
			return err
		}
		return os.WriteFile(dest, []byte(strings.ReplaceAll(string(b), "@ROOT@", root)), 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// mains gives the main files of the whole configurations.
func mains(t testing.TB, root string) []string {
	t.Helper()
	files, err := filepath.Glob(root + "/*.conf")
	if err != nil {
		t.Fatal(err)
	}
	trees, err := filepath.Glob(root + "/*/dovecot.conf")
	if err != nil {
		t.Fatal(err)
	}
	return append(files, trees...)
}

func options(to conf.Dialect) Options {
	return Options{To: to, Read: config.Options{NoProtocols: true, Getenv: os.Getenv}}
}

func TestWholeConfigurationsConvertBothWays(t *testing.T) {
	root := seeds(t)
	for _, path := range mains(t, root) {
		for _, to := range []conf.Dialect{conf.V23, conf.V24} {
			t.Run(strings.TrimPrefix(path, root+"/")+" to "+to.String(), func(t *testing.T) {
				r, err := Convert(t.Context(), path, options(to))
				if err != nil {
					if strings.Contains(err.Error(), "already") {
						t.Skip("is one already")
					}
					t.Fatal(err)
				}
				for _, l := range r.Losses {
					t.Log("lost: ", strings.ReplaceAll(l.String(), root, ""))
				}
				for _, d := range r.Differences {
					if len(r.Losses) == 0 {
						t.Error(strings.ReplaceAll(d, root, ""), "\n", r.Files[0].Text)
						continue
					}
					t.Log("differs: ", strings.ReplaceAll(d, root, ""))
				}
				if !readable(r) {
					t.Error(r.Differences)
				}
			})
		}
	}
}

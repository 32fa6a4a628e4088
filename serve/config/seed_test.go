package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/conf"
)

// seed is what a real doveconf answers to one of the whole configurations in
// testdata/configs.
type seed struct {
	Config  string   `json:"config"`
	Dialect string   `json:"dialect"` // 1.0, 2.3, 2.4
	Args    []string `json:"args"`
	RC      int      `json:"rc"`
	Stdout  string   `json:"stdout"`
	Stderr  []string `json:"stderr"`
}

// The 1.x files were given to doveconf 2.3, which has no 1.x reader of its own.
var seedDialects = map[string]conf.Dialect{"1.0": conf.V23, "2.3": conf.V23, "2.4": conf.V24}

func TestR177WholeConfigurations(t *testing.T) {
	all, err := filepath.Glob("testdata/configs/*.expect.json")
	if err != nil || len(all) != 33 {
		t.Fatalf("%d configurations, %v", len(all), err)
	}
	for _, name := range all {
		label := strings.TrimSuffix(filepath.Base(name), ".expect.json")
		if strings.HasPrefix(label, "services-") {
			label = "R-510 " + label
		}
		t.Run(label, func(t *testing.T) {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var s seed
			if err := json.Unmarshal(b, &s); err != nil {
				t.Fatal(err)
			}
			if err := s.run(t); err != nil {
				t.Error(err)
			}
		})
	}
}

// changesLine is a comment with a number that is one higher where Pigeonhole is
// installed; the vectors were made without it, the whole configurations with it.
var changesLine = regexp.MustCompile(`^# \d+ default setting changes.*\n`)

func (s seed) run(t *testing.T) error {
	root := t.TempDir()
	layOut(t, "testdata/configs", root)
	o, expand, _ := flags(t, s.Args)
	c, problems := Load(t.Context(), filepath.Join(root, s.Config), Options{Dialect: seedDialects[s.Dialect],
		Expand: expand, NoProtocols: true})
	var out strings.Builder
	if problems.Fatal() == nil {
		if err := c.Print(&out, o); err != nil {
			return err
		}
	}
	back := strings.NewReplacer(root, "@ROOT@")
	stderr := problems.Stderr(o)
	for i, line := range stderr {
		stderr[i] = back.Replace(line)
	}
	slices.Sort(stderr)
	slices.Sort(s.Stderr)
	switch got := back.Replace(out.String()); {
	case changesLine.ReplaceAllString(got, "") != changesLine.ReplaceAllString(s.Stdout, ""):
		return errors.New("stdout:\n" + got + "want:\n" + s.Stdout + strings.Join(stderr, "\n"))
	case problems.Status(o) != s.RC:
		return errors.New("another exit status")
	case !slices.Equal(slices.Compact(stderr), slices.Compact(s.Stderr)):
		return errors.New("stderr:\n" + strings.Join(stderr, "\n") + "\nwant:\n" + strings.Join(s.Stderr, "\n"))
	}
	return nil
}

// layOut copies a tree and puts the directory into its files.
func layOut(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		dest := filepath.Join(to, rel)
		if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
			return err
		}
		return os.WriteFile(dest, []byte(strings.ReplaceAll(string(b), "@ROOT@", to)), 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

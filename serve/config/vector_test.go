package config

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/conf"
)

// vector is one run of a real doveconf, or of dovecot -n of 1.1: the files it
// was given and what it answered. @ROOT@ stands for the directory.
type vector struct {
	Name   string            `json:"name"`
	Files  map[string]string `json:"files"`
	Args   []string          `json:"args"`
	Env    map[string]string `json:"env"`
	RC     int               `json:"rc"`
	Stdout string            `json:"stdout"`
	Stderr []string          `json:"stderr"`
}

func loadVectors(t testing.TB, name string) []vector {
	t.Helper()
	f, err := os.Open(filepath.Join("../../formats/conf/testdata", name+".gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	lines := bufio.NewScanner(unzipped)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// answer is what we say to a vector.
type answer struct {
	stdout string
	stderr []string
	rc     int
}

// flags reads doveconf's arguments.
func flags(t testing.TB, args []string) (o PrintOptions, expand bool, bad string) {
	t.Helper()
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "-a":
		case "-n":
			o.Scope = NonDefault
		case "-N":
			o.Scope = Set
		case "-s":
			o.Scope = Everything
		case "-S":
			o.Simple = true
		case "-P":
			o.Secrets = true
		case "-x":
			expand = true
		case "-h":
			o.Values = true
		case "-d":
			o.Defaults = true
		case "-o":
			i++
		case "-m":
			i++
			o.Modules = append(o.Modules, args[i])
		case "-f":
			i++
			if err := o.Filter.ParseFilter(t.Context(), args[i]); err != nil {
				return o, expand, "Fatal: " + err.Error()
			}
		default:
			if strings.HasPrefix(args[i], "-") {
				return o, expand, "usage"
			}
			o.Names = append(o.Names, args[i])
		}
	}
	return o, expand, ""
}

// run lays a vector's files out and answers it.
func (v vector) run(t testing.TB, d conf.Dialect) answer {
	t.Helper()
	root := v.layOut(t)
	o, expand, bad := flags(t, v.Args)
	if bad != "" {
		return answer{stderr: []string{bad}, rc: 89}
	}
	c, problems := Load(context.Background(), root+"/d.conf", Options{Dialect: d, Expand: expand, NoProtocols: true,
		Getenv: func(name string) string { return v.Env[name] }, User: vectorUser})
	var out strings.Builder
	a := answer{stderr: problems.Stderr(o), rc: problems.Status(o)}
	if problems.Fatal() == nil {
		if err := c.Print(&out, o); err != nil {
			t.Fatal(err)
		}
	}
	a.stdout = strings.ReplaceAll(out.String(), root, "@ROOT@")
	for i, line := range a.stderr {
		a.stderr[i] = strings.ReplaceAll(line, root, "@ROOT@")
	}
	return a
}

// layOut writes the files of a vector and gives their directory.
func (v vector) layOut(t testing.TB) string {
	root := t.TempDir()
	for name, text := range v.Files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "@ROOT@", root)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// vectorUser answers as the machine did on which the vectors
// were made.
func vectorUser(name string) bool {
	return slices.Contains([]string{"dovecot", "dovenull", "root"}, name)
}

// differs tells how an answer is not the recorded one. Lines of standard error
// are compared without their order: the two streams of helpers were mixed.
func (a answer) differs(v vector) error {
	switch want := slices.Sorted(slices.Values(v.Stderr)); {
	case a.stdout != v.Stdout:
		return errors.New("stdout:\n" + a.stdout + "want:\n" + v.Stdout)
	case a.rc != v.RC:
		return errors.New("another exit status")
	case !slices.Equal(slices.Compact(slices.Sorted(slices.Values(a.stderr))), want):
		return errors.New("stderr:\n" + strings.Join(a.stderr, "\n") + "\nwant:\n" + strings.Join(v.Stderr, "\n"))
	}
	return nil
}

// check runs all vectors of a file. Those in deliberate must differ, for the
// reason that stands there.
func checkVectors(t *testing.T, file string, d conf.Dialect, deliberate map[string]string) {
	passed := 0
	for _, v := range loadVectors(t, file) {
		t.Run(v.Name, func(t *testing.T) {
			err := v.run(t, d).differs(v)
			why, ok := deliberate[v.Name]
			switch {
			case err != nil && !ok:
				t.Errorf("%v\nfiles: %q\nargs: %v", err, v.Files, v.Args)
			case err == nil && ok:
				t.Errorf("answers as recorded, but is listed as different: %s", why)
			case err != nil:
				t.Logf("deliberately different: %s", why)
			default:
				passed++
			}
		})
	}
	t.Logf("%s: %d answered as recorded, %d deliberately different", file, passed, len(deliberate))
}

func TestVectors23(t *testing.T) {
	checkVectors(t, "doveconf-2.3.19.jsonl", conf.V23, map[string]string{
		"lex-vertical-tab":      "the recording lost the vertical tab, which is part of the value",
		"cli-unknown-flag":      "options are the business of the command, not of this package",
		"chkp-mail-plugins-dir": "there is no folder of plug-ins that could be missing",
	})
}

func TestVectors24(t *testing.T) {
	checkVectors(t, "doveconf-2.4.4.jsonl", conf.V24, map[string]string{
		"out-F": "the internal form of 2.4's own configuration process is of no use to anybody else",
	})
}

// TestVectors1 compares what is accepted, and where the first error is. What
// dovecot -n of 1.1 printed is no configuration, and not imitated.
func TestVectors1(t *testing.T) {
	deliberate := map[string]string{
		"v1-default-mail-env": "1.0 knew the setting, and what it means is certain",
		"v1-server-section":   "several servers in one file are refused where they begin",
	}
	for _, v := range loadVectors(t, "doveconf-1.1rc8.jsonl") {
		t.Run(v.Name, func(t *testing.T) {
			root := v.layOut(t)
			_, problems := Load(t.Context(), root+"/d.conf", Options{Dialect: conf.V1, NoProtocols: true})
			got := ""
			if p := problems.Fatal(); p != nil {
				got = p.Line
			} else if p := problems.Failed(); p != nil {
				got = p.Text
			}
			want := ""
			if v.RC != 0 {
				want = strings.TrimPrefix(v.Stderr[0], "Error: ")
			}
			got = strings.ReplaceAll(got, root, "@ROOT@")
			why, ok := deliberate[v.Name]
			switch {
			case got != want && !ok:
				t.Errorf("%q: got %q, want %q", v.Files["d.conf"], got, want)
			case got == want && ok:
				t.Errorf("answers as recorded, but is listed as different: %s", why)
			case got != want:
				t.Logf("deliberately different: %s", why)
			}
		})
	}
}

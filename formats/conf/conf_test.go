package conf

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// vector is what real Dovecot said about a configuration.
type vector struct {
	Name    string
	Files   map[string]string
	RC      int
	Stdout  string
	Stderr  []string
	dialect Dialect
}

// vectors reads testdata/doveconf-*.jsonl.gz.
func vectors(t testing.TB) []vector {
	var all []vector
	for name, d := range map[string]Dialect{"1.1rc8": V1, "2.3.19": V23, "2.4.4": V24} {
		f, err := os.Open(filepath.Join("testdata", "doveconf-"+name+".jsonl.gz"))
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(z)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range bytes.Split(bytes.TrimSpace(b), []byte("\n")) {
			v := vector{dialect: d}
			if err := json.Unmarshal(line, &v); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, v)
		}
	}
	return all
}

// load reads a vector's files from a tree whose root stands for @ROOT@.
func (v vector) load(t testing.TB) *Config {
	tree := fstest.MapFS{}
	for name, text := range v.Files {
		tree["@ROOT@/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	c, err := Load(In{tree}, "@ROOT@/d.conf", Options{Dialect: v.dialect})
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	return c
}

// syntactic are the complaints that this package must make itself.
var syntactic = []string{"Expecting ", "Garbage after", "Unexpected '}'", "Missing '}'", "No matches", "Recursive include",
	"Couldn't open include", "Unknown escape sequence", "Expecting group name"}

// complaint gives what Dovecot said about the syntax, without its severity.
func (v vector) complaint(severity string) string {
	for _, line := range v.Stderr {
		text, ok := strings.CutPrefix(line, severity)
		for _, s := range syntactic {
			if ok && (strings.Contains(text, ": "+s) || strings.Contains(text, "Ambiguous '#'")) {
				return text
			}
		}
	}
	return ""
}

func TestEveryRecordedFileGivesTheRecordedComplaint(t *testing.T) {
	for _, v := range vectors(t) {
		c := v.load(t)
		severity := "Fatal: "
		if v.dialect == V1 {
			severity = "Error: "
		}
		got := ""
		if p := c.First(); p != nil {
			got = p.Error()
		}
		if want := v.complaint(severity); got != want {
			t.Errorf("%v %s: %q\n got %q\nwant %q", v.dialect, v.Name, v.Files["d.conf"], got, want)
		}
		warning := ""
		for _, p := range c.Problems {
			if p.Severity == Warning {
				warning = p.Error()
			}
		}
		if want := v.complaint("Warning: "); warning != want {
			t.Errorf("%v %s: got warning %q, want %q", v.dialect, v.Name, warning, want)
		}
	}
}

package userdb

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestLines(t *testing.T) {
	for _, tc := range []struct {
		name, line string
		want       map[string]string
	}{
		{"fields", "ann@x\tuid=89|gid=89|home=/h/a b|systempw=$1$a$b", map[string]string{"uid": "89", "gid": "89", "home": "/h/a b", "systempw": "$1$a$b"}},
		{"a value with a sign of equality", "a\toptions=disableimap=1,group=x", map[string]string{"options": "disableimap=1,group=x"}},
		{"a field without a value", "a\tx||y=", map[string]string{"x": "", "y": ""}},
		{"the first of two counts", "a\tuid=1|uid=2", map[string]string{"uid": "1"}},
	} {
		e, ok, err := Parse(tc.line)
		if !ok || err != nil || !reflect.DeepEqual(e.Fields, tc.want) {
			t.Errorf("%s: %q gave %+v, %v", tc.name, tc.line, e, err)
		}
	}
	for _, line := range []string{"", " ", "# x\ty"} {
		if _, ok, err := Parse(line); ok || err != nil {
			t.Errorf("%q is an entry, %v", line, err)
		}
	}
	for _, line := range []string{"secret", "\tuid=1|systempw=secret"} {
		if e, ok, err := Parse(line); ok || err == nil || e.Name != "" || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q gave %+v, %v", line, e, err)
		}
	}
	e, _, _ := Parse("a\toptions= disableimap=1,, group=x,bare")
	if got := e.Options(); !reflect.DeepEqual(got, map[string]string{"disableimap": "1", "group": "x", "bare": ""}) {
		t.Errorf("options %q", got)
	}
}

func TestAFolderIsReadFileByFile(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a": "ann\tuid=1\n# c\nbob\tuid=2", "b/c": "ann\tuid=3\neve\tuid=4\n", ".hidden": "mallory\tuid=0\n", "d": "x\x00\tuid=5\nfay\tuid=6\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for e, err := range Entries(dir) {
		if err != nil {
			got = append(got, strings.ReplaceAll(err.Error(), dir, ""))
			continue
		}
		got = append(got, e.Name+e.Fields["uid"])
	}
	want := []string{"ann1", "bob2", "/b/c line 1: ann: the same name as in /a line 1, which is the one that counts", "eve4", "/d line 1: x\x00: holds a zero byte", "fay6"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, err := range Entries(filepath.Join(dir, "none")) {
		if !os.IsNotExist(err) {
			t.Errorf("no file: %v", err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("ann@x\tuid=89|gid=89|home=/h|options=disableimap=1,group=x")
	f.Fuzz(func(t *testing.T, line string) {
		e, ok, err := Parse(line)
		if ok && (err != nil || e.Name == "" || strings.Contains(e.Name, "\t")) {
			t.Fatalf("%q gave %+v, %v", line, e, err)
		}
		e.Options() // it must only not panic
	})
}

package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers says which rooms of ours a room may import besides itself. scripts are programs that nothing imports.
var layers = map[string][]string{
	"cmd":     {"convert", "serve", "sync", "formats", "auth"},
	"scripts": {"convert", "serve", "sync", "formats", "auth"},
	"convert": {"sync", "formats", "auth"},
	"serve":   {"sync", "formats", "auth"},
	"sync":    {"formats"},
	"formats": {},
	"auth":    {},
}

// leaves know no mailbox and import nothing of ours.
var leaves = []string{"formats/disk", "formats/message", "formats/conf", "formats/courierconf", "formats/imapwire"}

// homes keeps each library in the one folder that knows it; tests may use it as a second opinion where testsToo says so.
var homes = []struct {
	library  string
	folders  []string
	testsToo bool
}{
	{"github.com/emersion/go-imap", []string{"formats/imapc", "formats/imapwire", "serve/imap", "serve/search"}, true},
	{"github.com/emersion/go-smtp", []string{"serve/submission"}, true},
	{"github.com/emersion/go-sasl", []string{"serve/submission"}, true},
	{"github.com/emersion/go-maildir", []string{"formats/maildir"}, false},
	{"github.com/emersion/go-mbox", []string{"formats/mbox"}, false},
	{"github.com/schollz/progressbar", []string{"cmd/dovetail"}, false},
	{"github.com/spf13/cobra", []string{"cmd/dovetail"}, false},
	{"github.com/spf13/pflag", []string{"cmd/dovetail"}, false},
	{"golang.org/x/term", []string{"cmd/dovetail"}, false},
	{"github.com/klauspost/compress", []string{"formats/compress"}, true},
	{"github.com/pierrec/lz4", []string{"formats/compress"}, true},
	{"github.com/ulikunitz/xz", []string{"formats/compress"}, true},
	{"github.com/go-sql-driver/mysql", []string{"auth/sql/mysql"}, false},
	{"github.com/jackc/pgx", []string{"auth/sql/pgsql"}, false},
	{"modernc.org/sqlite", []string{"auth/sql/sqlite"}, false},
	{"github.com/go-ldap/ldap", []string{"auth/ldap"}, false},
	{"github.com/go-crypt/x", []string{"auth/scheme"}, false},
	{"github.com/xdg-go/scram", []string{"auth/sasl", "auth/scheme"}, true},
	{"github.com/go-jose/go-jose", []string{"auth/oauth2"}, true},
	{"github.com/ebitengine/purego", []string{"cmd/dovetail-pam"}, false},
	{"golang.org/x/crypto", []string{"auth/scheme"}, true},
	{"golang.org/x/time", []string{""}, true},
	{"golang.org/x/text", []string{"formats/layout", "formats/message", "sync"}, false},
	{"github.com/rogpeppe/go-internal", nil, true},
	{"golang.org/x/sys", []string{""}, true},
	{"golang.org/x/sync", []string{""}, true},
}

// forbidden says why a file in folder (relative to the root of the module) must not import path, or "".
func forbidden(folder, path string, test bool) string {
	ours, isOurs := strings.CutPrefix(path, "dovetail/")
	switch {
	case isOurs && test && (room(folder) == "auth" || folder == "formats/message") && within(ours, "formats/formatstest"):
		return "" // the real Dovecot
	case isOurs:
		return forbiddenRoom(folder, ours)
	case !strings.Contains(strings.Split(path, "/")[0], "."):
		return "" // the standard library
	}
	for _, h := range homes {
		if path != h.library && !strings.HasPrefix(path, h.library+"/") {
			continue
		}
		if test && h.testsToo || slices.ContainsFunc(h.folders, func(f string) bool { return within(folder, f) }) {
			return ""
		}
		return h.library + " has its home in " + strings.Join(h.folders, ", ")
	}
	return "no library but those listed in this test"
}

func forbiddenRoom(folder, ours string) string {
	from, to := room(folder), room(ours)
	switch {
	case slices.ContainsFunc(leaves, func(l string) bool { return within(folder, l) && !within(ours, l) }):
		return folder + " is a leaf"
	case from == to && from != "scripts":
		return ""
	case from == "auth" && ours == "formats/conf/variable":
		return "" // a leaf without mail: queries, filters and fields are templates
	case slices.Contains(layers[from], to):
		return ""
	}
	return from + " must not know " + to
}

func room(folder string) string { return strings.Split(folder, "/")[0] }

// within tells whether folder is top or below it; "" is the whole module.
func within(folder, top string) bool {
	return top == "" || folder == top || strings.HasPrefix(folder, top+"/")
}

func TestTheLayersHold(t *testing.T) {
	root := filepath.Join("..", "..")
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "samples") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		files++
		return checkImports(t, root, path)
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Fatalf("only %d Go files found below %s", files, root)
	}
}

func checkImports(t *testing.T, root, path string) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(root, path)
	if err != nil {
		return err
	}
	folder := filepath.ToSlash(filepath.Dir(rel))
	if layers[room(folder)] == nil {
		t.Errorf("%s: no such room in the layers", rel)
	}
	for _, imp := range file.Imports {
		name, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			return err
		}
		// Code that only tests import may use what tests may.
		test := strings.HasSuffix(path, "_test.go") || within(folder, "formats/formatstest") || within(folder, "auth/authtest") || within(folder, "serve/servetest")
		if why := forbidden(folder, name, test); why != "" {
			t.Errorf("%s imports %s: %s", rel, name, why)
		}
	}
	return nil
}

func TestForbiddenArrows(t *testing.T) {
	for _, tc := range []struct {
		name, folder, path string
		test, refused      bool
	}{
		{"cmd uses sync", "cmd/dovetail", "dovetail/sync", false, false},
		{"sync uses formats", "sync", "dovetail/formats/disk", false, false},
		{"formats does not know sync", "formats/sdbox", "dovetail/sync", false, true},
		{"not even in tests", "formats/sdbox", "dovetail/sync", true, true},
		{"formats use each other", "formats/sdbox", "dovetail/formats/index", false, false},
		{"disk is a leaf", "formats/disk", "dovetail/formats", false, true},
		{"nobody imports cmd", "sync", "dovetail/cmd/dovetail", false, true},
		{"nobody imports scripts", "scripts/rows", "dovetail/scripts/bench", false, true},
		{"auth stands alone", "auth/sql", "dovetail/formats", false, true},
		{"but for real servers in tests", "auth/sql", "dovetail/formats/formatstest/dovecot", true, false},
		{"which are not for the program", "auth/sql", "dovetail/formats/formatstest/dovecot", false, true},
		{"go-mbox at home", "formats/mbox", "github.com/emersion/go-mbox", false, false},
		{"go-mbox elsewhere", "sync", "github.com/emersion/go-mbox", false, true},
		{"a library's version suffix is the library", "sync", "github.com/schollz/progressbar/v3", false, true},
		{"system calls are everybody's", "formats/disk", "golang.org/x/sys/unix", false, false},
		{"an unknown library", "sync", "example.org/left-pad", false, true},
		{"testscript only in tests", "cmd/dovetail", "github.com/rogpeppe/go-internal/testscript", false, true},
		{"the standard library", "formats/disk", "go/parser", false, false},
	} {
		if got := forbidden(tc.folder, tc.path, tc.test); (got != "") != tc.refused {
			t.Errorf("%s: %s importing %s: got %q", tc.name, tc.folder, tc.path, got)
		}
	}
}

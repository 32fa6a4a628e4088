package sql

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
)

// likeMySQL and likePostgres have the rules of strings; nothing is sent.
var (
	likeMySQL = &Dialect{Name: "mysql", DoubleQuotes: true, Backticks: true, Hashes: true, Backslash: true, UTF8: true,
		Placeholder: func(int) string { return "?" }, Concat: func(p []string) string { return "CONCAT(" + strings.Join(p, ", ") + ")" }}
	likePostgres = &Dialect{Name: "pgsql", Dollars: true, Escape: true, UTF8: true,
		Placeholder: func(n int) string { return fmt.Sprintf("$%d ", n) }, Concat: func(p []string) string { return "(" + strings.Join(p, " || ") + ")" }}
	likeSQLite = &Dialect{Name: "sqlite", Backticks: true,
		Placeholder: func(int) string { return "?" }, Concat: func(p []string) string { return "(" + strings.Join(p, " || ") + ")" }}
)

func compiled(t testing.TB, d *Dialect, text string) *query {
	t.Helper()
	parse := variable.Parse24
	if !strings.Contains(text, "%{") {
		parse = variable.Parse23
	}
	template, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	q, err := compile(template, d)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return q
}

func TestValuesAreParametersOrQuoted(t *testing.T) {
	for _, c := range []struct {
		name         string
		dialect      *Dialect
		query, user  string
		bound, plain string
		args         []string
	}{
		{"a variable alone in quotes", likeMySQL, "SELECT 1 WHERE u='%u';", "o'brien", "SELECT 1 WHERE u=?;", `SELECT 1 WHERE u='o\'brien';`, []string{"o'brien"}},
		{"the same in 2.4", likeMySQL, "SELECT 1 WHERE u='%{user}'", `a\`, "SELECT 1 WHERE u=?", `SELECT 1 WHERE u='a\\'`, []string{`a\`}},
		{"several in one string", likeMySQL, "SELECT '/mail/%d/%n/it''s'", "o'b@x", "SELECT ?", `SELECT '/mail/x/o\'b/it''s'`, []string{"/mail/x/o'b/it's"}},
		{"a string with escapes of its own", likeMySQL, `SELECT 'a\'%u\\'`, "b'", `SELECT CONCAT('a\'', ?, '\\')`, `SELECT 'a\'b\'\\'`, []string{"b'"}},
		{"double quotes of MySQL", likeMySQL, `SELECT "%u"`, `a"`, `SELECT ?`, `SELECT "a\""`, []string{`a"`}},
		{"strings without variables stay", likeMySQL, `SELECT 'it''s ? "', "?'", '\'' , '%u' # don't`, "a", `SELECT 'it''s ? "', "?'", '\'' , ? # don't`, `SELECT 'it''s ? "', "?'", '\'' , 'a' # don't`, []string{"a"}},
		{"a quote in a comment is none", likeMySQL, "SELECT -- don't\n '%u' /* ' */ FROM `it's`", "a", "SELECT -- don't\n ? /* ' */ FROM `it's`", "SELECT -- don't\n 'a' /* ' */ FROM `it's`", []string{"a"}},
		{"two minus are no comment of MySQL's without a blank", likeMySQL, "SELECT 1--1, '%u'", "a", "SELECT 1--1, ?", "SELECT 1--1, 'a'", []string{"a"}},
		{"a name between backticks", likeMySQL, "SELECT `disable%n` FROM t", "imap", "SELECT `disableimap` FROM t", "SELECT `disableimap` FROM t", nil},
		{"PostgreSQL", likePostgres, "SELECT 1 WHERE u='%u' AND d='%d'", "o'b@x", "SELECT 1 WHERE u=$1  AND d=$2 ", "SELECT 1 WHERE u='o''b@x' AND d='x'", []string{"o'b@x", "x"}},
		{"a backslash for PostgreSQL", likePostgres, "SELECT '%u'", `a\'`, "SELECT $1 ", `SELECT E'a\\'''`, []string{`a\'`}},
		{"a string with escapes has its values quoted", likePostgres, `SELECT E'\t%u'`, "a'b", `SELECT E'\ta''b'`, `SELECT E'\ta''b'`, nil},
		{"a string with escapes ends where it ends", likePostgres, `SELECT E'it\'s', name'\', '%u'`, "a", `SELECT E'it\'s', name'\', $1 `, `SELECT E'it\'s', name'\', 'a'`, []string{"a"}},
		{"a dollar quote", likePostgres, `SELECT $x$ ' $x$, '%u', $$'$$`, "a", `SELECT $x$ ' $x$, $1 , $$'$$`, `SELECT $x$ ' $x$, 'a', $$'$$`, []string{"a"}},
		{"a parameter of a function is no dollar quote", likePostgres, `SELECT $1, '%u'`, "a", `SELECT $1, $1 `, `SELECT $1, 'a'`, []string{"a"}},
		{"double quotes of PostgreSQL are names", likePostgres, `SELECT "it's%n", '%u'`, "x", `SELECT "it'sx", $1 `, `SELECT "it'sx", 'x'`, []string{"x"}},
		{"SQLite", likeSQLite, `SELECT '%u', '\'`, `a\'`, `SELECT ?, '\'`, `SELECT 'a\''', '\'`, []string{`a\'`}},
		{"a plain word outside of quotes", likeSQLite, `SELECT * FROM t WHERE id = %n`, "42", `SELECT * FROM t WHERE id = 42`, `SELECT * FROM t WHERE id = 42`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := compiled(t, c.dialect, c.query).statement(&auth.Request{User: c.user})
			if err != nil {
				t.Fatal(err)
			}
			if s.bound != c.bound || s.plain != c.plain || !reflect.DeepEqual(s.args, c.args) {
				t.Errorf("%s for %q\n gives %s %q\n  want %s %q\n plain %s\n  want %s", c.query, c.user, s.bound, s.args, c.bound, c.args, s.plain, c.plain)
			}
		})
	}
}

func TestNamesThatNoAccountCanHaveAreNotAskedFor(t *testing.T) {
	for _, c := range []struct {
		name        string
		dialect     *Dialect
		query, user string
	}{
		{"SQL outside of quotes", likeMySQL, "SELECT * FROM t WHERE id=%u", "1 OR 1=1"},
		{"a comment outside of quotes", likeMySQL, "SELECT * FROM t WHERE id=%u AND x='y'", "1--"},
		{"the end of a name in backticks", likeMySQL, "SELECT `x%u`", "a`"},
		{"the end of a name in double quotes", likePostgres, `SELECT "x%u"`, `a"`},
		{"the end of a dollar quote", likePostgres, `SELECT $$%u$$`, `a$$`},
		{"the end of a comment", likePostgres, "SELECT 1 -- %u", "a\nb"},
		{"a backslash in a string with escapes", likePostgres, `SELECT E'\t%u'`, `a\`},
		{"a backslash beside one that may be an escape", likePostgres, `SELECT '\x%u'`, `\`},
		{"a NUL", likeSQLite, `SELECT '%u'`, "a\x00b"},
		{"what is not UTF-8", likeMySQL, `SELECT '%u'`, "a\xbf'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := compiled(t, c.dialect, c.query).statement(&auth.Request{User: c.user})
			if !errors.Is(err, auth.ErrUnknown) {
				t.Errorf("%s for %q: %v", c.query, c.user, err)
			}
		})
	}
}

func TestAQuoteWithoutAnEndIsAnError(t *testing.T) {
	template, err := variable.Parse23("SELECT 'a%u")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := compile(template, likeMySQL); err == nil {
		t.Error("accepted")
	}
}

func TestPasswordsAreNotShown(t *testing.T) {
	q := compiled(t, likeMySQL, "SELECT NULL AS password, 'y' AS nopassword FROM t WHERE u='%u' AND p=SHA1('%w')")
	r := &auth.Request{User: "alice", Password: "s3'cret"}
	if got, want := q.shown(r), "SELECT NULL AS password, 'y' AS nopassword FROM t WHERE u='alice' AND p=SHA1('<hidden>')"; got != want {
		t.Errorf("shown %s", got)
	}
	for _, text := range []string{"near 's3'cret'", `near 's3\'cret'`} {
		if got := q.hide(r, text); strings.Contains(got, "cret") {
			t.Errorf("an error tells %s", got)
		}
	}
	r.Pass = auth.Fields{{Key: "password", Value: "{PLAIN}s3cret"}}
	if got := compiled(t, likeMySQL, "SELECT '%{passdb:password}'").shown(r); strings.Contains(got, "s3cret") {
		t.Errorf("shown %s", got)
	}
}

// FuzzQuery: whatever the value, the statement with it is the one with a harmless value but for one string, which ends
// where it should.
func FuzzQuery(f *testing.F) {
	for _, v := range []string{"o'brien", "') or 1=1 -- ", `\`, `\'`, "%", "é", "\x00", "a\xbf'", "$$", "/*", `"`} {
		f.Add("SELECT 'a%u' FROM t", v)
		f.Add("SELECT E'a%u', $x$%u$x$, \"%u\", `%u` -- %u", v)
	}
	f.Fuzz(func(t *testing.T, text, user string) {
		template, err := variable.Parse23(text)
		if err != nil {
			return
		}
		for _, d := range []*Dialect{likeMySQL, likePostgres, likeSQLite} {
			q, err := compile(template, d)
			if err != nil {
				continue
			}
			s, err := q.statement(&auth.Request{User: user})
			if err != nil {
				continue
			}
			plain, err := variable.Parse23(strings.ReplaceAll(s.plain, "%", "%%"))
			if err != nil {
				t.Fatal(err)
			}
			again, err := compile(plain, d)
			if err != nil && d != likePostgres {
				t.Fatalf("%s: %q for %q gives %q, which has no end: %v", d.Name, text, user, s.plain, err)
			}
			if err == nil && len(again.segments) > 1 {
				t.Fatalf("%s: %q for %q gives %q", d.Name, text, user, s.plain)
			}
		}
	})
}

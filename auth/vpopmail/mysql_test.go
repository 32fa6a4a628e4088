package vpopmail

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dovetail/auth/authtest"
	"dovetail/auth/sql/mysql"
)

func TestServersOfVpopmailMySQL(t *testing.T) {
	for _, tc := range []struct {
		name, text   string
		read, update mysql.Server
		refused      bool
	}{
		{"one line is for both", "db|3307|u|p|v\n", mysql.Server{Host: "db", Port: 3307, User: "u", Password: "p", Database: "v"}, mysql.Server{Host: "db", Port: 3307, User: "u", Password: "p", Database: "v"}, false},
		{"the second is for updates", "# c\n\na|0|u|p|v\nb||u|p|w", mysql.Server{Host: "a", User: "u", Password: "p", Database: "v"}, mysql.Server{Host: "b", User: "u", Password: "p", Database: "w"}, false},
		{"a password with bars", "a|0|u|p|q|r|v", mysql.Server{Host: "a", User: "u", Password: "p|q|r", Database: "v"}, mysql.Server{Host: "a", User: "u", Password: "p|q|r", Database: "v"}, false},
		{name: "too few fields", text: "a|0|secret|v", refused: true},
		{name: "no number", text: "a|x|u|secret|v", refused: true},
		{name: "nothing", text: "# secret\n", refused: true},
	} {
		read, update, err := ParseServers(strings.NewReader(tc.text), "vpopmail.mysql")
		if (err != nil) != tc.refused || read != tc.read || update != tc.update {
			t.Errorf("%s: got %+v, %+v, %v", tc.name, read, update, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error quotes: %v", tc.name, err)
		}
	}
	if s := (mysql.Server{User: "u", Password: "secret"}).String(); strings.Contains(s, "secret") {
		t.Error(s)
	}
}

func script(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(site, "sql", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func connect(t *testing.T, m *authtest.MariaDB, database string) (*sql.DB, *Tables) {
	t.Helper()
	ctx := context.Background()
	db, err := mysql.Open(ctx, mysql.Server{Host: m.Socket, User: "root", Database: database})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	tables, err := OpenTables(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	return db, tables
}

func ofTables(t *testing.T, tables *Tables, domain string) (accounts []Account) {
	t.Helper()
	for a, err := range tables.Accounts(context.Background(), domain) {
		if err != nil {
			t.Fatal(err)
		}
		accounts = append(accounts, a)
	}
	return accounts
}

func TestBothLayoutsHoldTheAccountsOfVpasswd(t *testing.T) {
	m := authtest.StartMariaDB(t)
	m.Load("one", script(t, "vpopmail-one-table.sql"))
	m.Load("each", script(t, "vpopmail-table-per-domain.sql"))
	m.Load("empty")
	for database, one := range map[string]bool{"one": true, "each": false} {
		_, tables := connect(t, m, database)
		if tables.OneTable != one {
			t.Errorf("%s: one table %v", database, tables.OneTable)
		}
		domains, problems, err := tables.Domains(context.Background(), nil)
		if err != nil || len(problems) > 0 || !slices.Equal(domains, []string{"example.com", "example.net"}) {
			t.Errorf("%s: %q, %v, %v", database, domains, problems, err)
		}
		for _, domain := range domains {
			want, _ := all(t, Domain{Real: domain, Dir: site + "/home/vpopmail/domains/" + domain})
			if got := ofTables(t, tables, domain); !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s: got %+v\nwant %+v", database, domain, got, want)
			}
		}
	}
	_, tables := connect(t, m, "one")
	if aliases, err := tables.Aliases(context.Background()); err != nil || !reflect.DeepEqual(aliases, [][2]string{{"example.org", "example.com"}}) {
		t.Errorf("aliases %q, %v", aliases, err)
	}
	if _, tables = connect(t, m, "empty"); !tables.OneTable || len(ofTables(t, tables, "example.com")) > 0 {
		t.Error("an empty database has accounts")
	}
}

// hostile are names that do harm where a value gets into a statement as text.
var hostile = []string{"o'brien", "') or 1=1 -- ", `back\slash'`, "new\nline", "ünï", `"; DROP TABLE vpopmail; -- `}

func TestNamesAreValuesAndNeverStatements(t *testing.T) {
	m := authtest.StartMariaDB(t)
	m.Load("one", script(t, "vpopmail-one-table.sql"), "CREATE TABLE limits (domain char(96), disable_pop int, disable_webmail tinyint)",
		"INSERT INTO limits VALUES ('example.com', 1, 0), ('example.net', NULL, 1)")
	db, tables := connect(t, m, "one")
	for _, name := range hostile {
		if got := ofTables(t, tables, name); len(got) > 0 {
			t.Errorf("domain %q has %d accounts", name, len(got))
		}
		if l, err := tables.Limits(context.Background(), name); err != nil || l != (Limits{}) {
			t.Errorf("domain %q has limits %+v, %v", name, l, err)
		}
		if _, err := db.Exec("INSERT INTO vpopmail (pw_name, pw_domain) VALUES (?, ?)", name, "hostile"); err != nil {
			t.Fatal(err)
		}
	}
	got := ofTables(t, tables, "hostile")
	if len(got) != len(hostile) {
		t.Errorf("%d accounts of %d", len(got), len(hostile))
	}
	for _, a := range got { // a CHAR column gives names without blanks at their end
		if !slices.ContainsFunc(hostile, func(name string) bool { return strings.TrimRight(name, " ") == a.Name }) || a.Hash != "" || a.Clear != "" {
			t.Errorf("got %+v", a)
		}
	}
	if l, err := tables.Limits(context.Background(), "example.com"); err != nil || l.Flags != NoPOP {
		t.Errorf("limits %+v, %v", l, err)
	}
	if _, err := quoteTable("x`; DROP TABLE vpopmail; -- "); err == nil {
		t.Error("such a table is asked")
	}
}

func TestATableNobodyClaimsIsAProblem(t *testing.T) {
	m := authtest.StartMariaDB(t)
	m.Load("each", "CREATE TABLE my_dom_ain_org (pw_name char(32), pw_passwd char(40), pw_uid int, pw_gid int, pw_gecos char(48), pw_dir char(160), pw_shell char(20))",
		"INSERT INTO my_dom_ain_org VALUES ('ann', 'xYEzwLG5knggo', NULL, NULL, NULL, NULL, NULL)")
	_, tables := connect(t, m, "each")
	names, problems, err := tables.Domains(context.Background(), nil)
	if err != nil || !slices.Equal(names, []string{"my.dom.ain.org"}) || len(problems) != 1 {
		t.Errorf("got %q, %v, %v", names, problems, err)
	}
	names, problems, err = tables.Domains(context.Background(), []Domain{{Real: "my-dom.ain.org"}})
	if err != nil || !slices.Equal(names, []string{"my-dom.ain.org"}) || len(problems) != 0 {
		t.Errorf("got %q, %v, %v", names, problems, err)
	}
	got := ofTables(t, tables, "my-dom.ain.org")
	if len(got) != 1 || got[0] != (Account{Name: "ann", Domain: "my-dom.ain.org", Hash: "xYEzwLG5knggo"}) {
		t.Errorf("got %+v", got)
	}
}

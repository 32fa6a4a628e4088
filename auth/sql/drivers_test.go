package sql_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/auth/sql"
	"dovetail/auth/sql/mysql"
	"dovetail/auth/sql/pgsql"
	"dovetail/auth/sql/sqlite"
	"dovetail/formats/conf/variable"
)

// site is a database with accounts in it, of one of the drivers.
type site struct {
	driver  string
	pool    *sql.Pool
	run     func(statement string) // as the administrator
	connect string                 // for Dovecot
	stop    func()
	start   func()
}

// names are accounts whose names are awkward in one language or another.
var names = []string{"alice", "o'brien", `') or 1=1 -- `, `back\slash`, `end\`, "per%cent%u", `quo"te`, "grün@exämple", "名前", "a;b", "$1", "?", "`tick`", "\t", "x' OR '1'='1", "/*", "#", "'", `\'`}

func quoteFor(driver, s string) string {
	s = strings.ReplaceAll(s, "'", "''")
	if driver == "mysql" {
		s = strings.ReplaceAll(s, `\`, `\\`)
	}
	return "'" + s + "'"
}

// fill makes the table of accounts anew.
func (s *site) fill() {
	script := "DROP TABLE IF EXISTS users; CREATE TABLE users (id INTEGER, username VARCHAR(128) PRIMARY KEY, password VARCHAR(255), quota BIGINT, home VARCHAR(255));\n"
	for i, n := range names {
		script += fmt.Sprintf("INSERT INTO users VALUES (%d, %s, '{PLAIN}pw%d', %d, NULL);\n", i, quoteFor(s.driver, n), i, i*1000000000)
	}
	s.run(script)
}

// starts has what makes a site of each driver.
var starts = []struct {
	driver string
	start  func(testing.TB) *site
}{{"mysql", onMySQL}, {"pgsql", onPostgres}, {"sqlite", onSQLite}}

func TestDrivers(t *testing.T) {
	for _, driver := range starts {
		t.Run(driver.driver, func(t *testing.T) {
			s := driver.start(t)
			t.Cleanup(func() { s.pool.Close() })
			for _, c := range []struct {
				name string
				test func(*testing.T, *site)
			}{
				{"R-208 injection finds nobody, and each awkward name its own account", awkwardNames},
				{"R-206 a password query that gives the wrong thing says so", brokenQueries},
				{"columns are fields", columns},
				{"queries may verify the password", verifyingQueries},
				{"R-207 users are listed", listing},
				{"users are looked up while they are listed", lookupsWhileListing},
				{"R-201 nothing is written but by the update query", updates},
			} {
				t.Run(c.name, func(t *testing.T) {
					s.fill()
					c.test(t, s)
				})
			}
		})
	}
}

func pool(t testing.TB, d *sql.Dialect, o sql.PoolOptions, servers ...sql.Server) *sql.Pool {
	t.Helper()
	p, err := sql.NewPool(d, servers, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func onMySQL(t testing.TB) *site {
	m := authtest.StartMariaDBOnPort(t)
	m.Load("mail", "CREATE USER dovecot@'127.0.0.1' IDENTIFIED BY 'se$cret'; GRANT SELECT ON mail.* TO dovecot@'127.0.0.1';")
	s := &site{driver: "mysql", run: func(q string) { m.Query("mail", q) }, stop: m.Stop, start: m.Start}
	s.connect = fmt.Sprintf("host=127.0.0.1 port=%d dbname=mail user=dovecot password=se$cret", m.Port)
	s.pool = pool(t, mysql.Dialect(), sql.PoolOptions{}, mysqlServers(t, s.connect)...)
	return s
}

func mysqlServers(t testing.TB, connect string) []sql.Server {
	t.Helper()
	configs, err := mysql.Parse(connect)
	if err != nil {
		t.Fatal(err)
	}
	var list []sql.Server
	for _, c := range configs {
		connector, err := c.Connector()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, sql.Server{Host: c.Host, Database: c.Database, Connector: connector})
	}
	return list
}

func onPostgres(t testing.TB) *site {
	p := authtest.StartPostgres(t)
	p.Query("CREATE USER dovecot PASSWORD 'se$cret'; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO dovecot;")
	s := &site{driver: "pgsql", run: func(q string) { p.Query(q) }, stop: p.Stop, start: p.Start}
	s.connect = fmt.Sprintf("host=127.0.0.1 port=%d dbname=postgres user=dovecot password=se$cret", p.Port)
	s.pool = pool(t, pgsql.Dialect(), sql.PoolOptions{}, pgsqlServers(t, s.connect)...)
	return s
}

func pgsqlServers(t testing.TB, connect string) []sql.Server {
	t.Helper()
	configs, err := pgsql.Parse(connect)
	if err != nil {
		t.Fatal(err)
	}
	var list []sql.Server
	for _, c := range configs {
		connector, err := c.Connector()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, sql.Server{Host: c.Host, Database: c.Database(), Connector: connector})
	}
	return list
}

func onSQLite(t testing.TB) *site {
	path := filepath.Join(t.TempDir(), "mail ?#%.db")
	run := authtest.SQLite(t, path)
	connector, err := sqlite.Connector(path, false)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{driver: "sqlite", connect: path, run: run}
	s.pool = pool(t, sqlite.Dialect(), sql.PoolOptions{}, sql.Server{Database: path, Connector: connector})
	return s
}

func template(t testing.TB, text string) *variable.Template {
	t.Helper()
	if text == "" {
		return nil
	}
	parsed, err := variable.Parse23(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func (s *site) pass(t testing.TB, query string) *sql.PassDB {
	t.Helper()
	db, err := sql.NewPassDB(sql.Options{Pool: s.pool, Query: template(t, query)})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func (s *site) user(t testing.TB, query, iterate string) *sql.UserDB {
	t.Helper()
	db, err := sql.NewUserDB(sql.Options{Pool: s.pool, Query: template(t, query), Iterate: template(t, iterate)})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func find(t testing.TB, db auth.UserDB, user string) (auth.Fields, error) {
	t.Helper()
	return db.Find(context.Background(), &auth.Request{User: user, Service: "imap", Password: "right"})
}

const byName = "SELECT username AS user, password, NULL AS absent FROM users WHERE username='%u';"

func awkwardNames(t *testing.T, s *site) {
	for _, query := range []string{byName, "SELECT username AS user, password FROM users WHERE '%u' = username", "SELECT username AS user, password FROM users WHERE concat('x%u', 'y') = concat('x', username, 'y')",
		"SELECT username AS user, password FROM users WHERE username = '%u' AND 'a' 'b' = 'ab'"} {
		if s.driver == "sqlite" && strings.Contains(query, "concat") || s.driver != "mysql" && strings.Contains(query, "'a' 'b'") {
			continue
		}
		db := s.pass(t, query)
		for i, n := range names {
			got, err := find(t, db, n)
			if want := (auth.Fields{{Key: "user", Value: n}, {Key: "password", Value: fmt.Sprintf("{PLAIN}pw%d", i)}}); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s for %q gives %v, %v; want %v", query, n, got, err, want)
			}
		}
		for _, n := range []string{"nobody", "x' OR username='alice", "alice' -- ", `alice\`, `\' OR 1=1 -- `, "alice\x00", "ali%", "\xbf' OR 1=1 -- ", "\xbf\x5c' OR 1=1 -- ", "alice';DROP TABLE users;-- ", strings.Repeat("a", 1<<20)} {
			if got, err := find(t, db, n); !errors.Is(err, auth.ErrUnknown) {
				t.Errorf("%s for %.50q gives %v, %v", query, n, got, err)
			}
		}
	}
}

func brokenQueries(t *testing.T, s *site) {
	for _, c := range []struct{ name, query, text string }{
		{"no password", "SELECT username FROM users WHERE username='%u'", "Password query must return a field named 'password'"},
		{"two rows", "SELECT password FROM users", "Password query returned multiple matches"},
		{"no such column", "SELECT nope AS password FROM users WHERE username='%u'", "Password query failed: "},
		{"no SQL", "SELEKT '%u'", "Password query failed: "},
	} {
		_, err := find(t, s.pass(t, c.query), "alice")
		refusal, ok := errors.AsType[*auth.Refusal](err)
		if !ok || !strings.HasPrefix(refusal.Text, c.text) || refusal.Level != slog.LevelError || errors.Is(err, auth.ErrUnknown) || errors.Is(err, auth.ErrMismatch) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	db, err := sql.NewPassDB(sql.Options{Pool: s.pool, Query: template(t, "SELECT nope AS password"), BuiltIn: "SELECT x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := find(t, db, "alice"); err == nil || !strings.HasSuffix(err.Error(), "(using built-in default query: SELECT x)") {
		t.Errorf("a built-in query: %v", err)
	}
}

func columns(t *testing.T, s *site) {
	s.run("UPDATE users SET home = '/home/a' WHERE id = 0")
	for _, c := range []struct {
		name, query string
		want        auth.Fields
	}{
		{"R-205 a row of a userdb, with ; at the end", "SELECT username AS user, home, 5000 AS uid, NULL AS gid, quota FROM users WHERE username='%u';",
			auth.Fields{{Key: "user", Value: "alice"}, {Key: "home", Value: "/home/a"}, {Key: "uid", Value: "5000"}, {Key: "quota", Value: "0"}}},
		{"of several rows the first", "SELECT username FROM users WHERE id < 2 ORDER BY id -- %u", auth.Fields{{Key: "username", Value: "alice"}}},
		{"decimals as the server writes them", "SELECT 1.50 AS a, 2 AS b, '%s' AS c", auth.Fields{{Key: "a", Value: map[string]string{"mysql": "1.50", "pgsql": "1.50", "sqlite": "1.5"}[s.driver]}, {Key: "b", Value: "2"}, {Key: "c", Value: "imap"}}},
		{"strings and values in one", "SELECT '/mail/%d/%n' AS home", auth.Fields{{Key: "home", Value: "/mail//alice"}}},
		{"an unquoted word", "SELECT %n.username AS user FROM users alice WHERE id = 0", auth.Fields{{Key: "user", Value: "alice"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := find(t, s.user(t, c.query, ""), "alice")
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s gives %v, %v; want %v", c.query, got, err, c.want)
			}
		})
	}
}

func verifyingQueries(t *testing.T, s *site) {
	db := s.pass(t, "SELECT NULL AS password, 'Y' AS nopassword FROM users WHERE username='%u' AND password='{PLAIN}%w'")
	for password, want := range map[string]error{"pw0": nil, "pw1": auth.ErrUnknown, "": auth.ErrUnknown, "x' OR '1'='1": auth.ErrUnknown, `\`: auth.ErrUnknown, "\x00": auth.ErrUnknown, strings.Repeat("x", 1<<20): auth.ErrUnknown} {
		got, err := db.Find(context.Background(), &auth.Request{User: "alice", Password: password})
		if !errors.Is(err, want) || err == nil && !reflect.DeepEqual(got, auth.Fields{{Key: "nopassword", Value: "Y"}}) {
			t.Errorf("password %.20q: %v, %v", password, got, err)
		}
	}
}

func collect(all iter.Seq2[string, error]) (names []string, err error) {
	for n, e := range all {
		if e != nil {
			return names, e
		}
		names = append(names, n)
	}
	return names, nil
}

func listing(t *testing.T, s *site) {
	for _, c := range []struct {
		name, query string
		want        []string
		text        string
	}{
		{"in the order of the answer", "SELECT username FROM users ORDER BY id;", names, ""},
		{"from a column user", "SELECT username AS user, 1 AS x FROM users ORDER BY id", names, ""},
		{"of username and domain", "SELECT username, 'x.org' AS domain FROM users WHERE id < 1", []string{"alice@x.org"}, ""},
		{"username before user, if that is not first", "SELECT username, 'x' AS user FROM users WHERE id < 1", []string{"alice"}, ""},
		{"of user elsewhere", "SELECT 1 AS x, username AS user FROM users WHERE id < 1", []string{"alice"}, ""},
		{"NULL domain", "SELECT username, NULL AS domain FROM users WHERE id < 1", []string{"alice"}, ""},
		{"no name", "SELECT id FROM users", nil, "sql: Iterate query didn't return 'user' field"},
		{"NULL", "SELECT NULL AS user FROM users", nil, "sql: Iterate query returned NULL user"},
		{"no query", "SELECT nope FROM users", nil, "Iterate query failed: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := collect(s.user(t, byName, c.query).Users(context.Background(), &auth.Request{}))
			if !slices.Equal(got, c.want) || (err == nil) != (c.text == "") || err != nil && !strings.HasPrefix(err.Error(), c.text) {
				t.Errorf("%s gives %q, %v; want %q, %s", c.query, got, err, c.want, c.text)
			}
		})
	}
	if _, err := collect(s.user(t, byName, "").Users(context.Background(), &auth.Request{})); !errors.Is(err, auth.ErrNoList) {
		t.Errorf("without a query: %v", err)
	}
}

func lookupsWhileListing(t *testing.T, s *site) {
	db := s.user(t, byName, "SELECT username FROM users")
	var all sync.WaitGroup
	for range 40 { // more than there are connections
		all.Go(func() {
			for n, err := range db.Users(context.Background(), &auth.Request{}) {
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := find(t, db, n); err != nil {
					t.Errorf("%q: %v", n, err)
				}
			}
		})
	}
	all.Wait()
	if n := s.pool.Open(); n > 30 {
		t.Errorf("%d connections", n)
	}
}

func updates(t *testing.T, s *site) {
	r := &auth.Request{User: "o'brien"}
	if err := s.pass(t, byName).Set(context.Background(), r, "{PLAIN}pw1", "{PLAIN}new"); !errors.Is(err, auth.ErrNoSet) {
		t.Error("changed without a query")
	}
	db, err := sql.NewPassDB(sql.Options{Pool: s.pool, Query: template(t, byName), Update: template(t, "UPDATE users SET password='%w' WHERE username='%u'")})
	if err != nil {
		t.Fatal(err)
	}
	if s.driver != "sqlite" {
		if err := db.Set(context.Background(), r, "{PLAIN}pw1", "{PLAIN}new'"); err == nil || strings.Contains(err.Error(), "new") {
			t.Errorf("R-201: changed with the right to read only: %v", err)
		}
	}
	switch s.driver {
	case "mysql":
		s.run("GRANT UPDATE ON mail.users TO dovecot@'127.0.0.1'")
	case "pgsql":
		s.run("GRANT UPDATE ON users TO dovecot")
	}
	if err := db.Set(context.Background(), r, "{PLAIN}pw1", `{PLAIN}new'\`); err != nil {
		t.Fatal(err)
	}
	if err := db.Set(context.Background(), r, "{PLAIN}pw1", "{PLAIN}lost"); !errors.Is(err, auth.ErrChanged) {
		t.Errorf("what has changed meanwhile: %v", err)
	}
	if r.Password != "" || r.Pass != nil {
		t.Error("the request has changed")
	}
	got, err := find(t, db, "o'brien")
	if got.Value("password") != `{PLAIN}new'\` {
		t.Errorf("then %v, %v", got, err)
	}
	if got, _ := find(t, db, "alice"); got.Value("password") != "{PLAIN}pw0" {
		t.Errorf("another one has %v", got)
	}
}

func TestTheCacheKeyHasTheVariablesOfTheQuery(t *testing.T) {
	s := onSQLite(t)
	if got := s.pass(t, "SELECT '%u%s%u' AS password").CacheKey(); !slices.Equal(got, []string{"u", "s"}) {
		t.Errorf("got %q", got)
	}
}

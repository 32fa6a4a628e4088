package authconf

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/formats/formatstest/dovecot"
)

// server is a database that both ask.
type server struct {
	driver, connect string
	run             func(string)
}

// sqlServers starts one of each kind, with the account dovecot, which may read.
func sqlServers(t *testing.T) []server {
	m := authtest.StartMariaDBOnPort(t)
	m.Load("mail", "CREATE USER dovecot@'127.0.0.1' IDENTIFIED BY 'se$cret'; GRANT SELECT ON mail.* TO dovecot@'127.0.0.1';")
	p := authtest.StartPostgres(t)
	p.Query("CREATE USER dovecot PASSWORD 'se$cret'; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO dovecot;")
	dir, err := os.MkdirTemp("", "authconf-sqlite") // where Dovecot's auth process may go
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "mail.db")
	return []server{
		{"mysql", fmt.Sprintf("host=127.0.0.1 port=%d dbname=mail user=dovecot password=se$cret", m.Port), func(q string) { m.Query("mail", q) }},
		{"pgsql", fmt.Sprintf("host=127.0.0.1 port=%d dbname=postgres user=dovecot password=se$cret", p.Port), func(q string) { p.Query(q) }},
		{"sqlite", path, authtest.SQLite(t, path)},
	}
}

// accounts are hard cases for strings of every kind.
var accounts = []string{"alice", "bob", "o'brien", `') or 1=1 -- `, `back\slash`, "per%cent", `quo"te`, "grün", "näme@exämple", "100%u", "null"}

func (s server) fill() {
	script := "DROP TABLE IF EXISTS users; CREATE TABLE users (id INTEGER, username VARCHAR(128) PRIMARY KEY, password VARCHAR(255), quota BIGINT, f REAL, active CHAR(1));\n"
	for i, n := range accounts {
		n = strings.ReplaceAll(n, "'", "''")
		if s.driver == "mysql" {
			n = strings.ReplaceAll(n, `\`, `\\`)
		}
		password := fmt.Sprintf("'{PLAIN}pw%d'", i)
		if n == "null" {
			password = "NULL"
		}
		script += fmt.Sprintf("INSERT INTO users VALUES (%d, '%s', %s, %d, 1.5, 'y');\n", i, n, password, i*1000000000)
	}
	s.run(script)
}

// queries are settings that both get, with the accounts to try beside the usual ones.
var queries = []struct {
	name, ext string
	only      string // a driver; "!": any other
}{
	{"R-199 the usual ones, with ; at the end", "password_query = SELECT username AS user, password FROM users WHERE username='%u';\nuser_query = SELECT username FROM users WHERE username='%u';\niterate_query = SELECT username FROM users ORDER BY id;\n", ""},
	{"fields, NULLs and numbers", "password_query = SELECT password, NULL AS absent, quota AS userdb_q, 5 AS userdb_uid, '' AS empty, 'a b' AS two FROM users WHERE username='%u'\nuser_query = SELECT '/mail/%d/%n' AS home, 5000 AS uid, 6000 AS gid, NULL AS mail, quota, '*:bytes=1' AS quota_rule, f FROM users WHERE username = '%u'\niterate_query = SELECT username AS user FROM users ORDER BY id\n", ""},
	{"renames", "password_query = SELECT 'x' AS username, 'd' AS domain, password FROM users WHERE username='%u'\nuser_query = SELECT 'y' AS username, 'e' AS domain, 7 AS uid, 8 AS gid FROM users WHERE username='%u' OR 'x@d' = '%u'\niterate_query = SELECT username, 'd' AS domain FROM users ORDER BY id\n", ""},
	{"the query verifies the password", "password_query = SELECT NULL AS password, 'Y' AS nopassword, username AS user FROM users WHERE username='%u' AND password='{PLAIN}%w'\nuser_query = SELECT 1 AS uid, 2 AS gid FROM users WHERE username='%Lu'\niterate_query = SELECT id FROM users\n", ""},
	{"R-206 no password", "password_query = SELECT username FROM users WHERE username='%u'\nuser_query = SELECT nope FROM users\niterate_query = SELECT NULL AS user FROM users\n", ""},
	{"R-206 two rows", "password_query = SELECT password FROM users WHERE '%u' = '%u'\nuser_query = SELECT 5 AS uid, 6 AS gid, 'first' AS f FROM users WHERE '%u' <> 'nobody'\niterate_query = SELECT nope FROM users\n", ""},
	{"R-206 no SQL, and built-in queries that do not fit", "password_query = SELEKT 1\n", "!pgsql"}, // of which Dovecot asks for a minute
	{"built-in queries that do not fit", "user_query = SELECT 9 AS uid, 9 AS gid, '%{nosuch}' AS x\n", "!pgsql"},
	{"a word outside of quotes, modifiers, conditions", "password_query = SELECT password, '%{if;%s;eq;doveadm;yes;no}' AS viadoveadm FROM users WHERE username='%u' AND id < %{if;%s;eq;doveadm;99;99}\nuser_query = SELECT '%5.3u' AS part, '%Uu' AS upper, '%1Mu' AS hash, 3 AS uid, 3 AS gid FROM users u WHERE u.username='%u'\niterate_query = SELECT username FROM users WHERE '%s' <> '' ORDER BY id\n", ""},
	{"double quotes and escapes of MySQL's", `password_query = SELECT password, 'it\'s \\%n' AS note FROM users WHERE username="%u"` + "\nuser_query = SELECT CONCAT('*:bytes=', quota) AS quota_rule, 1 AS uid, 1 AS gid FROM users WHERE username LIKE '%u'\niterate_query = SELECT username FROM users # all'\n", "mysql"},
	{"casts of PostgreSQL's", `password_query = SELECT password, E'it\'s' AS note, text '%n' AS typed, '%n'::varchar(3) AS cast, concat('%n', 'x') AS sum, (id < 1) AS first FROM users WHERE username=$$` + "x$$ OR username = '%u'\nuser_query = SELECT date '2026-01-0%{if;%s;eq;x;1;2}' AS day, 1 AS uid, 1 AS gid, '/mail/' || '%n' AS home FROM users WHERE username LIKE '%u'\niterate_query = SELECT username FROM users ORDER BY id\n", "pgsql"},
	{"sums of SQLite's", "password_query = SELECT password, '/x/' || '%n' AS sum, f, 1e20 AS large, 2.0 AS whole FROM users WHERE username='%u'\nuser_query = SELECT 1 AS uid, 1 AS gid, f, 1e20 AS large FROM users WHERE username='%u'\niterate_query = SELECT username FROM users ORDER BY id\n", "sqlite"},
}

// doveadm gives the exit code and what is printed.
func doveadm(t *testing.T, d *dovecot.Daemon, args ...string) (int, string) {
	t.Helper()
	cmd := exec.Command("doveadm", append([]string{"-c", d.Config()}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if _, ok := err.(*exec.ExitError); err != nil && !ok {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// sorted lists fields that have a value, one per line. Those of doveadm's own making are left out, with the headline.
func sorted(fields auth.Fields) string {
	var list []string
	for _, f := range fields {
		if f.Value != "" && f.Key != "field" && f.Value != "maildir:~/Maildir" {
			list = append(list, f.Key+"="+f.Value)
		}
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// theirs reads lines of two words between sep.
func theirs(out, sep string) string {
	var fields auth.Fields
	for line := range strings.Lines(out) {
		if key, value, ok := strings.Cut(line, sep); ok {
			fields = fields.Set(strings.TrimSpace(key), strings.TrimRight(value, "\n"))
		}
	}
	return sorted(fields)
}

func TestR212AnswersAreThoseOfDovecot(t *testing.T) {
	dovecot.Need(t)
	servers := sqlServers(t)
	for _, db := range servers {
		t.Run(db.driver, func(t *testing.T) {
			t.Parallel()
			for n, q := range queries {
				if q.only == "" || q.only == db.driver || q.only[0] == '!' && q.only[1:] != db.driver {
					t.Run(q.name, func(t *testing.T) { db.beside(t, q.ext, n > 1) })
				}
			}
		})
	}
}

// beside compares all answers to the queries. few: some accounts are enough.
func (db server) beside(t *testing.T, ext string, few bool) {
	db.fill()
	s := newSite(t, "auth_username_chars =\nauth_username_format =\nauth_failure_delay = 0\nauth_debug = yes\nmail_location = maildir:~/Maildir\nfirst_valid_uid = 1\n"+
		"ssl = no\nprotocols = imap pop3\npassdb {\n  driver = sql\n  args = DIR/sql.conf.ext\n}\nuserdb {\n  driver = sql\n  args = DIR/sql.conf.ext\n}\n",
		map[string]string{"sql.conf.ext": "driver = " + db.driver + "\nconnect = " + db.connect + "\ndefault_pass_scheme = PLAIN\n" + ext})
	ours := s.must()
	d := dovecot.ServeConf(t, s.conf)
	defer d.Stop()
	for range 100 { // its processes are not all there at once
		if _, out := doveadm(t, d, "auth", "test", "nobody", "x"); strings.Contains(out, "extra fields") {
			break
		}
	}
	all := errgroup.Group{} // Dovecot takes its time to refuse
	all.SetLimit(4)
	for i, user := range append(slices.Clone(accounts), "nobody", "x' OR '1'='1", `\' OR 1=1 -- `, `alice\`) {
		if few && !slices.Contains([]string{"alice", "bob", "null", "nobody"}, user) {
			continue
		}
		all.Go(func() error {
			s.compare(t, d, ours, user, fmt.Sprintf("pw%d", i))
			return nil
		})
	}
	all.Wait()
	s.compareUsers(t, d, ours)
	if strings.Contains(s.log.String(), "pw1") || strings.Contains(s.log.String(), "se$cret") {
		t.Errorf("a password is in the log:\n%s", s.log.String())
	}
}

// compare asks both for one account in every way.
func (s *site) compare(t *testing.T, d *dovecot.Daemon, ours *auth.Service, user, password string) {
	t.Helper()
	ctx, r := context.Background(), auth.Request{Service: "doveadm"}
	for _, p := range []string{password, "wrong"} {
		if p == "wrong" && user != "alice" {
			continue
		}
		code, out := doveadm(t, d, "auth", "test", user, p)
		reply := ours.Login(ctx, r, user, p)
		_, out, _ = strings.Cut(out, "extra fields:")
		got, want := "77 "+string(reply.Code), fmt.Sprint(code, " ", theirs(out, "="))
		if reply.OK {
			got = "0 " + sorted(reply.Fields.Set("user", reply.User))
		} else if code != 0 {
			want = "77 "
			if strings.Contains(out, "code=temp_fail") {
				want = "77 temp_fail"
			}
		}
		if got != want {
			t.Errorf("auth test %q %q: ours\n%s\nDovecot\n%s\n%s", user, p, got, want, d.Log())
		}
	}
	code, out := doveadm(t, d, "user", user)
	u, err := ours.User(ctx, r, user)
	got, want := "", theirs(out, "\t")
	switch {
	case err == nil:
		fields := u.Fields
		if u.Name != user {
			fields = fields.Set("user", u.Name)
		}
		got = "0 " + sorted(fields)
	case temporaryError(err):
		got = "75 "
	default:
		got = "67 "
	}
	if code != 0 {
		want = ""
	}
	if want = fmt.Sprint(code, " ", want); got != want {
		t.Errorf("user %q: ours %v\n%s\nDovecot\n%s", user, err, got, want)
	}
}

func temporaryError(err error) bool {
	return err != nil && !strings.Contains(err.Error(), "unknown user")
}

// compareUsers lists all users by both.
func (s *site) compareUsers(t *testing.T, d *dovecot.Daemon, ours *auth.Service) {
	t.Helper()
	code, out := doveadm(t, d, "user", "*")
	var names []string
	failed := false
	for n, err := range ours.Users(context.Background(), auth.Request{Service: "doveadm"}) {
		if failed = err != nil; !failed {
			names = append(names, n)
		}
	}
	if failed != (code != 0) || !failed && !slices.Equal(names, strings.Split(strings.TrimSpace(out), "\n")) {
		t.Errorf("user '*': ours failed %v %q\nDovecot %d %q", failed, names, code, out)
	}
}

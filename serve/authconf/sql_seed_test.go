package authconf

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dovetail/auth"
	"dovetail/auth/authtest"
)

// sqlSeed reads a site's file, with the place of its database and DIR for its root.
func sqlSeed(t *testing.T, name string, replace ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "config", "testdata", "configs", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(append(replace, "@ROOT@", "DIR")...).Replace(string(b))
}

// keys are files that the sites' configurations name; nobody looks into them here.
var keys = map[string]string{"tls/server.crt": "c", "tls/server.key": "k", "tls/dh.pem": "d"}

// rhel is the site of an enterprise's instructions, with MariaDB over TLS.
func rhel(t *testing.T, with ...string) (*site, *authtest.MariaDB) {
	t.Helper()
	ca := authtest.NewAuthority(t)
	cert, key := ca.Issue(t, "mariadb", "127.0.0.1")
	m := authtest.StartMariaDBOnPort(t, "--ssl-cert="+cert, "--ssl-key="+key)
	m.Load("dovecotDB", sqlSeed(t, "rhel-sql.schema.sql"), "CREATE USER dovecot@'127.0.0.1' IDENTIFIED BY 'dovecotPW' REQUIRE SSL; GRANT SELECT ON dovecotDB.* TO dovecot@'127.0.0.1';")
	files := map[string]string{"rhel-sql.conf.ext": sqlSeed(t, "rhel-sql.conf.ext", append([]string{"host=mariadb_srv.example.com", fmt.Sprintf("host=127.0.0.1 port=%d", m.Port), "@ROOT@/tls/ca.crt", ca.File}, with...)...)}
	for name, text := range keys {
		files[name] = text
	}
	files["tls/ca.crt"] = "ca"
	return newSite(t, sqlSeed(t, "rhel-sql.conf", "uid=vmail gid=vmail", "uid=5000 gid=6000")+"auth_failure_delay = 0\n", files), m
}

func (s *site) login(t *testing.T, service *auth.Service, user, password string) *auth.Reply {
	t.Helper()
	return service.Login(context.Background(), auth.Request{Service: "imap"}, user, password)
}

func TestASiteWithMariaDB(t *testing.T) {
	s, m := rhel(t)
	service := s.must()
	for _, name := range []string{"R-198 users that are in MariaDB alone", "R-200 prefixes of schemes", "R-203 over TLS, which the server wants and we check", "R-211 without a package for it"} {
		t.Run(name, func(t *testing.T) {
			for user, password := range map[string]string{"alice": "secret", "bob": "secret"} {
				if reply := s.login(t, service, user, password); !reply.OK {
					t.Errorf("%s: %+v\n%s", user, reply, s.log.String())
				}
				if reply := s.login(t, service, user, "wrong"); reply.OK || reply.Code != "" {
					t.Errorf("%s with a wrong password: %+v", user, reply)
				}
			}
		})
	}
	t.Run("R-205 a user of one column", func(t *testing.T) {
		u, err := service.User(context.Background(), auth.Request{Service: "doveadm"}, "alice")
		if err != nil || u.UID != 5000 || u.GID != 6000 || u.Home != s.dir+"/mail/alice/" {
			t.Errorf("%+v, %v", u, err)
		}
	})
	t.Run("R-204 passwords without prefixes are of the scheme that is set", func(t *testing.T) {
		hash := m.Query("dovecotDB", "SELECT REPLACE(password, '{SHA512-CRYPT}', '') FROM users WHERE username='bob'")
		m.Query("dovecotDB", "INSERT INTO users VALUES ('carol', '"+strings.TrimSpace(hash)+"')")
		m.Query("dovecotDB", "INSERT INTO users VALUES ('dan', '')")
		for user, want := range map[string]bool{"bob": true, "carol": true, "dan": false} {
			if reply := s.login(t, service, user, "secret"); reply.OK != want {
				t.Errorf("%s: %+v\n%s", user, reply, s.log.String())
			}
		}
	})
	t.Run("R-207 all users", func(t *testing.T) {
		var got []string
		for n, err := range service.Users(context.Background(), auth.Request{Service: "doveadm"}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, n)
		}
		if want := []string{"alice", "bob", "carol", "dan"}; !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("R-209 the database stops", func(t *testing.T) {
		m.Stop()
		if reply := s.login(t, service, "alice", "secret"); reply.OK || reply.Code != "temp_fail" {
			t.Errorf("got %+v", reply)
		}
		want := "Connect failed to database (dovecotDB): Can't connect to server on '127.0.0.1' (111) - waiting for 1 seconds before retry"
		if log := s.log.String(); !strings.Contains(log, "mysql(127.0.0.1): "+want) {
			t.Errorf("the log has\n%s", log)
		}
		if log := s.log.String(); strings.Contains(log, "dovecotPW") || strings.Contains(log, "secret") {
			t.Errorf("a password is in the log:\n%s", log)
		}
	})
}

func TestASiteOfTheISPmailGuide(t *testing.T) {
	m := authtest.StartMariaDBOnPort(t)
	m.Load("mailserver", "CREATE TABLE virtual_users (email VARCHAR(100) PRIMARY KEY, password VARCHAR(150), quota BIGINT);"+
		"INSERT INTO virtual_users VALUES ('ann@example.org', '$2y$05$TOOSHORT', 5000000), ('o''hara@example.org', '{PLAIN}secret', 7);"+
		"CREATE USER mailserver@'127.0.0.1' IDENTIFIED BY 'secret'; GRANT SELECT ON mailserver.* TO mailserver@'127.0.0.1';")
	at := fmt.Sprintf("host=127.0.0.1 port=%d", m.Port)
	for _, c := range []struct {
		name  string
		conf  string
		files map[string]string
		want  auth.Fields
	}{
		{"2.3", sqlSeed(t, "ispmail-sql.conf"), map[string]string{"ispmail-sql.conf.ext": sqlSeed(t, "ispmail-sql.conf.ext", "host=127.0.0.1", at)},
			auth.Fields{{Key: "quota_rule", Value: "*:bytes=7"}, {Key: "home", Value: "DIR/vmail/example.org/o'hara"}, {Key: "uid", Value: "5000"}, {Key: "gid", Value: "5000"}}},
		{"2.4", sqlSeed(t, "ispmail-sql-24.conf", "  dbname = mailserver", fmt.Sprintf("  port = %d\n  dbname = mailserver", m.Port)), nil,
			auth.Fields{{Key: "home", Value: "DIR/vmail"}, {Key: "uid", Value: "5000"}, {Key: "gid", Value: "5000"}}},
	} {
		t.Run("R-199 "+c.name, func(t *testing.T) {
			files := map[string]string{}
			for _, list := range []map[string]string{keys, c.files} {
				for name, text := range list {
					files[name] = text
				}
			}
			s := newSite(t, c.conf+"auth_failure_delay = 0\nauth_username_chars =\n", files)
			service := s.must()
			if reply := s.login(t, service, "O'Hara@example.org", "secret"); !reply.OK {
				t.Errorf("%+v\n%s", reply, s.log.String())
			}
			u, err := service.User(context.Background(), auth.Request{Service: "lmtp"}, "o'hara@example.org")
			if err != nil {
				t.Fatal(err)
			}
			got := u.Fields.Without("user")
			for i := range c.want {
				c.want[i].Value = strings.ReplaceAll(c.want[i].Value, "DIR", s.dir)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if _, err := service.User(context.Background(), auth.Request{Service: "lmtp"}, "x' OR '1'='1"); err == nil {
				t.Error("R-208: somebody was found")
			}
		})
	}
}

func TestAFileOfSettingsThatOnlyRootReads(t *testing.T) {
	s, _ := rhel(t)
	path := filepath.Join(s.dir, "rhel-sql.conf.ext")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("R-210 is read by its owner", func(t *testing.T) {
		if reply := s.login(t, s.must(), "alice", "secret"); !reply.OK {
			t.Errorf("%+v\n%s", reply, s.log.String())
		}
	})
}

func TestWhatIsWrongInTheFileIsNamed(t *testing.T) {
	const chain = "passdb {\n  driver = sql\n  args = DIR/sql.conf.ext\n}\n"
	for _, c := range []struct{ name, ext, text string }{
		{"R-202 an unknown word", "driver = mysql\nconnect = host=h foo=bar\n", "mysql: Unknown connect string: foo"},
		{"no driver", "connect = host=h\n", "sql: driver not set in configuration file DIR/sql.conf.ext"},
		{"no connect", "driver = mysql\n", "sql: connect string not set in configuration file DIR/sql.conf.ext"},
		{"another driver", "driver = oracle\nconnect = host=h\n", "Unknown database driver 'oracle'; there are: mysql pgsql sqlite"},
		{"cassandra", "driver = cassandra\nconnect = host=h\n", "copy the accounts into PostgreSQL or MariaDB"},
		{"a quote without an end", "driver = mysql\nconnect = host=h\npassword_query = SELECT '%u\n", "password_query: a quote ' in the query has no end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, chain, map[string]string{"sql.conf.ext": c.ext})
			_, err := s.build()
			if want := strings.ReplaceAll(c.text, "DIR", s.dir); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "dovecot.conf:1") && !strings.Contains(err.Error(), "sql.conf.ext") {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}

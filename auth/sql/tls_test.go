package sql_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/auth/authtest"
	"dovetail/auth/sql"
	"dovetail/auth/sql/mysql"
	"dovetail/auth/sql/pgsql"
)

// outcome asks for alice and gives "" or what the log says.
func outcome(t *testing.T, p func(sql.PoolOptions) *sql.Pool) string {
	t.Helper()
	log := &journal{}
	s := &site{pool: p(sql.PoolOptions{Log: slog.New(log)})}
	defer s.pool.Close()
	got, err := find(t, s.pass(t, "SELECT 'x' AS password, '%u' AS user"), "alice")
	if err == nil && got.Value("user") == "alice" {
		return ""
	}
	if !temporary(err) {
		t.Errorf("got %v, %v", got, err)
	}
	return log.String()
}

// certificates are those of a server with the names that matter.
func certificates(t *testing.T) (good, other *authtest.Authority, folder string) {
	good, other = authtest.NewAuthority(t), authtest.NewAuthority(t)
	folder = t.TempDir()
	b, err := os.ReadFile(good.File)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "0a1b2c3d.0"), b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return good, other, folder
}

func TestR203TLSToMariaDBHasChecks(t *testing.T) {
	good, other, folder := certificates(t)
	cert, key := good.Issue(t, "db", "localhost")
	m := authtest.StartMariaDBOnPort(t, "--ssl-cert="+cert, "--ssl-key="+key, "--ssl-ca="+good.File)
	m.Load("mail", "CREATE USER u@'127.0.0.1' IDENTIFIED BY 'x'; GRANT SELECT ON mail.* TO u@'127.0.0.1'; CREATE USER u@localhost IDENTIFIED BY 'x' REQUIRE SSL; GRANT SELECT ON mail.* TO u@localhost; CREATE USER c@'127.0.0.1' IDENTIFIED BY 'x' REQUIRE X509; GRANT SELECT ON mail.* TO c@'127.0.0.1';")
	cnCert, cnKey := good.Issue(t, "127.0.0.1")
	cn := authtest.StartMariaDBOnPort(t, "--ssl-cert="+cnCert, "--ssl-key="+cnKey)
	cn.Load("mail", "CREATE USER u@'127.0.0.1' IDENTIFIED BY 'x' REQUIRE SSL; GRANT SELECT ON mail.* TO u@'127.0.0.1';")
	plain := authtest.StartMariaDBOnPort(t, "--skip-ssl")
	plain.Load("mail", "CREATE USER u@'127.0.0.1' IDENTIFIED BY 'x'; GRANT SELECT ON mail.* TO u@'127.0.0.1';")
	clientCert, clientKey := good.Issue(t, "client")
	tcp := func(m *authtest.MariaDB) string {
		return fmt.Sprintf("host=127.0.0.1 port=%d dbname=mail password=x", m.Port)
	}
	for _, c := range []struct{ name, connect, refused string }{
		{"without ssl_ca nothing is checked", tcp(m) + " user=u", ""},
		{"ssl_cipher alone asks for nothing", tcp(plain) + " user=u ssl_cipher=HIGH", ""},
		{"a server without TLS is refused", tcp(plain) + " user=u ssl_ca=" + good.File, "SSL connection error: SSL is required, but the server does not support it"},
		{"a server without TLS is refused even if any name is good", tcp(plain) + " user=u ssl_verify_server_cert=no ssl_ca=" + good.File, "SSL is required"},
		{"a wrong host name is refused", tcp(m) + " user=u ssl_ca=" + good.File, "127.0.0.1"},
		{"unless any name is good", tcp(m) + " user=u ssl_verify_server_cert=no ssl_ca=" + good.File, ""},
		{"a wrong authority is refused", tcp(m) + " user=u ssl_ca=" + other.File, "unknown authority"},
		{"even if any name is good", tcp(m) + " user=u ssl_verify_server_cert=no ssl_ca=" + other.File, "unknown authority"},
		{"a name that is in the common name alone", tcp(cn) + " user=u ssl_ca=" + good.File, ""},
		{"a folder of authorities", tcp(cn) + " user=u ssl_ca_path=" + folder, ""},
		{"a socket, where the name is localhost", "host=" + m.Socket + " dbname=mail user=u password=x ssl_ca=" + good.File, ""},
		{"a client without a certificate", tcp(m) + " user=c ssl_verify_server_cert=no ssl_ca=" + good.File, "Access denied for user 'c'"},
		{"a client with one", tcp(m) + " user=c ssl_verify_server_cert=no ssl_ca=" + good.File + " ssl_cert=" + clientCert + " ssl_key=" + clientKey, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := outcome(t, func(o sql.PoolOptions) *sql.Pool { return pool(t, mysql.Dialect(), o, mysqlServers(t, c.connect)...) })
			if (got == "") != (c.refused == "") || !strings.Contains(got, c.refused) {
				t.Errorf("%s: %q, want %q", c.connect, got, c.refused)
			}
		})
	}
	for _, connect := range []string{"host=h ssl_ca=/nope", "host=h ssl_ca=" + key, "host=h ssl_ca=" + good.File + " ssl_cert=/nope", "host=h option_file=/nope", "host=h ssl_ca_path=" + filepath.Join(folder, "nope")} {
		list, err := mysql.Parse(connect)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := list[0].Connector(); err == nil {
			t.Errorf("%s: accepted", connect)
		}
	}
}

func TestTLSToPostgreSQLIsThatOfSslmode(t *testing.T) {
	good, other, _ := certificates(t)
	keyPair := func(hosts ...string) (string, string) { return good.Issue(t, "db.example", hosts...) }
	start := func(cert, key string) *authtest.Postgres {
		authtest.OwnForPostgres(t, key)
		p := authtest.StartPostgres(t, "-c", "ssl=on", "-c", "ssl_cert_file="+cert, "-c", "ssl_key_file="+key)
		p.Query("CREATE USER u PASSWORD 'x'")
		return p
	}
	secure := start(keyPair("localhost"))
	plain := authtest.StartPostgres(t)
	plain.Query("CREATE USER u PASSWORD 'x'")
	tcp := func(p *authtest.Postgres) string {
		return fmt.Sprintf("hostaddr=127.0.0.1 port=%d dbname=postgres user=u password=x", p.Port)
	}
	for _, c := range []struct{ name, connect, refused string }{
		{"prefer, the default", tcp(secure), ""},
		{"prefer without TLS", tcp(plain), ""},
		{"require", tcp(secure) + " sslmode=require", ""},
		{"require without TLS", tcp(plain) + " sslmode=require", "server refused TLS connection"},
		{"verify-ca", tcp(secure) + " sslmode=verify-ca sslrootcert=" + good.File, ""},
		{"verify-ca with a wrong authority", tcp(secure) + " sslmode=verify-ca sslrootcert=" + other.File, "unknown authority"},
		{"verify-full", tcp(secure) + " host=localhost sslmode=verify-full sslrootcert=" + good.File, ""},
		{"verify-full with a wrong name", tcp(secure) + " host=127.0.0.1 sslmode=verify-full sslrootcert=" + good.File, "127.0.0.1"},
		{"verify-full with a wrong authority", tcp(secure) + " host=localhost sslmode=verify-full sslrootcert=" + other.File, "unknown authority"},
		{"a wrong password", tcp(secure) + " password=y", `password authentication failed for user "u"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := outcome(t, func(o sql.PoolOptions) *sql.Pool { return pool(t, pgsql.Dialect(), o, pgsqlServers(t, c.connect)...) })
			if (got == "") != (c.refused == "") || !strings.Contains(got, c.refused) {
				t.Errorf("%s: %q, want %q", c.connect, got, c.refused)
			}
		})
	}
}

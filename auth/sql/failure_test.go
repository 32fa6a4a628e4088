package sql_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/auth/sql"
	"dovetail/auth/sql/mysql"
	"dovetail/auth/sql/pgsql"
	"dovetail/auth/sql/sqlite"
)

// journal is a log.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, r.Level.String()+": "+r.Message)
	return nil
}
func (j *journal) WithAttrs([]slog.Attr) slog.Handler { return j }
func (j *journal) WithGroup(string) slog.Handler      { return j }
func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, "\n")
}

// temporary tells whether an error is a failure of the database and says nothing of the account.
func temporary(err error) bool {
	return err != nil && !errors.Is(err, auth.ErrUnknown) && !errors.Is(err, auth.ErrMismatch) && !errors.Is(err, auth.ErrDisabled) && !errors.Is(err, auth.ErrExpired)
}

func TestADatabaseThatStopsAndStartsDuringAThousandLogins(t *testing.T) {
	for _, driver := range starts[:2] {
		t.Run("R-209 "+driver.driver, func(t *testing.T) {
			s := driver.start(t)
			s.fill()
			s.pool.Close()
			const most = 8
			log := &journal{}
			o := sql.PoolOptions{Connections: most, Log: slog.New(log), Pauses: []time.Duration{time.Millisecond}}
			if driver.driver == "mysql" {
				s.pool = pool(t, mysql.Dialect(), o, mysqlServers(t, s.connect)...)
			} else {
				s.pool = pool(t, pgsql.Dialect(), o, pgsqlServers(t, s.connect)...)
			}
			defer s.pool.Close()
			db := s.pass(t, byName)
			if _, err := find(t, db, "alice"); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			var well, failed, after atomic.Int32
			begun, up := make(chan bool), make(chan bool)
			for i := range 1000 {
				all.Go(func() {
					if i >= 300 {
						<-begun
					}
					if i >= 700 {
						<-up
					}
					got, err := find(t, db, "o'brien")
					switch {
					case err == nil && got.Value("password") == "{PLAIN}pw1":
						if well.Add(1); i >= 700 {
							after.Add(1)
						}
					case temporary(err):
						failed.Add(1)
					default:
						t.Errorf("login %d: %v, %v", i, got, err)
					}
				})
			}
			s.stop()
			close(begun)
			for failed.Load() < 300 { // those that are asked of nobody
				_, err := find(t, db, "alice")
				if !temporary(err) {
					t.Fatalf("without a server: %v", err)
				}
			}
			s.start()
			for {
				_, err := find(t, db, "alice")
				if err == nil {
					break
				}
				if !temporary(err) {
					t.Fatal(err)
				}
			}
			close(up)
			all.Wait()
			if well.Load()+failed.Load() != 1000 || after.Load() != 300 {
				t.Errorf("%d were well, %d of them afterwards, and %d temporary failures", well.Load(), after.Load(), failed.Load())
			}
			if n := s.pool.Open(); n > most {
				t.Errorf("%d connections at the end", n)
			}
			if !strings.Contains(log.String(), driver.driver+"(127.0.0.1): Connect failed to database (") || strings.Contains(log.String(), "se$cret") {
				t.Errorf("the log has\n%s", log)
			}
		})
	}
}

func TestR209PausesGrowAndFailuresAreTold(t *testing.T) {
	port := authtest.FreePort(t)
	log := &journal{}
	now := time.Unix(1000, 0)
	p := pool(t, mysql.Dialect(), sql.PoolOptions{Log: slog.New(log), Now: func() time.Time { return now }},
		mysqlServers(t, "host=127.0.0.1 dbname=mail user=u password=se$cret port="+strconv.Itoa(port))...)
	defer p.Close()
	db := (&site{pool: p}).pass(t, byName)
	for _, wait := range []time.Duration{0, 999 * time.Millisecond, time.Millisecond, 4999 * time.Millisecond, time.Millisecond, 24 * time.Second, time.Second, 25 * time.Second} {
		now = now.Add(wait)
		if _, err := find(t, db, "alice"); !temporary(err) || err.Error() != "Password query failed: Not connected to database" {
			t.Fatalf("got %v", err)
		}
	}
	const line = "ERROR: mysql(127.0.0.1): Connect failed to database (mail): Can't connect to server on '127.0.0.1' (111) - waiting for N seconds before retry"
	var want []string
	for _, n := range []string{"1", "5", "25", "25", "25"} {
		want = append(want, strings.Replace(line, "N", n, 1))
	}
	if got := log.String(); got != strings.Join(want, "\n") {
		t.Errorf("the log has\n%s", got)
	}
}

func TestAClientThatGoesAwaySaysNothingOfTheServer(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	log := &journal{}
	at := "host=127.0.0.1 dbname=mail user=u port=" + strconv.Itoa(silent.Addr().(*net.TCPAddr).Port)
	for driver, p := range map[string]*sql.Pool{
		"mysql": pool(t, mysql.Dialect(), sql.PoolOptions{Log: slog.New(log)}, mysqlServers(t, at)...),
		"pgsql": pool(t, pgsql.Dialect(), sql.PoolOptions{Log: slog.New(log)}, pgsqlServers(t, at+" sslmode=disable")...),
	} {
		t.Run(driver, func(t *testing.T) {
			defer p.Close()
			db := (&site{pool: p}).pass(t, byName)
			ctx, cancel := context.WithCancel(context.Background())
			go func() {
				if c, err := silent.Accept(); err == nil { // once we are connected
					cancel()
					defer c.Close()
				}
			}()
			if _, err := db.Find(ctx, &auth.Request{User: "alice"}); !temporary(err) {
				t.Errorf("got %v", err)
			}
			if log.String() != "" {
				t.Errorf("the log has %s", log)
			}
		})
	}
}

func TestServersShareTheWorkAndStandInForEachOther(t *testing.T) {
	dir := t.TempDir()
	var servers []sql.Server
	for _, name := range []string{"one", "two"} {
		path := filepath.Join(dir, name)
		authtest.SQLite(t, path)("CREATE TABLE t (host TEXT); INSERT INTO t VALUES ('" + name + "')")
		c, err := sqlite.Connector(path, false)
		if err != nil {
			t.Fatal(err)
		}
		servers = append(servers, sql.Server{Host: name, Database: path, Connector: c})
	}
	missing, err := sqlite.Connector(filepath.Join(dir, "missing"), false)
	if err != nil {
		t.Fatal(err)
	}
	servers = append(servers, sql.Server{Host: "missing", Connector: missing})
	log := &journal{}
	p := pool(t, sqlite.Dialect(), sql.PoolOptions{Log: slog.New(log)}, servers...)
	defer p.Close()
	db := (&site{pool: p}).user(t, "SELECT host FROM t", "")
	count := map[string]int{}
	for range 30 {
		got, err := find(t, db, "alice")
		if err != nil {
			t.Fatal(err)
		}
		count[got.Value("host")]++
	}
	if count["one"] < 10 || count["two"] < 10 {
		t.Errorf("asked were %v", count)
	}
	if got := log.String(); strings.Count(got, "\n") != 0 || !strings.HasPrefix(got, "ERROR: sqlite(missing): Connect failed to database ()") {
		t.Errorf("the log has\n%s", got)
	}
}

func TestAServerThatTakesNoMoreConnectionsIsNotDown(t *testing.T) {
	m := authtest.StartMariaDBOnPort(t, "--max-connections=3")
	m.Load("mail", "CREATE TABLE users (username TEXT, password TEXT); INSERT INTO users VALUES ('alice', 'x');"+
		"CREATE USER dovecot@'127.0.0.1' IDENTIFIED BY 'x'; GRANT SELECT ON mail.* TO dovecot@'127.0.0.1';")
	p := pool(t, mysql.Dialect(), sql.PoolOptions{}, mysqlServers(t, "host=127.0.0.1 dbname=mail user=dovecot password=x port="+strconv.Itoa(m.Port))...)
	defer p.Close()
	db := (&site{pool: p}).pass(t, "SELECT username, password, SLEEP(0.01) FROM users WHERE username='%u'")
	if _, err := find(t, db, "alice"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var failed atomic.Int32
	for range 60 {
		all.Go(func() {
			if _, err := find(t, db, "alice"); err != nil {
				failed.Add(1)
				t.Log(err)
			}
		})
	}
	all.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of 60 failed", failed.Load())
	}
}

func TestTheLogHasQueriesAndNoPasswords(t *testing.T) {
	s := onSQLite(t)
	defer s.pool.Close()
	s.fill()
	log := &journal{}
	o := sql.Options{Pool: s.pool, Log: slog.New(log), Query: template(t, "SELECT NULL AS password, 'y' AS nopassword FROM users WHERE username='%u' AND password='%w';"),
		Update: template(t, "UPDATE nope SET password='%w' WHERE username='%u' AND password='%{passdb:password}'")}
	db, err := sql.NewPassDB(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &auth.Request{User: "o'brien", Password: "se'cret", Session: "s1"}
	if _, err := db.Find(context.Background(), r); !errors.Is(err, auth.ErrUnknown) {
		t.Fatal(err)
	}
	s.run("UPDATE users SET password='se''cret' WHERE username='o''brien'")
	o.Query = template(t, "SELECT password FROM users WHERE username='%u'")
	if db, err = sql.NewPassDB(o); err != nil {
		t.Fatal(err)
	}
	if err := db.Set(context.Background(), r, "se'cret", "{PLAIN}se'cret"); err == nil || strings.Contains(err.Error(), "cret") {
		t.Errorf("Set: %v", err)
	}
	want := "DEBUG: sql(o'brien,<s1>): query: SELECT NULL AS password, 'y' AS nopassword FROM users WHERE username='o''brien' AND password='<hidden>';\n" +
		"DEBUG: sql(o'brien,<s1>): query: SELECT password FROM users WHERE username='o''brien'\n" +
		"DEBUG: sql(o'brien,<s1>): query: UPDATE nope SET password='<hidden>' WHERE username='o''brien' AND password='<hidden>'"
	if log.String() != want {
		t.Errorf("the log has\n%s\nwant\n%s", log, want)
	}
}

package sql_test

import (
	"strconv"
	"testing"

	"dovetail/auth/authtest"
	"dovetail/auth/sql"
	"dovetail/auth/sql/mysql"
	"dovetail/auth/sql/pgsql"
)

// accountsHold looks up every awkward name, and some that are nobody's.
func accountsHold(t *testing.T, s *site) {
	t.Helper()
	db := s.pass(t, byName)
	for i, n := range names {
		if got, err := find(t, db, n); err != nil || got.Value("password") != "{PLAIN}pw"+strconv.Itoa(i) {
			t.Errorf("%q: %v, %v", n, got, err)
		}
	}
	for _, n := range []string{"x' OR 1=1 -- ", `\' OR 1=1 -- `, `\`, "\xbf' OR 1=1 -- ", "縗' OR 1=1 -- ", "\u5c5c' OR 1=1 -- "} {
		if got, err := find(t, db, n); err == nil || temporary(err) {
			t.Errorf("%q: %v, %v", n, got, err)
		}
	}
}

func TestR208SettingsOfTheServerDoNotOpenTheQuotes(t *testing.T) {
	for name, arg := range map[string]string{
		"NO_BACKSLASH_ESCAPES":   "--sql-mode=NO_BACKSLASH_ESCAPES",
		"clients of GBK":         "--character-set-server=gbk",
		"clients forced to GBK":  "--init-connect=SET character_set_results=gbk",
		"ANSI, all of its modes": "--sql-mode=ANSI",
	} {
		t.Run(name, func(t *testing.T) {
			m := authtest.StartMariaDBOnPort(t, arg)
			m.Load("mail", "CREATE USER dovecot@'127.0.0.1' IDENTIFIED BY 'x'; GRANT SELECT ON mail.* TO dovecot@'127.0.0.1';")
			s := &site{driver: "mysql", run: func(q string) { m.Query("mail", "SET sql_mode='';"+q) }}
			s.fill()
			s.pool = pool(t, mysql.Dialect(), sql.PoolOptions{}, mysqlServers(t, "host=127.0.0.1 dbname=mail user=dovecot password=x port="+strconv.Itoa(m.Port))...)
			defer s.pool.Close()
			accountsHold(t, s)
		})
	}
	t.Run("standard_conforming_strings=off", func(t *testing.T) {
		p := authtest.StartPostgres(t, "-c", "standard_conforming_strings=off", "-c", "escape_string_warning=off", "-c", "backslash_quote=on")
		p.Query("CREATE USER dovecot PASSWORD 'x'; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO dovecot;")
		s := &site{driver: "pgsql", run: func(q string) { p.Query("SET standard_conforming_strings=on;" + q) }}
		s.fill()
		s.pool = pool(t, pgsql.Dialect(), sql.PoolOptions{}, pgsqlServers(t, "host=127.0.0.1 dbname=postgres user=dovecot password=x port="+strconv.Itoa(p.Port))...)
		defer s.pool.Close()
		accountsHold(t, s)
		// No parameter can stand here, so the value is in the text.
		db := s.pass(t, "SELECT password FROM users WHERE username = text '%u'")
		for i, n := range names {
			if got, err := find(t, db, n); err != nil || got.Value("password") != "{PLAIN}pw"+strconv.Itoa(i) {
				t.Errorf("%q: %v, %v", n, got, err)
			}
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	for _, driver := range starts {
		b.Run(driver.driver, func(b *testing.B) {
			s := driver.start(b)
			s.fill()
			defer s.pool.Close()
			db := s.pass(b, byName)
			b.Run("one connection", func(b *testing.B) {
				for b.Loop() {
					if _, err := find(b, db, "o'brien"); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lookups/s")
			})
			b.Run("a pool", func(b *testing.B) {
				b.SetParallelism(8)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, err := find(b, db, "o'brien"); err != nil {
							b.Error(err)
							return
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lookups/s")
			})
		})
	}
}

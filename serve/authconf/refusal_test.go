package authconf

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/auth/scheme"
)

// refusing are services whose user u1 has this stored, one for each database that gives what is stored.
func refusing(t testing.TB, stored string) map[string]*auth.Service {
	t.Helper()
	s := newSite(t, "", map[string]string{
		"users": "u1:" + stored + "\n",
		"sql":   "driver = sqlite\nconnect = DIR/db\npassword_query = SELECT password FROM users WHERE name = '%u'\n",
	})
	authtest.SQLite(t, filepath.Join(s.dir, "db"))("CREATE TABLE users (name, password); INSERT INTO users VALUES ('u1', '" + stored + "')")
	all := map[string]*auth.Service{}
	add := func(name, chain string) {
		s.write("dovecot.conf", "auth_failure_delay = 0\n"+chain)
		service := s.must()
		t.Cleanup(func() { service.Close() })
		all[name] = service
	}
	add("passwd-file", "passdb {\n driver = passwd-file\n args = DIR/users\n}\n")
	add("sql", "passdb {\n driver = sql\n args = DIR/sql\n}\n")
	return all
}

// refusingLDAP is the same for a directory that is searched for passwords.
func refusingLDAP(t testing.TB, stored string) *auth.Service {
	t.Helper()
	d := slapd(t, authtest.SlapdOptions{LDIF: person("cn=u1,ou=People,dc=example,dc=com", "u1", stored, 2001, "cn: u1")})
	s := newSite(t, "auth_failure_delay = 0\npassdb {\n driver = ldap\n args = DIR/ldap\n}\n",
		map[string]string{"ldap": "uris = " + d.URI + "\n" + serviceLines})
	service := s.must()
	t.Cleanup(func() { service.Close() })
	return service
}

// eachRefusing tries the services of refusing and, where slapd is installed, that of refusingLDAP.
func eachRefusing(t testing.TB, stored string, try func(name string, s *auth.Service)) {
	t.Helper()
	for name, s := range refusing(t, stored) {
		try(name, s)
	}
	try("ldap", refusingLDAP(t, stored)) // last: it skips the test
}

// An unknown user costs the hash that a wrong password costs, in each kind of database. ARGON2 shows in the memory that
// was allocated whether it was computed; a clock would show the load of the machine.
func TestAnUnknownUserIsHashedInEachDatabase(t *testing.T) {
	const memory = 32 << 10 // KiB
	stored, err := scheme.Make("ARGON2ID", "u1", "right", scheme.MakeOptions{Rounds: 1, Memory: memory})
	if err != nil {
		t.Fatal(err)
	}
	eachRefusing(t, stored, func(name string, s *auth.Service) {
		for _, user := range []string{"u1", "nosuch", "u1", "nosuch2"} {
			if n := hashed(s, user, memory<<10); n != 1 {
				t.Errorf("%s: a wrong password of %s took %d hashes", name, user, n)
			}
		}
	})
}

// hashed gives how many hashes of that many bytes a refusal took.
func hashed(s *auth.Service, user string, bytes uint64) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s.Login(context.Background(), auth.Request{Service: "imap"}, user, "wrong")
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / bytes
}

// BenchmarkRefusals shows both distributions: how long a wrong password takes, and how long an unknown user.
func BenchmarkRefusals(b *testing.B) {
	for _, name := range []string{"SHA512-CRYPT", "BLF-CRYPT", "SSHA256", "PLAIN"} {
		stored, err := scheme.Make(name, "u1", "right", scheme.MakeOptions{})
		if err != nil {
			b.Fatal(err)
		}
		eachRefusing(b, stored, func(db string, s *auth.Service) {
			b.Run(db+"/"+name, func(b *testing.B) { compareRefusals(b, s) })
		})
	}
}

func compareRefusals(b *testing.B, s *auth.Service) {
	users := [2]string{"u1", "nosuch"}
	var took [2][]time.Duration
	s.Login(b.Context(), auth.Request{Service: "imap"}, "u1", "wrong") // from now on it knows what a hash costs
	for b.Loop() {
		for i, user := range users {
			start := time.Now()
			s.Login(b.Context(), auth.Request{Service: "imap"}, user, "wrong")
			took[i] = append(took[i], time.Since(start))
		}
	}
	for i, kind := range []string{"wrong", "unknown"} {
		slices.Sort(took[i])
		for _, percent := range []int{10, 50, 90} {
			at := took[i][len(took[i])*percent/100]
			b.ReportMetric(float64(at.Nanoseconds())/1000, fmt.Sprintf("µs-%s-%d%%", kind, percent))
		}
	}
}

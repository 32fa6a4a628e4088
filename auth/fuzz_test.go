package auth

import (
	"context"
	"net/netip"
	"path"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzName(f *testing.F) {
	for _, seed := range []string{"u1", "U1@Example.ORG", "a*boss", "../../x", "o'brien", "", "a\x00b", "%u", "@", "x@@y", "\xff", "a/../b"} {
		f.Add(seed, "example.org", "%@")
	}
	f.Fuzz(func(t *testing.T, sent, realm, translation string) {
		if strings.ContainsAny(realm, "/@.\x00") {
			return // not what an operator writes
		}
		o := Options{DefaultRealm: realm, Translation: translation, Format: template(t, "%Lu")}
		n, err := newNaming(&o)
		if err != nil {
			t.Fatal(err)
		}
		user, err := n.normalise(&Request{}, sent)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x00\t") || !utf8.ValidString(err.Error()) && utf8.ValidString(sent) {
				t.Errorf("%q: error %q is no line of a log", sent, err)
			}
			return
		}
		if user == "" || strings.ContainsAny(user, "\x00\n\r\t\x01") {
			t.Fatalf("%q became %q", sent, user)
		}
		if home := path.Join("/home/d", user); !strings.HasPrefix(home, "/home/d/") && home != "/home/d" {
			t.Errorf("%q became %q, whose home is %s", sent, user, home)
		}
	})
}

func FuzzNetworks(f *testing.F) {
	for _, seed := range []string{"10.0.0.0/8", "::1", "[fd00::]/8", "1.2.3.4/33", "/", "::ffff:1.2.3.4/100", "1.2.3.4/-1", "fe80::1%eth0/64"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseNetwork(text)
		if err != nil {
			return
		}
		if again, err := parseNetwork(p.String()); err != nil || again != p {
			t.Errorf("%q is %v, which is %v, %v", text, p, again, err)
		}
		if !p.Contains(p.Addr()) {
			t.Errorf("%q is %v, which does not hold its own address", text, p)
		}
	})
}

func FuzzWildcard(f *testing.F) {
	f.Add("user@example.org", "*@example.???")
	f.Add("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "*a*a*a*a*a*a*a*a*b")
	f.Fuzz(func(t *testing.T, text, pattern string) {
		if len(text) > 200 || len(pattern) > 50 {
			return
		}
		_ = wildcard(text, pattern) // it ends
		if !wildcard(text, "*") || !strings.ContainsAny(text, "*?") && !wildcard(text, text) || !wildcard(text, strings.Repeat("?", len(text))) {
			t.Errorf("%q does not match itself", text)
		}
	})
}

func FuzzFields(f *testing.F) {
	f.Add("allow_nets", "10.0.0.0/8", "delay_until", "1+5")
	f.Add("userdb_userdb_import", "uid=1\tuser=\tuserdb_import=x", "passdb_import", "a=1\tpassdb_import=b=1\tuserdb_:remove")
	f.Add("user:protected", "x", ":remove", "")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string) {
		db := accounts(map[string]Fields{"u1": {{"password", "p"}, {k1, v1}, {k2, v2}}})
		s, log := must(t, Options{}, []PassEntry{{Driver: "sql", DB: db, ImportAll: true}}, []UserEntry{{Driver: "prefetch", DB: Prefetch{}, ImportAll: true}})
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // nothing waits
		r := s.Login(ctx, Request{Remote: netip.MustParseAddrPort("10.1.1.1:1")}, "u1", "p")
		if r.OK {
			t.Fatal("success without a client")
		}
		for line := range strings.Lines(log.String()) {
			if strings.Contains(strings.TrimSuffix(line, "\n"), "\x00") {
				t.Errorf("log %q", line)
			}
		}
	})
}

package ldap

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/auth/authtest"
)

func TestCertificatesOfServers(t *testing.T) {
	ca, other := authtest.NewAuthority(t), authtest.NewAuthority(t)
	const trust, untrusted, wrongName = "", "signed by unknown authority", "doesn't contain any IP SANs"
	for _, c := range []struct {
		name  string
		by    *authtest.Authority
		names []string
		want  string // what is wrong with it
	}{
		{"right", ca, []string{"localhost", "127.0.0.1"}, trust},
		{"R-181 by another authority", other, []string{"localhost", "127.0.0.1"}, untrusted},
		{"R-193 of another host", ca, []string{"ldap.example.org", "ldap.example.org"}, wrongName},
		{"with a common name only", ca, []string{"127.0.0.1"}, trust},
		{"with the common name of another host", ca, []string{"ldap.example.org"}, wrongName},
	} {
		cert, key := c.by.Issue(t, c.names[0], c.names[1:]...)
		s := authtest.StartSlapd(t, authtest.SlapdOptions{LDIF: people(), Cert: cert, Key: key})
		for _, how := range []string{s.LDAPS, s.URI} {
			for _, require := range []string{"never", "allow", "try", "demand", "hard", ""} {
				t.Run("R-194 "+c.name+", "+how[:5]+", "+require, func(t *testing.T) {
					var log strings.Builder
					server := asService(how)
					server.StartTLS, server.TLS = how == s.URI, TLS{CAFile: ca.File, Require: require}
					d, err := Open(server, slog.New(slog.NewTextHandler(&log, nil)))
					if err != nil {
						t.Fatal(err)
					}
					defer d.Close()
					_, err = userdb(t, options(t, d)).Find(t.Context(), request("alice"))
					lax, got := require == "never" || require == "allow", verdict(err)
					switch {
					case c.want == trust || lax:
						if err != nil {
							t.Error(got)
						}
					case !strings.HasPrefix(got, "temporary: Can't connect to server: "+how) || !strings.Contains(got, c.want):
						t.Errorf("got %q, want %q in it", got, c.want)
					}
					if warned := strings.Contains(log.String(), "not to be trusted"); warned != (c.want != trust && require == "allow") {
						t.Errorf("warned: %v\n%s", warned, log.String())
					}
				})
			}
		}
	}
}

func TestTheAuthoritiesOfAFolder(t *testing.T) {
	ca := authtest.NewAuthority(t)
	cert, key := ca.Issue(t, "localhost", "127.0.0.1")
	s := authtest.StartSlapd(t, authtest.SlapdOptions{LDIF: people(), Cert: cert, Key: key})
	dir := t.TempDir()
	pem, err := os.ReadFile(ca.File)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"0a1b2c3d.0": string(pem), "README": "no certificate"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for folder, ok := range map[string]bool{dir: true, t.TempDir(): false} {
		server := asService(s.LDAPS)
		server.TLS.CADir = folder
		if _, err := userdb(t, options(t, open(t, server))).Find(t.Context(), request("alice")); (err == nil) != ok {
			t.Errorf("trusted: %v, want %v", err, ok)
		}
	}
	server := asService(s.LDAPS)
	if _, err := userdb(t, options(t, open(t, server))).Find(t.Context(), request("alice")); err == nil {
		t.Error("R-181 the system trusts the authority of a test")
	}
}

func TestTheServiceIsWhoItsSocketOrCertificateSays(t *testing.T) {
	ca := authtest.NewAuthority(t)
	cert, key := ca.Issue(t, "localhost", "127.0.0.1")
	own, ownKey := ca.Issue(t, "reader")
	s := authtest.StartSlapd(t, authtest.SlapdOptions{LDIF: people(), Cert: cert, Key: key, CA: ca.File, Schema: `authz-regexp "^cn=reader$" "` + service + `"`})
	for name, server := range map[string]Server{
		"R-190 ldapi":          {URIs: []string{s.LDAPI}, External: true},
		"a client certificate": {URIs: []string{s.LDAPS}, External: true, TLS: TLS{CAFile: ca.File, Cert: own, Key: ownKey}},
		"R-191 StartTLS":       {URIs: []string{s.URI}, StartTLS: true, External: true, TLS: TLS{CAFile: ca.File, Cert: own, Key: ownKey}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, open(t, server))
			o.Fields = []Field{{Key: "password", Attribute: "userPassword"}} // which only the service may read
			if fields, err := passdb(t, o).Find(t.Context(), request("alice")); err != nil || fields.Value("password") != ssha("apass") {
				t.Errorf("%q, %v", fields, err)
			}
		})
	}
	o := options(t, open(t, Server{URIs: []string{s.URI}, External: true}))
	if _, err := passdb(t, o).Find(t.Context(), request("alice")); !strings.HasPrefix(verdict(err), "temporary: binding failed (dn (none)): ") {
		t.Errorf("over a connection that says nothing: %v", err)
	}
}

func TestR192PasswordsInClearAreWarnedOf(t *testing.T) {
	for _, c := range []struct {
		uri      string
		startTLS bool
		want     bool
	}{
		{"ldap://ldap.example.com", false, true},
		{"ldap://192.0.2.1:3389", false, true},
		{"ldap://ldap.example.com", true, false},
		{"ldaps://ldap.example.com", false, false},
		{"ldap://127.0.0.1", false, false},
		{"ldap://[::1]:3389", false, false},
		{"ldap://localhost", false, false},
		{"ldapi://", false, false},
	} {
		for _, dn := range []string{"", service} {
			var log strings.Builder
			to := slog.New(slog.NewTextHandler(&log, nil))
			server := Server{URIs: []string{c.uri}, DN: dn, StartTLS: c.startTLS}
			if dn != "" {
				server.Password = "secret"
			}
			d, err := Open(server, to)
			if err != nil {
				t.Fatal(err)
			}
			if warned := strings.Contains(log.String(), "the password of "+service+" travels in clear to "+c.uri); warned != (c.want && dn != "") {
				t.Errorf("%+v: %q", c, log.String())
			}
			o := options(t, d)
			o.Bind, o.Log = true, to
			passdb(t, o)
			if warned := strings.Contains(log.String(), "passwords of users travel in clear to "+c.uri); warned != c.want {
				t.Errorf("%+v: %q", c, log.String())
			}
			if strings.Contains(log.String(), "secret") {
				t.Errorf("the password is in the log: %s", log.String())
			}
		}
	}
}

func TestAddressesOfServers(t *testing.T) {
	for _, c := range []struct{ uri, want string }{
		{"ldap://host", "tcp host:389 host"},
		{"ldap://host:3389/", "tcp host:3389 host"},
		{"LDAPS://host", "tcp host:636 host tls"},
		{"ldaps://[2001:db8::1]:7", "tcp [2001:db8::1]:7 2001:db8::1 tls"},
		{"ldap://[2001:db8::1]", "tcp [2001:db8::1]:389 2001:db8::1"},
		{"ldap://host/dc=example?uid", "tcp host:389 host"},
		{"ldap://host:", "tcp host:389 host"},
		{"ldap://[", "refused"},
		{"ldap://", "tcp localhost:389 localhost"},
		{"ldapi://%2Frun%2Fslapd", "unix /run/slapd localhost"},
		{"ldapi:///", "unix /var/run/slapd/ldapi localhost"},
		{"http://host", "refused"},
		{"host", "refused"},
		{"ldap://a:b:c", "refused"},
		{"ldapi://%zz", "refused"},
		{"", "refused"},
	} {
		got := "refused"
		if a, err := parseURI(c.uri); err == nil {
			got = a.network + " " + a.dial + " " + a.host
			if a.tls {
				got += " tls"
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.uri, got, c.want)
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, uri := range []string{"ldap://host", "ldapi://%2F", "ldaps://[::1]:7", "ldap://a:b:c"} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if a, err := parseURI(uri); err == nil && (a.dial == "" || a.host == "") {
			t.Fatalf("%q: %+v", uri, a)
		}
	})
}

func TestServersThatCannotBeAreRefused(t *testing.T) {
	for want, s := range map[string]Server{
		"No uris or hosts set":                       {},
		"http://x is no address of a directory":      {URIs: []string{"http://x"}},
		"Don't use both tls=yes and ldaps URI":       {URIs: []string{"ldaps://x"}, StartTLS: true},
		"Unknown tls_require_cert value 'sometimes'": {URIs: []string{"ldaps://x"}, TLS: TLS{Require: "sometimes"}},
		"/no/such/file":                              {URIs: []string{"ldaps://x"}, TLS: TLS{CAFile: "/no/such/file"}},
		"/no/such/folder":                            {URIs: []string{"ldaps://x"}, TLS: TLS{CADir: "/no/such/folder"}},
		"/dev/null: no certificate in it":            {URIs: []string{"ldaps://x"}, TLS: TLS{CAFile: "/dev/null"}},
		"tls_cert_file and tls_key_file":             {URIs: []string{"ldaps://x"}, TLS: TLS{Cert: "/dev/null"}},
	} {
		if _, err := Open(s, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	o := options(t, open(t, asService("ldap://127.0.0.1:1")))
	for want, change := range map[string]func(o *Options){
		"No base given":              func(o *Options) { o.Base = nil },
		"Unknown scope option 'all'": func(o *Options) { o.Scope = "all" },
		"Unknown deref option 'no'":  func(o *Options) { o.Deref = "no" },
		"no filter, with x":          func(o *Options) { o.Filter = template(t, "(uid=%{user}") },
		"No filter given":            func(o *Options) { o.Filter = nil },
		"No uris or hosts set":       func(o *Options) { o.Directory = nil },
	} {
		wrong := o
		change(&wrong)
		if _, err := NewPassDB(wrong); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

package authconf

import (
	"testing"

	"dovetail/auth/authtest"
)

func TestCertificatesAreJudgedAsBesideRealDovecot(t *testing.T) {
	ca, other := authtest.NewAuthority(t), authtest.NewAuthority(t)
	for _, c := range []struct {
		name  string
		by    *authtest.Authority
		names []string
	}{
		{"right", ca, []string{"localhost", "127.0.0.1"}},
		{"by another authority", other, []string{"localhost", "127.0.0.1"}},
		{"of another host", ca, []string{"ldap.example.org", "ldap.example.org"}},
		{"with a common name only", ca, []string{"127.0.0.1"}},
	} {
		cert, key := c.by.Issue(t, c.names[0], c.names[1:]...)
		s := slapd(t, authtest.SlapdOptions{Cert: cert, Key: key})
		for _, how := range []struct{ name, lines string }{
			{"ldaps, hard", "uris = " + s.LDAPS + "\ntls_require_cert = hard\n"},
			{"ldaps, try", "uris = " + s.LDAPS + "\ntls_require_cert = try\n"},
			{"ldaps, allow", "uris = " + s.LDAPS + "\ntls_require_cert = allow\n"},
			{"tls = yes", "uris = " + s.URI + "\ntls = yes\n"},
		} {
			t.Run(c.name+", "+how.name, func(t *testing.T) {
				t.Parallel()
				besideDovecot(t, how.lines+serviceLines+"auth_bind = yes\ntls_ca_cert_file = "+ca.File+"\n").same("alice", "apass")
			})
		}
	}
}

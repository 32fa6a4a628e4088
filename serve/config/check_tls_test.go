package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"testing/fstest"
	"time"

	"dovetail/formats/conf"
)

// certificate makes one for a host that ends at a time.
func certificate(t *testing.T, host string, end time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: end.AddDate(-1, 0, 0), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestR142Certificates(t *testing.T) {
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	files := fstest.MapFS{
		"good.pem": {Data: certificate(t, "mail.example.org", now.AddDate(0, 1, 0))},
		"old.pem":  {Data: certificate(t, "mail.example.org", now.AddDate(0, -1, 0))},
		"text.pem": {Data: []byte("not a certificate\n")},
		"both.pem": {Data: append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), certificate(t, "mail.example.org", now.AddDate(0, 1, 0))...)},
	}
	for _, c := range []struct{ name, text, want string }{
		{"the right one", "hostname = mail.example.org\nssl_cert = <good.pem\nssl_key = <good.pem\n", ""},
		{"another host", "hostname = imap.example.org\nssl_cert = <good.pem\nssl_key = <good.pem\n",
			"the certificate is not for imap.example.org"},
		{"expired", "hostname = mail.example.org\nssl_cert = <old.pem\nssl_key = <old.pem\n", "the certificate expired on 2026-10-21"},
		{"not one at all", "ssl_cert = <text.pem\nssl_key = <text.pem\n", "There is no valid PEM certificate."},
		{"behind its key in one file", "hostname = mail.example.org\nssl_cert = <both.pem\nssl_key = <both.pem\n", ""},
		{"one for each protocol", "protocols = imap pop3\nssl = yes\nprotocol imap {\n ssl_cert = <good.pem\n ssl_key = <good.pem\n}\n" +
			"protocol pop3 {\n ssl_cert = <good.pem\n ssl_key = <good.pem\n}\n", ""},
		{"none for one protocol", "protocols = imap pop3\nssl = yes\nprotocol imap {\n ssl_cert = <good.pem\n ssl_key = <good.pem\n}\n",
			"ssl enabled, but ssl_key not set"},
		{"of a name", "ssl_cert = <good.pem\nssl_key = <good.pem\nlocal_name other.example.org {\n ssl_cert = <good.pem\n}\n",
			"the certificate is not for other.example.org"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files["d.conf"] = &fstest.MapFile{Data: []byte("ssl_verify_client_cert = no\n" + c.text)}
			_, problems := Load(t.Context(), "d.conf", Options{Dialect: conf.V23, Source: conf.In{FS: files}, Expand: true,
				Now: func() time.Time { return now }})
			got := ""
			for _, p := range problems.All {
				if p.Severity != Warning && p.Pos.Line > 0 && p.Meaning != "it is accepted, and will be obeyed by a later version" {
					got = p.Text
				}
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

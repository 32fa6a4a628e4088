package sql

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Certificates makes the checks of a server's certificate: it must come from roots and, unless name is "", be for name.
// One that names no hosts but in its common name is accepted by that, as OpenSSL does, which checks for Dovecot's
// drivers: instructions for MySQL make such certificates to this day. Go alone accepts none of them.
func Certificates(c *tls.Config, roots *x509.CertPool, name string) {
	c.RootCAs = roots
	c.ServerName = name
	c.InsecureSkipVerify = true // in favour of the checks below
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the server shows no certificate")
		}
		leaf := state.PeerCertificates[0]
		o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, between := range state.PeerCertificates[1:] {
			o.Intermediates.AddCert(between)
		}
		if _, err := leaf.Verify(o); err != nil {
			return err
		}
		if name == "" || commonName(leaf, name) {
			return nil
		}
		return leaf.VerifyHostname(name)
	}
}

// commonName tells whether the certificate names no hosts, and is for this one.
func commonName(leaf *x509.Certificate, host string) bool {
	if len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.URIs)+len(leaf.EmailAddresses) > 0 {
		return false
	}
	cn := strings.ToLower(leaf.Subject.CommonName)
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, parent, ok := strings.Cut(host, "."); ok && strings.HasPrefix(cn, "*.") {
		return cn[2:] == parent && strings.Contains(parent, ".")
	}
	return cn != "" && cn == host
}

// Roots reads the authorities of a file, of a folder of files, or of both.
func Roots(file, folder string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	files := []string{file}
	if file == "" {
		files = nil
	}
	if folder != "" {
		more, err := filepath.Glob(filepath.Join(folder, "*"))
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	found := false
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil && path == file {
			return nil, err
		}
		found = pool.AppendCertsFromPEM(b) || found
	}
	if !found {
		return nil, fmt.Errorf("there is no certificate in %s", strings.TrimSpace(file+" "+folder))
	}
	return pool, nil
}

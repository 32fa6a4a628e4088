package ldap

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// TLS says how servers are known.
type TLS struct {
	CAFile, CADir string // "": the system's authorities
	Cert, Key     string // of the client; "": none
	Require       string // never, allow, try, demand, hard; "": demand
}

// tlsConfig is what certificates are checked by.
type tlsConfig struct {
	roots   *x509.CertPool // nil: the system's
	own     []tls.Certificate
	require string
	log     *slog.Logger
}

// newTLSConfig reads the files, which may be for root alone.
func newTLSConfig(t TLS, log *slog.Logger) (tlsConfig, error) {
	c := tlsConfig{require: strings.ToLower(t.Require), log: log}
	switch c.require {
	case "":
		c.require = "demand"
	case "never", "allow", "try", "demand", "hard":
	default:
		return c, fmt.Errorf("Unknown tls_require_cert value '%s': use never, allow, try, demand or hard", t.Require)
	}
	files, err := authorities(t)
	if err != nil {
		return c, err
	}
	if t.CAFile != "" || t.CADir != "" {
		c.roots = x509.NewCertPool()
	}
	for _, name := range files {
		pem, err := os.ReadFile(name)
		if err != nil {
			return c, err
		}
		if !c.roots.AppendCertsFromPEM(pem) && name == t.CAFile {
			return c, fmt.Errorf("%s: no certificate in it", name)
		}
	}
	if t.Cert != "" || t.Key != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return c, fmt.Errorf("tls_cert_file and tls_key_file: %w", err)
		}
		c.own = []tls.Certificate{pair}
	}
	return c, nil
}

// authorities lists the files that have them.
func authorities(t TLS) ([]string, error) {
	var files []string
	if t.CADir != "" {
		entries, err := os.ReadDir(t.CADir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			path := filepath.Join(t.CADir, e.Name())
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				files = append(files, path)
			}
		}
	}
	if t.CAFile != "" {
		files = append(files, t.CAFile)
	}
	return files, nil
}

// config checks the certificate itself: which faults are let pass is the setting's, and Go's own check knows none.
func (d *Directory) config(a address) *tls.Config {
	c := d.tls
	return &tls.Config{ServerName: a.host, Certificates: c.own, MinVersion: tls.VersionTLS12, InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if c.require == "never" {
				return nil
			}
			err := c.verify(s, a.host)
			if err != nil && c.require == "allow" {
				c.log.Warn(fmt.Sprintf("ldap: the certificate of %s is not to be trusted, which tls_require_cert allows: %v", a.uri, err))
				return nil
			}
			return err
		}}
}

func (c tlsConfig) verify(s tls.ConnectionState, host string) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the server has no certificate")
	}
	leaf := s.PeerCertificates[0]
	between := x509.NewCertPool()
	for _, cert := range s.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: c.roots, Intermediates: between}); err != nil {
		return err
	}
	err := leaf.VerifyHostname(host)
	if err != nil && len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 && commonName(leaf.Subject.CommonName, host) {
		return nil
	}
	return err
}

// commonName tells whether a certificate without other names is of the host, as OpenLDAP's library has it: old
// certificates of directories have nothing else.
func commonName(name, host string) bool {
	if strings.EqualFold(name, host) {
		return name != ""
	}
	rest, wild := strings.CutPrefix(name, "*.")
	_, domain, ok := strings.Cut(host, ".")
	return wild && ok && strings.Contains(rest, ".") && strings.EqualFold(rest, domain)
}

package submission

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"dovetail/formats/conf"
	"dovetail/serve/config/options"
)

// relayTLS is what we ask of the relay's TLS: a certificate that is good for its name, from the authorities of
// ssl_client_ca_file and ssl_client_ca_dir, else those of the machine; and ours, if we have one for servers.
func (s *session) relayTLS() (*tls.Config, error) {
	o, err := options.Read[options.TLS](s.view)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{ServerName: s.o.RelayHost, InsecureSkipVerify: !s.o.RelaySSLVerify, MinVersion: tls.VersionTLS12}
	if c.RootCAs, err = authorities(o); err != nil {
		return nil, err
	}
	if o.ClientCert.Set() && o.ClientKey.Set() {
		cert, err := o.ClientCert.Read(conf.OS{})
		if err != nil {
			return nil, err
		}
		key, err := o.ClientKey.Read(conf.OS{})
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("ssl_client_cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// authorities are nil for those of the machine.
func authorities(o options.TLS) (*x509.CertPool, error) {
	if !o.ClientCAFile.Set() && o.ClientCADir == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if file := o.ClientCAFile; file.Set() {
		if strings.HasPrefix(file.Inline, "/") { // in 2.3 the value is the path
			file = options.File{Path: file.Inline}
		}
		text, err := file.Read(conf.OS{})
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, errors.New("ssl_client_ca_file: no certificates in it")
		}
	}
	if o.ClientCADir == "" {
		return pool, nil
	}
	entries, err := os.ReadDir(o.ClientCADir)
	if err != nil {
		return nil, fmt.Errorf("ssl_client_ca_dir: %w", err)
	}
	for _, e := range entries {
		if text, err := os.ReadFile(filepath.Join(o.ClientCADir, e.Name())); err == nil {
			pool.AppendCertsFromPEM(text)
		}
	}
	return pool, nil
}

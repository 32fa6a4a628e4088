package serve

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"sync"

	"dovetail/formats/conf"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

// certificates gives what TLS obeys for each connection: by protocol, our address, and the name that the client asks
// for (SNI), as "local", "local_name" and "protocol" sections of the configuration say.
//
// Files are read when they are first needed, and once: those that are renewed hold for the next era.
type certificates struct {
	config *config.Config
	src    conf.Source

	mu   sync.Mutex
	made map[options.TLS]made
}

type made struct {
	config *tls.Config
	trust  *trust // nil: clients are not asked for certificates
	err    error
}

func newCertificates(c *config.Config, src conf.Source) *certificates {
	return &certificates{config: c, src: src, made: map[options.TLS]made{}}
}

// server is the configuration of a connection, of which the filter says everything but the name that the client will ask
// for. result gets what the client's certificate is worth.
func (c *certificates) server(f config.Filter, result *clientCert) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS10, // what is really accepted is chosen by name
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			f.LocalName = hello.ServerName
			base, trust, err := c.of(f)
			if err != nil {
				return nil, err
			}
			if len(base.Certificates) == 1 {
				result.ours = base.Certificates[0].Leaf
			}
			if trust == nil {
				return base, nil
			}
			own := base.Clone()
			own.VerifyConnection = func(s tls.ConnectionState) error {
				ours := result.ours
				*result = trust.verify(s.PeerCertificates)
				result.ours = ours
				return nil // who needs a certificate is told so by his mechanism
			}
			return own, nil
		},
	}
}

// of gives the configuration for a filter, and what certificates of clients are judged by.
func (c *certificates) of(f config.Filter) (*tls.Config, *trust, error) {
	o, err := options.Read[options.TLS](c.config.For(f))
	if err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.made[o]
	if !ok {
		if m.config, m.err = makeTLS(o, c.src); m.err == nil && o.VerifyClientCert {
			m.trust, m.err = makeTrust(o, c.src)
		}
		c.made[o] = m
	}
	return m.config, m.trust, m.err
}

// makeTLS turns settings into what crypto/tls takes. ssl_dh and the order of ciphers have no meaning there: Go offers no
// suites with finite-field Diffie-Hellman and orders the others by itself.
func makeTLS(o options.TLS, src conf.Source) (*tls.Config, error) {
	lowest, err := tlsVersion(o.MinProtocol)
	if err != nil {
		return nil, err
	}
	suites, err := cipherSuites(o.CipherList)
	if err != nil {
		return nil, err
	}
	curves, err := curveIDs(o.CurveList)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: lowest, CipherSuites: suites, CurvePreferences: curves, SessionTicketsDisabled: hasWord(o.Options, "no_ticket")}
	for _, pair := range []struct {
		name      string
		cert, key options.File
	}{{"ssl_cert", o.Cert, o.Key}, {"ssl_alt_cert", o.AltCert, o.AltKey}} {
		if !pair.cert.Set() {
			continue
		}
		cert, err := keyPair(pair.cert, pair.key, o.KeyPassword, src)
		if err != nil {
			if _, ok := errors.AsType[*settingError](err); !ok {
				err = &settingError{pair.name, err}
			}
			return nil, err
		}
		c.Certificates = append(c.Certificates, cert)
	}
	if len(c.Certificates) == 0 {
		return nil, &settingError{"ssl", errors.New("ssl enabled, but ssl_cert not set")}
	}
	if o.VerifyClientCert {
		c.ClientAuth = tls.RequestClientCert
	}
	return c, nil
}

func keyPair(cert, key options.File, password string, src conf.Source) (tls.Certificate, error) {
	certText, err := cert.Read(src)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyText := certText // both may be in one file
	if key.Set() {
		if keyText, err = key.Read(src); err != nil {
			return tls.Certificate{}, &settingError{"ssl_key", err}
		}
	}
	if keyText, err = decrypted(keyText, password); err != nil {
		return tls.Certificate{}, &settingError{"ssl_key", err}
	}
	return tls.X509KeyPair(certText, keyText)
}

// decrypted takes the password off a key, in either of OpenSSL's forms.
func decrypted(text []byte, password string) ([]byte, error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return text, nil
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" {
			der, err := decryptPKCS8(block.Bytes, password)
			if err != nil {
				return nil, err
			}
			return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
		}
		//lint:ignore SA1019 there is no other way to read what OpenSSL wrote for decades
		if !x509.IsEncryptedPEMBlock(block) {
			continue
		}
		//lint:ignore SA1019 as above
		der, err := x509.DecryptPEMBlock(block, []byte(password))
		if err != nil {
			return nil, errKeyPassword
		}
		return pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: der}), nil
	}
}

// clientCert is what the certificate of a client is worth.
type clientCert struct {
	shown, valid bool
	cert         *x509.Certificate
	ours         *x509.Certificate // the one that we have shown; nil where it could be one of several
}

// user is the name in a certificate, in the field of ssl_cert_username_field.
func (c clientCert) user(field string) string {
	if c.cert == nil {
		return ""
	}
	switch field {
	case "", "commonName", "CN":
		return c.cert.Subject.CommonName
	case "emailAddress":
		if len(c.cert.EmailAddresses) > 0 {
			return c.cert.EmailAddresses[0]
		}
	case "x500UniqueIdentifier":
		return named(c.cert, "2.5.4.45")
	}
	oids := map[string]string{"emailAddress": "1.2.840.113549.1.9.1", "serialNumber": "2.5.4.5", "UID": "0.9.2342.19200300.100.1.1",
		"userId": "0.9.2342.19200300.100.1.1", "name": "2.5.4.41", "organizationalUnitName": "2.5.4.11"}
	return named(c.cert, oids[field])
}

func named(cert *x509.Certificate, oid string) string {
	for _, n := range cert.Subject.Names {
		if n.Type.String() == oid {
			text, _ := n.Value.(string)
			return text
		}
	}
	return ""
}

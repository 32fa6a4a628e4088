package serve

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"time"

	"dovetail/formats/conf"
	"dovetail/serve/config/options"
)

// trust is what certificates of clients are judged by.
type trust struct {
	roots *x509.CertPool
	lists []*x509.RevocationList
	must  bool // each issuer must have a list (ssl_require_crl)
	now   func() time.Time
}

// makeTrust reads ssl_ca: certificates, and lists of revoked ones among them.
func makeTrust(o options.TLS, src conf.Source) (*trust, error) {
	t := &trust{roots: x509.NewCertPool(), must: o.RequireCRL, now: time.Now}
	if !o.CA.Set() {
		return t, nil
	}
	text, err := o.CA.Read(src)
	if err != nil {
		return nil, &settingError{"ssl_ca", err}
	}
	if !t.roots.AppendCertsFromPEM(text) {
		return nil, &settingError{"ssl_ca", errors.New("no certificates in it")}
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return t, nil
		}
		if block.Type != "X509 CRL" {
			continue
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, &settingError{"ssl_ca", err}
		}
		t.lists = append(t.lists, list)
	}
}

// verify judges what a client has shown. A certificate is good by any chain in which nothing is revoked.
func (t *trust) verify(shown []*x509.Certificate) clientCert {
	if len(shown) == 0 {
		return clientCert{}
	}
	between := x509.NewCertPool()
	for _, c := range shown[1:] {
		between.AddCert(c)
	}
	chains, err := shown[0].Verify(x509.VerifyOptions{Roots: t.roots, Intermediates: between, CurrentTime: t.now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	result := clientCert{shown: true, cert: shown[0]}
	if err != nil {
		return result
	}
	for _, chain := range chains {
		result.valid = result.valid || t.current(chain)
	}
	return result
}

// current tells whether no certificate of a chain is revoked by its issuer. Where lists are required, one that is
// missing or too old counts as that, as with OpenSSL's X509_V_FLAG_CRL_CHECK_ALL, which Dovecot sets.
func (t *trust) current(chain []*x509.Certificate) bool {
	for i, c := range chain[:len(chain)-1] {
		issuer, known := chain[i+1], false
		for _, l := range t.lists {
			if !bytes.Equal(l.RawIssuer, issuer.RawSubject) || l.CheckSignatureFrom(issuer) != nil {
				continue
			}
			known = known || l.NextUpdate.IsZero() || t.now().Before(l.NextUpdate)
			for _, r := range l.RevokedCertificateEntries {
				if r.SerialNumber.Cmp(c.SerialNumber) == 0 {
					return false
				}
			}
		}
		if t.must && !known {
			return false
		}
	}
	return true
}

package authtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA signs certificates for servers of tests.
type CA struct {
	File string // its certificate, PEM

	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

// NewCA makes an authority that lives as long as the test.
func NewCA(t testing.TB) *CA {
	t.Helper()
	dir, err := os.MkdirTemp("", "dovetail-ca")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // for servers that are another user
		t.Fatal(err)
	}
	ca := &CA{t: t, dir: dir, File: filepath.Join(dir, "ca.crt"), next: 1}
	ca.cert = &x509.Certificate{Subject: pkix.Name{CommonName: "Test CA " + filepath.Base(dir)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}
	der := ca.sign(ca.cert, "")
	if ca.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	ca.write(ca.File, "CERTIFICATE", der)
	return ca
}

// Issue makes a certificate for a server of those names and addresses, or for a client of the first of them; the
// first is its common name, too. It gives the paths of certificate and key.
func (ca *CA) Issue(names ...string) (cert, key string) {
	ca.t.Helper()
	c := &x509.Certificate{Subject: pkix.Name{CommonName: names[0]}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
			continue
		}
		c.DNSNames = append(c.DNSNames, name)
	}
	return ca.issue(c)
}

// IssueCommonName makes a certificate as they were once, with a common name and nothing else.
func (ca *CA) IssueCommonName(name string) (cert, key string) {
	ca.t.Helper()
	return ca.issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

func (ca *CA) issue(c *x509.Certificate) (cert, key string) {
	f, err := os.CreateTemp(ca.dir, "*.crt")
	if err != nil {
		ca.t.Fatal(err)
	}
	f.Close()
	cert, key = f.Name(), f.Name()+".key"
	ca.write(cert, "CERTIFICATE", ca.sign(c, key))
	return cert, key
}

// sign makes a key, keeps it in a file unless it is the authority's own, and gives the certificate.
func (ca *CA) sign(c *x509.Certificate, keyFile string) []byte {
	ca.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		ca.t.Fatal(err)
	}
	ca.next++
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(ca.next), time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent, signer := ca.cert, ca.key
	if keyFile == "" {
		parent, signer, ca.key = c, key, key
	} else {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			ca.t.Fatal(err)
		}
		ca.write(keyFile, "PRIVATE KEY", der)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		ca.t.Fatal(err)
	}
	return der
}

func (ca *CA) write(path, kind string, der []byte) {
	ca.t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644); err != nil {
		ca.t.Fatal(err)
	}
}

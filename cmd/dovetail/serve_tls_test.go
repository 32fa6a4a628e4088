package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// talk is a connection of which the test says every byte.
type talk struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func (s *mailServer) dial(address string) *talk {
	s.t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return &talk{c, s.t, bufio.NewReader(c)}
}

func (c *talk) say(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// hear gives the next line.
func (c *talk) hear() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%q, %v", line, err)
	}
	return strings.TrimRight(line, "\r\n")
}

func (c *talk) wants(prefix string) string {
	c.t.Helper()
	line := c.hear()
	if !strings.HasPrefix(line, prefix) {
		c.t.Fatalf("got %q, want %q", line, prefix)
	}
	return line
}

// secure does the handshake over the connection.
func (c *talk) secure(config *tls.Config) (*talk, error) {
	c.t.Helper()
	over := tls.Client(c.Conn, config)
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	return &talk{over, c.t, bufio.NewReader(over)}, over.HandshakeContext(ctx)
}

func (c *talk) mustSecure(config *tls.Config) *talk {
	c.t.Helper()
	over, err := c.secure(config)
	if err != nil {
		c.t.Fatal(err)
	}
	return over
}

// signer signs certificates.
type signer struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newSigner(t *testing.T) *signer {
	a := &signer{t: t}
	a.cert, a.key = a.issue("authority", 1, nil)
	return a
}

// issue makes a certificate; without a parent it is an authority's.
func (a *signer) issue(name string, serial int64, parent *signer) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	now := time.Now()
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign | x509.KeyUsageCRLSign, DNSNames: []string{name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	by, with := c, key
	if parent != nil {
		by, with = parent.cert, parent.key
	} else {
		c.IsCA, c.SubjectKeyId = true, []byte{1}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, with)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// pair is a certificate for a client or a name.
func (a *signer) pair(name string, serial int64) tls.Certificate {
	cert, key := a.issue(name, serial, a)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// write puts the authority's certificate and a list of revoked ones into a file.
func (a *signer) write(path string, list bool, revoked ...int64) {
	a.t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
	if list {
		l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
		for _, serial := range revoked {
			l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: time.Now()})
		}
		der, err := x509.CreateRevocationList(rand.Reader, l, a.cert, a.key)
		if err != nil {
			a.t.Fatal(err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})...)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

var anybody = &tls.Config{InsecureSkipVerify: true}

// What is sent in clear behind STARTTLS is not the client's for sure, and never executed.
func TestR151DropsWhatComesInClearBehindSTARTTLS(t *testing.T) {
	s := startServer(t, "sdbox")
	c := s.dial(s.imap)
	c.wants("* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ STARTTLS")
	c.say("a STARTTLS\r\nb LOGIN mallory secret\r\nc CREATE planted\r\n")
	c.wants("a OK Begin TLS negotiation now.")
	over := c.mustSecure(anybody)
	over.say("d CAPABILITY\r\n")
	if line := over.wants("* CAPABILITY"); strings.Contains(line, "STARTTLS") {
		t.Errorf("STARTTLS is offered again: %q", line)
	}
	over.wants("d OK")
	over.say("e STARTTLS\r\n")
	over.wants("e BAD")
	over.say("f LOGIN ann secret\r\n")
	over.wants("f OK")
}

func TestServeChoosesTLSByTheNameThatIsAskedFor(t *testing.T) {
	s := prepareServer(t, "sdbox")
	a := newSigner(t)
	for _, name := range []string{"one.example", "two.example"} {
		writePair(t, a.pair(name, 7), filepath.Join(s.dir, name))
	}
	local := func(name string) string {
		return fmt.Sprintf("local_name %[1]s {\n  ssl_cert = <%[2]s/%[1]s\n  ssl_key = <%[2]s/%[1]s\n}\n", name, s.dir)
	}
	s.configure("sdbox", local("one.example"), local("two.example"), "ssl_min_protocol = TLSv1.2", "ssl_cipher_list = ECDHE-ECDSA-AES256-GCM-SHA384")
	s.start()
	for _, name := range []string{"one.example", "two.example", "localhost"} {
		over := s.dial(s.tls).mustSecure(&tls.Config{ServerName: name, InsecureSkipVerify: true})
		if got := over.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName; got != name {
			t.Errorf("%s has the certificate of %s", name, got)
		}
	}
	if _, err := s.dial(s.tls).secure(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	weak := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
	if _, err := s.dial(s.tls).secure(weak); err == nil {
		t.Error("a suite is used that is not in the list")
	}
	c := s.dial(s.tls)
	c.say("a LOGIN ann secret\r\n") // not TLS
	if rest, err := io.ReadAll(c.r); err == nil && strings.Contains(string(rest), "OK") {
		t.Errorf("in clear it says %q", rest)
	}
}

// writePair writes certificate and key into one file.
func writePair(t *testing.T, pair tls.Certificate, path string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Certificates of clients: who needs one and has none, a wrong one or a revoked one does not get in; the name in it is
// who logs in.
func TestR146CertificatesOfClients(t *testing.T) {
	s := prepareServer(t, "sdbox")
	a, other := newSigner(t), newSigner(t)
	a.write(filepath.Join(s.dir, "ca.pem"), true, 66)
	s.configure("sdbox", "ssl_ca = <"+s.dir+"/ca.pem", "ssl_verify_client_cert = yes", "auth_ssl_require_client_cert = yes", "auth_ssl_username_from_cert = yes")
	s.start()
	for _, tc := range []struct {
		name string
		cert []tls.Certificate
		want string
		log  string
	}{
		{"a good one", []tls.Certificate{a.pair("carol", 5)}, "a OK", "Login: user=<carol>"},
		{"none", nil, "a NO", "(client didn't send a cert)"},
		{"of another authority", []tls.Certificate{other.pair("carol", 5)}, "a NO", "(client sent an invalid cert)"},
		{"a revoked one", []tls.Certificate{a.pair("carol", 66)}, "a NO", "(client sent an invalid cert)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			own := *s
			own.t = t
			c := own.dial(s.tls).mustSecure(&tls.Config{InsecureSkipVerify: true, Certificates: tc.cert})
			c.wants("* OK")
			c.say("a LOGIN ann secret\r\n")
			c.wants(tc.want)
			c.say("b LOGOUT\r\n")
			io.Copy(io.Discard, c.r)
			own.waitForLog(tc.log)
		})
	}
}

func TestServeEncryptedKeysOfBothForms(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	for name, args := range map[string][]string{
		"PKCS #8":     {"pkcs8", "-topk8", "-v2", "aes-256-cbc"},
		"traditional": {"ec", "-aes128"},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepareServer(t, "sdbox")
			key := filepath.Join(s.dir, "key.pem")
			args := append(args, "-in", key, "-out", key+".new", "-passout", "pass:open sesame")
			if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if err := os.Rename(key+".new", key); err != nil {
				t.Fatal(err)
			}
			s.configure("sdbox", "ssl_key_password = open sesame")
			s.start()
			s.dial(s.tls).mustSecure(anybody).wants("* OK")
		})
	}
}

// SIGHUP: new connections have the new certificate and the new settings, those that are open stay; a broken
// configuration changes nothing.
func TestR154CertificatesAreRenewedWithoutEndingSessions(t *testing.T) {
	s := startServer(t, "sdbox")
	old := s.dial(s.tls).mustSecure(anybody)
	old.wants("* OK")
	old.say("a LOGIN ann secret\r\n")
	old.wants("a OK")
	first := old.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
	writeCertificate(t, s.dir)
	path := filepath.Join(s.dir, "dovecot.conf")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Replace(string(text), "password=secret", "password=changed", 1) + "login_greeting = New words.\n")
	s.reload(reloaded)
	fresh := s.dial(s.tls).mustSecure(anybody)
	fresh.wants("* OK")
	if fresh.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Equal(first) {
		t.Error("the certificate is the old one")
	}
	fresh.say("a LOGIN ann secret\r\nb LOGIN ann changed\r\n")
	fresh.wants("a NO")
	fresh.wants("b OK")
	write(string(text) + "nonsense = {\n")
	if err := s.Process.Signal(unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.waitForLog("config: Error: the old configuration stays")
	c := s.dial(s.imap)
	if line := c.wants("* OK"); !strings.HasSuffix(line, "New words.") {
		t.Errorf("after a broken configuration it greets %q", line)
	}
	old.say("b NOOP\r\n")
	old.wants("b OK")
}

// waitForLog waits until a text is in the log.
func (s *mailServer) waitForLog(text string) {
	s.t.Helper()
	if !s.log.wait(func(log string) bool { return strings.Contains(log, text) }) {
		s.t.Errorf("the log lacks %q", text)
	}
}

func withOpenSSL(t *testing.T, s *mailServer, user string) {
	ca := filepath.Join(s.dir, "cert.pem")
	for _, args := range [][]string{{"-connect", s.tls}, {"-connect", s.imap, "-starttls", "imap"}} {
		if _, err := exec.LookPath("openssl"); err != nil {
			t.Skip("openssl is not installed")
		}
		cmd := exec.CommandContext(t.Context(), "openssl", append([]string{"s_client", "-quiet", "-verify_return_error", "-CAfile", ca, "-verify_hostname", "localhost"}, args...)...)
		cmd.Stdin = strings.NewReader("a LOGIN " + user + " secret\r\nb SELECT INBOX\r\nc LOGOUT\r\n")
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("b OK [READ-WRITE] Select completed")) {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
}

package submission_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dovetail/serve/servetest"
)

// certificate makes one for localhost and 127.0.0.1 that is its own authority, as files and for use.
func certificate(t testing.TB) (cert, key string, pair tls.Certificate) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	from := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, from, from, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if pair, err = tls.LoadX509KeyPair(cert, key); err != nil {
		t.Fatal(err)
	}
	return cert, key, pair
}

func TestTLSIsRequiredBeforeAnythingElse(t *testing.T) {
	m := startMTA(t)
	cert, key, _ := certificate(t)
	settings := append(m.settings(), "ssl_cert = <"+cert, "ssl_key = <"+key, "remote 127.0.0.1 {", "}")
	path, _ := site(t, settings...)
	text, _ := os.ReadFile(path)
	os.WriteFile(path, []byte(strings.Replace(string(text), "ssl = no", "ssl = required", 1)), 0o644)
	address, log := start(t, path)
	c := dial(t, address)
	c.Reply()
	if got := c.Say("EHLO x\r\n"); !strings.Contains(got, "250-STARTTLS") {
		t.Error(got)
	}
	// What comes in clear behind STARTTLS may be somebody else's: it must not be executed.
	c.expect("STARTTLS\r\nMAIL FROM:<evil@example.org>\r\nAUTH PLAIN AGFubgBwYXNz", "220 2.0.0 Begin TLS negotiation now.")
	secure := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	c.Conn, c.R = secure, bufio.NewReader(secure)
	if got := c.Say("EHLO x\r\n"); strings.Contains(got, "STARTTLS") || !strings.Contains(got, "250-AUTH PLAIN") {
		t.Errorf("%q", got)
	}
	c.expect("MAIL FROM:<a@b>", "530 5.7.0 Authentication required.")
	c.expect("STARTTLS", "502 5.5.1 TLS is already active.")
	c.expect("AUTH PLAIN AGFubgBwYXNz", "235")
	c.expect("MAIL FROM:<a@b>", "250")
	c.expect("RCPT TO:<a@b>", "250")
	c.expect("DATA", "354")
	c.expect("x\r\n.", "250")
	c.expect("QUIT", "221")
	waitFor(t, log, "Disconnected: Logged out", 1)
	if _, messages := m.got(); len(messages) != 1 || !strings.Contains(messages[0], "with ESMTPSA") || !strings.Contains(messages[0], "(using TLS") {
		t.Errorf("%q", messages)
	}
}

func TestSubmissionsSpeaksTLSAtOnce(t *testing.T) {
	m := startMTA(t)
	cert, key, _ := certificate(t)
	path, _ := site(t, append(m.settings(), "ssl_cert = <"+cert, "ssl_key = <"+key)...)
	text, _ := os.ReadFile(path)
	os.WriteFile(path, []byte(strings.Replace(string(text), "ssl = no", "ssl = required", 1)), 0o644)
	l := servetest.Listen(t)
	l.TLS = true
	address, _ := startOn(t, path, l)
	c := dial(t, address)
	secure := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	c.Conn, c.R = secure, bufio.NewReader(secure)
	c.Reply()
	if got := c.Say("EHLO x\r\n"); strings.Contains(got, "STARTTLS") {
		t.Error(got)
	}
	c.expect("AUTH PLAIN AGFubgBwYXNz", "235")
	c.expect("MAIL FROM:<a@b>", "250")
}

func TestPasswordsAreNotSentInClear(t *testing.T) {
	m := startMTA(t)
	cert, key, _ := certificate(t)
	path, _ := site(t, append(m.settings(), "ssl_cert = <"+cert, "ssl_key = <"+key, "haproxy_trusted_networks = 127.0.0.0/8")...)
	text, _ := os.ReadFile(path)
	os.WriteFile(path, []byte(strings.Replace(string(text), "ssl = no", "ssl = yes", 1)), 0o644)
	l := listenHAProxy(t)
	address, _ := startOn(t, path, l)
	c := dial(t, address)
	io.WriteString(c, "PROXY TCP4 192.0.2.1 192.0.2.2 1000 587\r\n")
	c.Reply()
	if got := c.Say("EHLO x\r\n"); strings.Contains(got, "PLAIN") {
		t.Error(got)
	}
	c.expect("AUTH PLAIN AGFubgBwYXNz", "523 5.7.10 Plaintext authentication disabled.")
}

// secureMTA is a relay that speaks TLS, at once or after STARTTLS.
func secureMTA(t testing.TB, pair tls.Certificate, atOnce bool) *mta {
	t.Helper()
	inner := startMTA(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	m := inner
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if atOnce {
					inner.serve(tls.Server(c, config))
					return
				}
				io.WriteString(c, "220 relay ESMTP\r\n")
				r := bufio.NewReader(c)
				for {
					line, err := r.ReadString('\n')
					switch {
					case err != nil:
						return
					case strings.HasPrefix(line, "EHLO"):
						io.WriteString(c, "250-relay\r\n250 STARTTLS\r\n")
					case strings.HasPrefix(line, "STARTTLS"):
						io.WriteString(c, "220 go ahead\r\n")
						s := tls.Server(c, config)
						inner.serve(&withoutGreeting{Conn: s})
						return
					default:
						io.WriteString(c, "530 5.7.0 Must issue a STARTTLS command first\r\n")
					}
				}
			}()
		}
	}()
	_, m.port, _ = net.SplitHostPort(l.Addr().String())
	return m
}

// withoutGreeting drops the first thing that is written.
type withoutGreeting struct {
	net.Conn
	greeted bool
}

func (w *withoutGreeting) Write(p []byte) (int, error) {
	if !w.greeted {
		w.greeted = true
		return len(p), nil
	}
	return w.Conn.Write(p)
}

func TestTheRelayIsReachedByTLS(t *testing.T) {
	cert, _, pair := certificate(t)
	for _, how := range []string{"smtps", "starttls"} {
		for _, tc := range []struct {
			name     string
			settings []string
			want     string
		}{
			{"a certificate that is known", []string{"ssl_client_ca_file = " + cert}, "250 2.0.0 Ok: queued"},
			{"one that is not", nil, "421 4.4.0 sub.example.org Failed to connect to relay server (connect)"},
			{"one that is not looked at", []string{"submission_relay_ssl_verify = no"}, "250 2.0.0 Ok: queued"},
		} {
			t.Run(how+", "+tc.name, func(t *testing.T) {
				m := secureMTA(t, pair, how == "smtps")
				path, _ := site(t, append(append(m.settings(), "submission_relay_ssl = "+how), tc.settings...)...)
				address, _ := start(t, path)
				c := dial(t, address)
				c.login()
				said := ""
				for _, line := range []string{"MAIL FROM:<a@b>", "RCPT TO:<a@b>", "DATA", "x\r\n."} {
					if said = c.Say(line + "\r\n"); strings.HasPrefix(said, "4") {
						break
					}
				}
				if !strings.HasPrefix(said, tc.want) {
					t.Errorf("%s, want %s", said, tc.want)
				}
			})
		}
	}
}

func TestARelayWithoutSTARTTLSGetsNothing(t *testing.T) {
	m := startMTA(t)
	path, _ := site(t, append(m.settings(), "submission_relay_ssl = starttls")...)
	address, _ := start(t, path)
	c := dial(t, address)
	c.login()
	if got := c.Reply(); !strings.HasPrefix(got, "421 4.4.0") {
		t.Error(got)
	}
	if said, _ := m.got(); len(said) > 2 {
		t.Errorf("%q", said)
	}
}

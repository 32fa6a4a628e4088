package submission_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
	c.reply()
	if got := c.say("EHLO x\r\n"); !strings.Contains(got, "250-STARTTLS") {
		t.Error(got)
	}
	// What comes in clear behind STARTTLS may be somebody else's: it must not be executed.
	c.expect("STARTTLS\r\nMAIL FROM:<evil@example.org>\r\nAUTH PLAIN AGFubgBwYXNz", "220 2.0.0 Begin TLS negotiation now.")
	secure := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	c.Conn, c.r = secure, bufio.NewReader(secure)
	if got := c.say("EHLO x\r\n"); strings.Contains(got, "STARTTLS") || !strings.Contains(got, "250-AUTH PLAIN") {
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
	c.reply()
	if got := c.say("EHLO x\r\n"); strings.Contains(got, "PLAIN") {
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
					if said = c.say(line + "\r\n"); strings.HasPrefix(said, "4") {
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
	if got := c.reply(); !strings.HasPrefix(got, "421 4.4.0") {
		t.Error(got)
	}
	if said, _ := m.got(); len(said) > 2 {
		t.Errorf("%q", said)
	}
}

func TestWhoWeAreAtTheRelay(t *testing.T) {
	m := startMTA(t, append([]string{"XCLIENT NAME ADDR PORT PROTO HELO LOGIN"}, usualExtensions...)...)
	path, _ := site(t, append(m.settings(), "submission_relay_trusted = yes", "submission_relay_user = us", "submission_relay_master_user = boss", "submission_relay_password = s3cret")...)
	address, _ := start(t, path)
	c := dial(t, address)
	c.begin("a@b")
	said, _ := m.got()
	local := c.LocalAddr().(*net.TCPAddr)
	want := fmt.Sprintf("EHLO sub.example.org|XCLIENT ADDR=127.0.0.1 PORT=%d PROTO=ESMTP HELO=me.example LOGIN=ann|EHLO sub.example.org|AUTH PLAIN %s|"+
		"MAIL FROM:<ann@example.org> AUTH=ann|RCPT TO:<a@b>", local.Port, base64.StdEncoding.EncodeToString([]byte("us\x00boss\x00s3cret")))
	if got := strings.Join(said, "|"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestParametersReachTheRelay(t *testing.T) {
	m := startMTA(t)
	path, _ := site(t, m.settings()...)
	address, _ := start(t, path)
	c := dial(t, address)
	c.login()
	c.expect("MAIL FROM:<a@b> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=q+2Bq AUTH=x@y", "250")
	c.expect("RCPT TO:<c@d> NOTIFY=DELAY,SUCCESS ORCPT=rfc822;foo+2Bx@bar", "250")
	c.expect("RCPT TO:<\"a b\"@d> NOTIFY=NEVER ORCPT=x400;a+09b", "250")
	c.expect("RCPT TO:<@route:e@f>", "250")
	c.expect("RCPT TO:<refused2@x>", "550-5.1.1 <refused2@x> first line\r\n550 5.1.1 second line")
	said, _ := m.got()
	want := `MAIL FROM:<a@b> AUTH=ann BODY=8BITMIME ENVID=q+2Bq RET=HDRS SIZE=1124|RCPT TO:<c@d> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;foo+2Bx@bar|RCPT TO:<"a b"@d> NOTIFY=NEVER ORCPT=x400;a+09b|RCPT TO:<e@f>`
	if got := strings.Join(said[1:5], "|"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestBinaryMIMEWhereTheRelayHasIt(t *testing.T) {
	m := startMTA(t, append([]string{"BINARYMIME"}, usualExtensions...)...)
	path, _ := site(t, m.settings()...)
	address, _ := start(t, path)
	c := dial(t, address)
	c.login()
	if got := c.say("EHLO x\r\n"); !strings.Contains(got, "250-BINARYMIME\r\n") {
		t.Error(got)
	}
	c.expect("MAIL FROM:<a@b> BODY=BINARYMIME SIZE=10", "250")
	c.expect("RCPT TO:<a@b>", "250")
	c.expect("DATA", "503 5.5.0 DATA cannot be used with BINARYMIME")
	if got := c.say("BDAT 8 LAST\r\n\x00\n.\n\r.\r\xff"); !strings.HasPrefix(got, "250 2.0.0 Ok: queued") {
		t.Error(got)
	}
	said, messages := m.got()
	if !strings.Contains(strings.Join(said, "|"), "MAIL FROM:<a@b> AUTH=ann BODY=BINARYMIME SIZE=1034|") || len(messages) != 1 || !strings.HasSuffix(messages[0], "\r\n\x00\n.\n\r.\r\xff") {
		t.Errorf("%q %q", said, messages)
	}
}

func TestWhatTheConfigurationSaysOfTheRelay(t *testing.T) {
	m := startMTA(t)
	path, _ := site(t, append(m.settings(), "submission_backend_capabilities = dsn vrfy foo")...)
	address, log := start(t, path)
	c := dial(t, address)
	c.reply()
	if got := c.say("EHLO x\r\n"); strings.Contains(got, "8BITMIME") || !strings.Contains(got, "250-DSN\r\n") || !strings.Contains(got, "VRFY") {
		t.Error(got)
	}
	c.expect("AUTH PLAIN AGFubgBwYXNz", "235")
	if got := c.say("EHLO x\r\n"); strings.Contains(got, "8BITMIME") || !strings.Contains(got, "250-DSN\r\n") || !strings.Contains(got, "250-SIZE 41943040\r\n") {
		t.Error(got)
	}
	if said, _ := m.got(); len(said) != 0 {
		t.Errorf("the relay was asked: %q", said)
	}
	c.expect("MAIL FROM:<a@b>", "250")
	if !strings.Contains(log.String(), "Unknown SMTP capability in submission_backend_capabilities: foo") {
		t.Error(log)
	}
}

func TestARelayThatIsGoneIsAskedAnew(t *testing.T) {
	for _, how := range []string{"idle for too long", "closed by the relay"} {
		t.Run(how, func(t *testing.T) {
			m := startMTA(t)
			settings := m.settings()
			if how == "idle for too long" {
				settings = append(settings, "submission_relay_max_idle_time = 1s")
			}
			path, _ := site(t, settings...)
			address, _ := start(t, path)
			c := dial(t, address)
			c.begin("a@b")
			c.expect("RSET", "250")
			if how == "closed by the relay" {
				m.hangUp()
			} else {
				time.Sleep(1100 * time.Millisecond)
			}
			c.expect("MAIL FROM:<a@b>", "250")
			c.expect("RCPT TO:<a@b>", "250")
			c.expect("DATA", "354")
			c.expect("x\r\n.", "250")
		})
	}
}

func TestXCLIENTFromTrustedNetworks(t *testing.T) {
	m := startMTA(t)
	path, _ := site(t, append(m.settings(), "login_trusted_networks = 127.0.0.0/8")...)
	address, log := start(t, path)
	c := dial(t, address)
	c.reply()
	if got := c.say("EHLO x\r\n"); !strings.HasSuffix(got, "250 XCLIENT ADDR PORT PROTO HELO LOGIN SESSION TTL TIMEOUT FORWARD") {
		t.Error(got)
	}
	c.expect("XCLIENT ADDR=foo", "501 5.5.4 Invalid ADDR parameter")
	c.expect("XCLIENT PROTO=foo", "501 5.5.4 Invalid PROTO parameter")
	c.expect("XCLIENT ADDR=192.0.2.7 PORT=99 SESSION=abc HELO=there.example", "220 sub.example.org Ready.")
	c.expect("AUTH PLAIN AGFubgBwYXNz", "235")
	c.expect("MAIL FROM:<a@b>", "250")
	c.expect("RCPT TO:<a@b>", "250")
	c.expect("DATA", "354")
	c.expect("x\r\n.", "250")
	if !strings.Contains(log.String(), "rip=192.0.2.7") || !strings.Contains(log.String(), "<abc>") {
		t.Error(log)
	}
	if _, messages := m.got(); !strings.Contains(messages[0], "Received: from there.example ([192.0.2.7])\r\n") {
		t.Errorf("%q", messages)
	}
}

func TestWithoutARelayNobodyGetsIn(t *testing.T) {
	path, _ := site(t)
	address, log := start(t, path)
	c := dial(t, address)
	c.reply()
	c.expect("AUTH PLAIN AGFubgBwYXNz", "451 4.3.5 Internal error occurred.")
	if got := c.reply(); got != "421 4.3.2 sub.example.org Shutting down due to fatal error" {
		t.Error(got)
	}
	waitFor(t, log, "No relay host configured for submission proxy (submission_relay_host is unset)", 1)
}

func TestARelayThatIsDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	path, _ := site(t, "submission_relay_host = 127.0.0.1", "submission_relay_port = "+port)
	address, _ := start(t, path)
	c := dial(t, address)
	c.login()
	if got := c.reply(); got != "421 4.4.0 sub.example.org Failed to connect to relay server (connect)" {
		t.Error(got)
	}
}

func TestARelayThatSaysNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	path, _ := site(t, "submission_relay_host = 127.0.0.1", "submission_relay_port = "+port, "submission_relay_command_timeout = 200 ms")
	address, _ := start(t, path)
	c := dial(t, address)
	c.login()
	if got := c.reply(); !strings.HasPrefix(got, "421 4.4.0 ") {
		t.Error(got)
	}
}

package sasl

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate makes one for 127.0.0.1, and the file in which a client finds it.
func certificate(t testing.TB) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, file
}

// imapServer speaks just enough IMAP for one client to authenticate; tls nil offers no STARTTLS.
type imapServer struct {
	users      *users
	mechanisms []string
	tls        *tls.Config
	config     Config
	bind       func(map[string][]byte) map[string][]byte // what of the channel is offered

	conn net.Conn
	in   *bufio.Reader
	end  string // "ok", an error of the conversation, or nothing
}

// serve answers one connection of l.
func (s *imapServer) serve(l net.Listener) error {
	var err error
	if s.conn, err = l.Accept(); err != nil {
		return err
	}
	defer func() { s.conn.Close() }()
	s.in = bufio.NewReader(s.conn)
	s.say("* OK ready")
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return nil // the client is done
		}
		words := strings.Fields(line)
		if len(words) < 2 {
			return fmt.Errorf("client said %q", line)
		}
		switch tag := words[0]; strings.ToUpper(words[1]) {
		case "CAPABILITY":
			s.say("* CAPABILITY IMAP4rev1%s AUTH=%s", map[bool]string{true: " STARTTLS"}[s.tls != nil], strings.Join(s.mechanisms, " AUTH="))
			s.say("%s OK done", tag)
		case "STARTTLS":
			s.say("%s OK begin", tag)
			if err := s.secure(); err != nil {
				return err
			}
		case "AUTHENTICATE":
			s.authenticate(tag, words[2])
		case "LOGOUT":
			s.say("%s OK done", tag)
			return nil
		default:
			s.say("%s BAD what?", tag)
		}
	}
}

func (s *imapServer) say(format string, args ...any) { fmt.Fprintf(s.conn, format+"\r\n", args...) }

func (s *imapServer) secure() error {
	c := tls.Server(s.conn, s.tls)
	if err := c.Handshake(); err != nil {
		return err
	}
	s.conn, s.in = c, bufio.NewReader(c)
	s.config.Bindings = Bindings(c.ConnectionState(), s.tls.Certificates[0].Leaf)
	if s.bind != nil {
		s.config.Bindings = s.bind(s.config.Bindings)
	}
	return nil
}

func (s *imapServer) authenticate(tag, name string) {
	server, err := New(name, s.users, s.config)
	var challenge, response []byte
	done := false
	for err == nil {
		if challenge, done, err = server.Next(context.Background(), response); err != nil || done && challenge == nil {
			break
		}
		s.say("+ %s", base64.StdEncoding.EncodeToString(challenge))
		line, _ := s.in.ReadString('\n')
		if done {
			break
		}
		response, err = Decode(strings.TrimRight(line, "\r\n"))
	}
	if s.end = "ok"; err != nil {
		s.end = err.Error()
		s.say("%s NO failed", tag)
		return
	}
	s.say("%s OK done", tag)
}

// gsasl lets the client of GNU SASL authenticate itself, and gives all that it said. Its exit code is of
// no use: it wants more of the server than is here.
func (s *imapServer) gsasl(t *testing.T, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("gsasl")
	if err != nil {
		t.Skip("gsasl, a client of all mechanisms, is not installed (apt-get install gsasl)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.serve(l) }()
	cmd := exec.CommandContext(t.Context(), program, append([]string{"--imap", "--connect", l.Addr().String()}, args...)...)
	out, _ := cmd.CombinedOutput()
	l.Close()
	if failed := <-served; failed != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, failed, out)
	}
	return string(out)
}

// GNU SASL's client logs in by each mechanism that it knows, and is refused with a wrong password.
func TestGNUSASLLogsIn(t *testing.T) {
	cert, ca := certificate(t)
	with := func(version uint16) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: version}
	}
	u := &users{clear: map[string]string{"ann": "pwä", "ann@example.org": "pwä"}}
	for _, tc := range []struct {
		name, mechanism string
		tls             *tls.Config
		config          Config
		args            []string
	}{
		{"PLAIN", "PLAIN", nil, Config{}, nil},
		{"LOGIN", "LOGIN", nil, Config{}, nil},
		{"CRAM-MD5", "CRAM-MD5", nil, Config{HostName: "localhost"}, nil},
		{"DIGEST-MD5 without a realm", "DIGEST-MD5", nil, Config{}, []string{"--quality-of-protection", "qop-auth"}},
		{"DIGEST-MD5 with one", "DIGEST-MD5", nil, Config{Realms: []string{"example.org", "example.net"}}, []string{"--quality-of-protection", "qop-auth"}},
		{"SCRAM-SHA-1", "SCRAM-SHA-1", nil, Config{}, nil},
		{"SCRAM-SHA-256", "SCRAM-SHA-256", nil, Config{}, nil},
		{"SCRAM-SHA-256 in a channel it does not look at", "SCRAM-SHA-256", with(0), Config{PlusOffered: true}, []string{"--no-cb"}},
		{"SCRAM-SHA-1-PLUS, TLS 1.3", "SCRAM-SHA-1-PLUS", with(0), Config{}, nil},
		{"SCRAM-SHA-256-PLUS, TLS 1.3", "SCRAM-SHA-256-PLUS", with(0), Config{}, nil},
		{"SCRAM-SHA-1-PLUS, TLS 1.2", "SCRAM-SHA-1-PLUS", with(tls.VersionTLS12), Config{}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, password := range []string{"pwä", "wrong"} {
				s := &imapServer{users: u, mechanisms: []string{tc.mechanism}, tls: tc.tls, config: tc.config}
				args := append([]string{"-m", tc.mechanism, "-a", "ann", "-p", password}, tc.args...)
				if tc.tls == nil {
					args = append(args, "--no-starttls")
				} else {
					args = append(args, "--starttls", "--x509-ca-file", ca)
				}
				said := s.gsasl(t, args...)
				content := strings.Contains(said, "Client authentication finished (server trusted)")
				if want := password != "wrong"; content != want || (s.end == "ok") != want {
					t.Errorf("%v: %s\n%s", args, s.end, said)
				}
			}
		})
	}
}

// Someone between a client and the server who has a certificate that the client trusts is found out by the channel.
func TestGNUSASLIsNotRelayed(t *testing.T) {
	cert, ca := certificate(t)
	another := func(real map[string][]byte) map[string][]byte {
		for kind := range real {
			real[kind] = []byte("another channel")
		}
		return real
	}
	s := &imapServer{users: &users{clear: map[string]string{"ann": "pw"}}, mechanisms: []string{"SCRAM-SHA-256-PLUS"},
		tls: &tls.Config{Certificates: []tls.Certificate{cert}}, bind: another}
	said := s.gsasl(t, "-m", "SCRAM-SHA-256-PLUS", "-a", "ann", "-p", "pw", "--starttls", "--x509-ca-file", ca)
	if s.end != "Invalid channel binding data" {
		t.Errorf("ended with %q\n%s", s.end, said)
	}
}

package imap

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
	"dovetail/formats/formatstest/dovecot"
)

func template(t testing.TB, text string) *variable.Template {
	t.Helper()
	parsed, err := variable.Parse23(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// at gives options for an address.
func at(t testing.TB, address string) Options {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Host: template(t, host), Port: n}
}

// check gives "ok", or the kind of the error and its text.
func check(t testing.TB, o Options, user, password string) string {
	t.Helper()
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Verify(context.Background(), &auth.Request{User: user, Service: "imap"}, password)
	return outcome(err)
}

func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	kind := "down"
	for name, known := range map[string]error{"mismatch": auth.ErrMismatch, "expired": auth.ErrExpired, "unknown": auth.ErrUnknown} {
		if errors.Is(err, known) {
			kind = name
		}
	}
	return kind + " " + err.Error()
}

// scripted is a server of fixed lines: ">" is what it says, "<" what the client must, "." closes.
func scripted(t *testing.T, lines ...string) Options {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in := bufio.NewReader(c)
		for _, line := range lines {
			if say, ok := strings.CutPrefix(line, "> "); ok {
				fmt.Fprint(c, say+"\r\n")
				continue
			}
			got, err := in.ReadString('\n')
			if want := strings.TrimPrefix(line, "< "); err != nil || strings.TrimSuffix(got, "\r\n") != want {
				t.Errorf("client said %q (%v), want %q", got, err, want)
				return
			}
		}
	}()
	return at(t, l.Addr().String())
}

const ready = "> * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready"

func TestDialogues(t *testing.T) {
	const plain = "< 1 AUTHENTICATE PLAIN AGFubgBwdw=="
	for _, tc := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"right", []string{ready, plain, "> * CAPABILITY IMAP4rev1 IDLE", "> 1 OK Logged in"}, "ok"},
		{"wrong", []string{ready, plain, "> 1 NO [AUTHENTICATIONFAILED] Authentication failed."}, "mismatch [AUTHENTICATIONFAILED] Authentication failed."},
		{"wrong, without a code", []string{ready, plain, "> 1 NO no"}, "mismatch no"},
		{"not as that user", []string{ready, plain, "> 1 NO [AUTHORIZATIONFAILED] x"}, "mismatch [AUTHORIZATIONFAILED] x"},
		{"expired", []string{ready, plain, "> 1 no [EXPIRED] Password expired"}, "expired [EXPIRED] Password expired"},
		{"its database is down", []string{ready, plain, "> 1 NO [UNAVAILABLE] Temporary authentication failure."}, "down ADDRESS: [UNAVAILABLE] Temporary authentication failure."},
		{"BAD", []string{ready, plain, "> 1 BAD what?"}, "down ADDRESS: AUTHENTICATE: BAD what?"},
		{"it says why in a challenge", []string{ready, plain, "> + e30=", "< *", "> 1 NO no"}, "mismatch no"},
		{"BYE in place of an answer", []string{ready, plain, "> * BYE too many"}, "down ADDRESS: Server disconnected: too many"},
		{"it hangs up", []string{ready, plain}, "down ADDRESS: Server disconnected unexpectedly"},
		{"BYE as a greeting", []string{"> * BYE full"}, "down ADDRESS: greeting: * BYE full"},
		{"PREAUTH is nobody's password", []string{"> * PREAUTH welcome"}, "down ADDRESS: greeting: * PREAUTH welcome"},
		{"another protocol", []string{"> 220 smtp ready"}, "down ADDRESS: greeting: 220 smtp ready"},
		{"another tag", []string{ready, plain, "> 2 OK Logged in"}, "down ADDRESS: unexpected line: 2 OK Logged in"},
		{"capabilities that must be asked for", []string{"> * OK ready", "< 1 CAPABILITY", "> * CAPABILITY IMAP4rev1 AUTH=PLAIN", "> 1 OK done",
			"< 2 AUTHENTICATE PLAIN", "> + ", "< AGFubgBwdw==", "> 2 OK done"}, "ok"},
		{"LOGIN", []string{"> * OK [CAPABILITY IMAP4rev1] ready", "< 1 LOGIN {3}", "> + go", "< ann {2}", "> + go", "< pw", "> 1 OK done"}, "ok"},
		{"LOGIN refused at the name", []string{"> * OK [CAPABILITY IMAP4rev1] ready", "< 1 LOGIN {3}", "> 1 NO no"}, "mismatch no"},
		{"no LOGIN without TLS", []string{"> * OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready"}, "down ADDRESS: Server doesn't allow passwords without TLS: ssl=starttls or ssl=imaps"},
		{"text for terminals", []string{ready, plain, "> 1 NO a\x1b[31mb"}, "mismatch a?[31mb"},
	} {
		o := scripted(t, tc.lines...)
		want := strings.Replace(tc.want, "ADDRESS", "127.0.0.1:"+strconv.Itoa(o.Port), 1)
		if got := check(t, o, "ann", "pw"); got != want {
			t.Errorf("%s: %s\nwant %s", tc.name, got, want)
		}
	}
}

func TestSTARTTLSThatIsTamperedWith(t *testing.T) {
	o := scripted(t, "> * OK [CAPABILITY IMAP4rev1 STARTTLS] ready", "< 1 STARTTLS", "> 1 OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN")
	o.TLS = "starttls"
	if got := check(t, o, "ann", "pw"); !strings.HasSuffix(got, "server sent more than the answer to STARTTLS") {
		t.Error(got)
	}
	o = scripted(t, ready)
	o.TLS = "starttls"
	if got := check(t, o, "ann", "pw"); !strings.HasSuffix(got, "Server doesn't support STARTTLS") {
		t.Error(got)
	}
}

// Names and passwords that no server gets to see.
func TestWhatIsNotAsked(t *testing.T) {
	o := Options{Host: template(t, "%d"), Port: 1}
	for _, tc := range []struct{ user, password, want string }{
		{"ann@127.0.0.1", "", "mismatch Password mismatch"},
		{"ann@127.0.0.1", "a\x00b", "mismatch Password mismatch"},
		{"ann@../../x", "pw", `down Invalid host "../../x"`},
		{"ann", "pw", `down Invalid host ""`},
	} {
		if got := check(t, o, tc.user, tc.password); got != tc.want {
			t.Errorf("%q %q: %s, want %s", tc.user, tc.password, got, tc.want)
		}
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Find(t.Context(), &auth.Request{User: "ann"}); err != auth.ErrNoFind {
		t.Errorf("Find gave %v", err)
	}
}

func TestAServerThatDoesNotAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := at(t, l.Addr().String())
	o.Timeout = 10 * time.Millisecond
	if got := check(t, o, "ann", "pw"); !strings.HasPrefix(got, "down ") || !strings.HasSuffix(got, "deadline exceeded") {
		t.Error(got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o.Timeout = time.Hour
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if c, err := l.Accept(); err == nil { // the one of before
			c.Close()
		}
		if c, err := l.Accept(); err == nil {
			defer c.Close()
			cancel()
			io.Copy(io.Discard, c)
		}
	}()
	if _, err := p.Verify(ctx, &auth.Request{User: "ann"}, "pw"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	l.Close()
	_, err = p.Verify(t.Context(), &auth.Request{User: "ann"}, "pw")
	if refusal, ok := errors.AsType[*auth.Refusal](err); !ok || refusal.Level != slog.LevelError || !strings.Contains(outcome(err), "refused") {
		t.Error(err)
	}
}

// A server that never ends its line does not fill the memory.
func TestAServerThatGoesOn(t *testing.T) {
	o := scripted(t, "> * OK "+strings.Repeat("x", 2*maxConversation))
	if got := check(t, o, "ann", "pw"); !strings.HasPrefix(got, "down ") {
		t.Error(got)
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	host := template(t, "x")
	for want, o := range map[string]Options{
		"Missing host parameter": {}, "Invalid ssl mode: yes": {Host: host, TLS: "yes"}, "Invalid port": {Host: host, Port: 70000},
		"ssl_ca_dir": {Host: host, CADir: "/nonexistent"}, "certificates of authorities": {Host: host, CAFile: "/nonexistent"}, "has no certificate": {Host: host, CAFile: os.DevNull},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// certificate makes one for a name and gives the files.
func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pair.Public(), pair)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(pair)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// imaps is a listener that speaks TLS and hands on to an address without.
func imaps(t *testing.T, cert, key, to string) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				out, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer out.Close()
				go func() { io.Copy(out, c); out.(*net.TCPConn).CloseWrite() }()
				io.Copy(c, out)
			}()
		}
	}()
	return l.Addr().String()
}

// The real server says yes and no, without TLS, after STARTTLS and within TLS.
func TestBesideDovecot(t *testing.T) {
	dovecot.Need(t)
	dir := dovecot.TempDir(t)
	if err := os.Chmod(dir, 0o755); err != nil { // the auth process is yet another user
		t.Fatal(err)
	}
	cert, key := certificate(t, dir)
	users := filepath.Join(dir, "users")
	uid, gid := dovecot.IDs()
	home := fmt.Sprintf("%d:%d::%s/mail", uid, gid, dir)
	passwd := fmt.Sprintf("ann@example.org:{PLAIN}s3cret pä\"\\ss:%s\nlocked:{PLAIN}pw:%s::nologin reason=gone\n", home, home)
	if err := os.WriteFile(users, []byte(passwd), 0o644); err != nil {
		t.Fatal(err)
	}
	d := dovecot.Serve(t, users, "ssl = yes", "ssl_cert = <"+cert, "ssl_key = <"+key, "service anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}")
	clear := at(t, d.IMAPAddr)
	start := clear
	start.TLS, start.CAFile, start.Host = "starttls", cert, template(t, "localhost")
	whole := at(t, imaps(t, cert, key, d.IMAPAddr))
	whole.TLS, whole.CAFile, whole.Host = "imaps", cert, template(t, "localhost")
	const right = "s3cret pä\"\\ss"
	for name, o := range map[string]Options{"in clear": clear, "STARTTLS": start, "imaps": whole} {
		if got := check(t, o, "ann@example.org", right); got != "ok" {
			t.Errorf("%s: %s\n%s", name, got, d.Log())
		}
		if got := check(t, o, "ann@example.org", "wrong"); got != "mismatch [AUTHENTICATIONFAILED] Authentication failed." {
			t.Errorf("%s, wrong password: %s", name, got)
		}
	}
	o := clear
	o.Username = template(t, "%n@example.org")
	if got := check(t, o, "ann@other", right); got != "ok" {
		t.Errorf("with a name of its own: %s", got)
	}
	o = start
	o.CAFile = ""
	if got := check(t, o, "ann@example.org", right); !strings.Contains(got, "unknown authority") || !strings.HasPrefix(got, "down ") {
		t.Errorf("an unknown authority: %s", got)
	}
	o.AllowInvalidCert = true
	if got := check(t, o, "ann@example.org", right); got != "ok" {
		t.Errorf("any certificate: %s", got)
	}
	o = start
	o.Host = template(t, "127.0.0.1")
	if got := check(t, o, "ann@example.org", right); !strings.Contains(got, "127.0.0.1") || !strings.HasPrefix(got, "down ") {
		t.Errorf("a certificate for another name: %s", got)
	}
}

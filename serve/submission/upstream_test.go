package submission_test

import (
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

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
	if got := c.Say("EHLO x\r\n"); !strings.Contains(got, "250-BINARYMIME\r\n") {
		t.Error(got)
	}
	c.expect("MAIL FROM:<a@b> BODY=BINARYMIME SIZE=10", "250")
	c.expect("RCPT TO:<a@b>", "250")
	c.expect("DATA", "503 5.5.0 DATA cannot be used with BINARYMIME")
	if got := c.Say("BDAT 8 LAST\r\n\x00\n.\n\r.\r\xff"); !strings.HasPrefix(got, "250 2.0.0 Ok: queued") {
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
	c.Reply()
	if got := c.Say("EHLO x\r\n"); strings.Contains(got, "8BITMIME") || !strings.Contains(got, "250-DSN\r\n") || !strings.Contains(got, "VRFY") {
		t.Error(got)
	}
	c.expect("AUTH PLAIN AGFubgBwYXNz", "235")
	if got := c.Say("EHLO x\r\n"); strings.Contains(got, "8BITMIME") || !strings.Contains(got, "250-DSN\r\n") || !strings.Contains(got, "250-SIZE 41943040\r\n") {
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
	c.Reply()
	if got := c.Say("EHLO x\r\n"); !strings.HasSuffix(got, "250 XCLIENT ADDR PORT PROTO HELO LOGIN SESSION TTL TIMEOUT FORWARD") {
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
	c.Reply()
	c.expect("AUTH PLAIN AGFubgBwYXNz", "451 4.3.5 Internal error occurred.")
	if got := c.Reply(); got != "421 4.3.2 sub.example.org Shutting down due to fatal error" {
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
	if got := c.Reply(); got != "421 4.4.0 sub.example.org Failed to connect to relay server (connect)" {
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
	if got := c.Reply(); !strings.HasPrefix(got, "421 4.4.0 ") {
		t.Error(got)
	}
}

package submission_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"dovetail/auth/authtest"
)

// bridge gives connections to a port of 127.0.0.1 to a unix socket.
func bridge(t testing.TB, socket string) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
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
				to, err := net.Dial("unix", socket)
				if err != nil {
					return
				}
				defer to.Close()
				go func() {
					io.Copy(to, c)
					to.(*net.UnixConn).CloseWrite()
				}()
				io.Copy(c, to)
			}()
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// behindUs is a real Postfix as our relay; what it accepts comes to the mta by LMTP.
func behindUs(t *testing.T) (address string, end *mta, postfix *authtest.Postfix) {
	t.Helper()
	end = startMTA(t, "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES")
	postfix = authtest.StartPostfix(t, `virtual_mailbox_domains = example.org
virtual_mailbox_maps = inline:{ {bob@example.org=yes} {eve@example.org=yes} {later@example.org=yes} {refused@example.org=yes} }
virtual_transport = lmtp:inet:127.0.0.1:`+end.port+`
mydestination =
alias_maps =
message_size_limit = 20000
smtpd_delay_reject = yes
smtpd_sender_restrictions = check_sender_access inline:{ {spammer@example.org=554 5.7.1 We know you} }
smtpd_recipient_restrictions = check_recipient_access inline:{ {refused@example.org=554 5.7.1 Go away} {later@example.org=450 4.7.1 Not now} }, reject_unauth_destination
smtpd_peername_lookup = no
smtpd_end_of_data_restrictions = check_sender_access inline:{ {content@example.org=550 5.7.1 Nothing of that kind} }`)
	path, _ := site(t, "submission_relay_host = 127.0.0.1", "submission_relay_port = "+bridge(t, postfix.SMTP))
	address, _ = start(t, path)
	return address, end, postfix
}

// arrived waits for messages at the end of the way.
func arrived(t testing.TB, end *mta, postfix *authtest.Postfix, n int) []string {
	t.Helper()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, messages := end.got()
		if len(messages) >= n {
			return messages
		}
		if time.Now().After(limit) {
			t.Fatalf("%d messages came, want %d\n%s", len(messages), n, postfix.Log())
		}
	}
}

func TestARealPostfixIsTheRelay(t *testing.T) {
	address, end, postfix := behindUs(t)
	t.Run("refusals are passed on", func(t *testing.T) {
		c := dial(t, address)
		c.login()
		if got := c.Say("EHLO me.example\r\n"); !strings.Contains(got, "250-SIZE 18976\r\n") || !strings.Contains(got, "250-DSN\r\n") || !strings.Contains(got, "VRFY") {
			t.Error(got)
		}
		c.expect("MAIL FROM:<ann@example.org> SIZE=19000", "552 5.3.4 Message size exceeds fixed maximum message size")
		c.expect("MAIL FROM:<spammer@example.org>", "250 2.1.0 Ok")
		c.expect("RCPT TO:<bob@example.org>", "554 5.7.1 <bob@example.org> <spammer@example.org>: Sender address rejected: We know you")
		c.expect("RSET", "250 2.0.0 Ok")
		c.expect("MAIL FROM:<ann@example.org>", "250 2.1.0 Ok")
		c.expect("RCPT TO:<nobody@example.org>", "550 5.1.1 <nobody@example.org> <nobody@example.org>: Recipient address rejected: User unknown in virtual mailbox table")
		c.expect("RCPT TO:<refused@example.org>", "554 5.7.1 <refused@example.org> <refused@example.org>: Recipient address rejected: Go away")
		c.expect("RCPT TO:<later@example.org>", "450 4.7.1 <later@example.org> <later@example.org>: Recipient address rejected: Not now")
		c.expect("RCPT TO:<eve@elsewhere.example>", "554 5.7.1 <eve@elsewhere.example> <eve@elsewhere.example>: Relay access denied")
		c.expect("DATA", "554 5.5.0 No valid recipients")
		c.expect("RSET", "250 2.0.0 Ok")
		c.expect("MAIL FROM:<content@example.org>", "250 2.1.0 Ok")
		c.expect("RCPT TO:<bob@example.org>", "250 2.1.5 Ok")
		c.expect("DATA", "354 OK")
		c.expect("x\r\n.", "550 5.7.1 <content@example.org>: Sender address rejected: Nothing of that kind")
		c.expect("VRFY nobody", "554 5.7.1 <nobody>: Relay access denied")
		c.expect("QUIT", "221 2.0.0 Bye")
	})
	t.Run("a message arrives as it was", func(t *testing.T) {
		c := dial(t, address)
		c.login()
		c.expect("MAIL FROM:<ann@example.org>", "250 2.1.0 Ok")
		c.expect("RCPT TO:<bob@example.org>", "250 2.1.5 Ok")
		c.expect("DATA", "354 OK")
		c.expect("Subject: whole\r\n\r\n..two dots\r\nline\n.\nMAIL FROM:<x@y>\r\nend\r\n.", "250 2.0.0 Ok: queued as ")
		c.expect("MAIL FROM:<ann@example.org>", "250 2.1.0 Ok")
		c.expect("QUIT", "221 2.0.0 Bye")
		message := arrived(t, end, postfix, 1)[0]
		if !strings.Contains(message, "\tby sub.example.org with ESMTPA\r\n") || !strings.HasSuffix(message, "\r\n\r\n.two dots\r\nline\r\n.\r\nMAIL FROM:<x@y>\r\nend\r\n") {
			t.Errorf("%q", message)
		}
	})
}

const pythonClient = `import smtplib, sys
from email.message import EmailMessage
host, port = sys.argv[1].split(":")
m = EmailMessage()
m["From"], m["To"], m["Subject"] = "ann@example.org", "bob@example.org", "by Python"
m.set_content("from smtplib\n.\nend\n")
with smtplib.SMTP(host, int(port)) as s:
    s.login("ann", "pass")
    s.send_message(m)
    try:
        s.sendmail("ann@example.org", ["refused@example.org"], "x")
    except smtplib.SMTPRecipientsRefused as e:
        print(e.recipients)
`

func TestRealClients(t *testing.T) {
	address, end, postfix := behindUs(t)
	host, port, _ := net.SplitHostPort(address)
	dir := t.TempDir()
	file := filepath.Join(dir, "message")
	if err := os.WriteFile(file, []byte("Subject: by a file\r\n\r\nhello\r\n.dot\r\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, name string, args ...string) string {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("%s is not installed", name)
		}
		cmd := exec.Command(path, args...)
		cmd.Stdin, _ = os.Open(file)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	sent := 0
	t.Run("Python", func(t *testing.T) {
		if out := run(t, "python3", "-c", pythonClient, address); !strings.Contains(out, "554") || !strings.Contains(out, "Go away") {
			t.Error(out)
		}
		sent++
	})
	t.Run("curl", func(t *testing.T) {
		run(t, "curl", "-sS", "--url", "smtp://"+address+"/me.example", "-u", "ann:pass", "--mail-from", "ann@example.org", "--mail-rcpt", "bob@example.org", "-T", file)
		sent++
	})
	t.Run("msmtp", func(t *testing.T) {
		run(t, "msmtp", "--host="+host, "--port="+port, "--auth=plain", "--user=ann", "--passwordeval=echo pass", "--from=ann@example.org", "--tls=off", "bob@example.org", "eve@example.org")
		sent++
	})
	t.Run("go-smtp", func(t *testing.T) {
		c, err := gosmtp.Dial(address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Auth(sasl.NewPlainClient("", "ann", "pass")); err != nil {
			t.Fatal(err)
		}
		if err := c.SendMail("ann@example.org", []string{"bob@example.org"}, strings.NewReader("Subject: by Go\r\n\r\nx\r\n")); err != nil {
			t.Fatal(err)
		}
		if err := c.Quit(); err != nil {
			t.Error(err)
		}
		sent++
	})
	if messages := arrived(t, end, postfix, sent); len(messages) < sent {
		t.Errorf("%d messages", len(messages))
	}
}

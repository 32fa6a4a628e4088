package main

import (
	"fmt"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dovetail/auth/authtest"
	"dovetail/formats/formatstest/dovecot"
)

// behindPostfix is our server as the place where a real Postfix delivers.
type behindPostfix struct {
	*mailServer
	*authtest.Postfix
	t *testing.T
}

// postfixUsers are the users u1@example.org to u100@example.org.
const postfixUsers = 100

// newBehindPostfix starts both; transport is Postfix's name for the way to us, in which SOCKET stands for the unix socket.
func newBehindPostfix(t *testing.T, kind string) *behindPostfix {
	t.Helper()
	s := prepareServer(t, kind)
	var users strings.Builder
	uid, gid := dovecot.IDs()
	for i := range postfixUsers {
		fmt.Fprintf(&users, "u%d@example.org::%d:%d::%s/home/u%[1]d\n", i+1, uid, gid, s.dir)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "users"), []byte(users.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	b := &behindPostfix{s, nil, t}
	b.startAgain(kind)
	b.Postfix = authtest.StartPostfix(t, `virtual_mailbox_domains = example.org
virtual_transport = lmtp:unix:`+s.dir+`/lmtp
mydestination =
smtpd_recipient_restrictions = reject_unauth_destination
alias_maps =
smtpd_peername_lookup = no
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
lmtp_destination_recipient_limit = 200`)
	return b
}

// startAgain starts our server, with mail of a kind.
func (b *behindPostfix) startAgain(kind string) {
	b.configure(kind, "protocols = imap lmtp", "auth_username_format = %Lu", `service lmtp {
  unix_listener `+b.dir+`/lmtp {
    mode = 0666
  }
}
userdb {
  driver = passwd-file
  args = `+b.dir+`/users
}
`)
	b.edit(withoutStaticUserdb)
	b.start()
}

// send gives Postfix a message.
func (b *behindPostfix) send(id int, from string, to ...string) {
	b.t.Helper()
	conn, err := net.Dial("unix", b.SMTP)
	if err != nil {
		b.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	c, err := smtp.NewClient(conn, "localhost")
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	steps := []func() error{func() error { return c.Mail(from) }}
	for _, r := range to {
		steps = append(steps, func() error { return c.Rcpt(r) })
	}
	for _, do := range steps {
		if err := do(); err != nil {
			b.t.Fatal(err)
		}
	}
	w, err := c.Data()
	if err != nil {
		b.t.Fatal(err)
	}
	fmt.Fprintf(w, "From: %s\r\nSubject: message %d\r\nMessage-ID: <m%d@example.net>\r\n\r\n.dot\r\nFrom here on\r\n", from, id, id)
	if err := w.Close(); err != nil {
		b.t.Fatal(err)
	}
}

// await waits until Postfix has logged so many of its deliveries as done: of messages, of a bounce, and of one to nobody.
func (b *behindPostfix) await(sent, bounced int) {
	b.t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		log := b.Postfix.Log()
		if strings.Count(log, "status=sent") >= sent && strings.Count(log, "status=bounced") >= bounced {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("after two minutes\n%s", log)
		}
	}
}

// messages gives how often each message is there, by its Message-ID, in the mail of a user.
func (b *behindPostfix) messages(user string) map[string]int {
	b.t.Helper()
	c := b.login(user)
	defer c.Close()
	n := map[string]int{}
	c.Cmd("SELECT INBOX")
	for _, line := range c.Cmd("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])") {
		if _, rest, ok := strings.Cut(line, "Message-ID: <"); ok {
			id, _, _ := strings.Cut(rest, ">")
			n[id]++
		}
	}
	return n
}

func TestR263PostfixDelivers(t *testing.T) {
	b := newBehindPostfix(t, "maildir")
	const total, many = 500, 20
	name := func(i int) string { return fmt.Sprintf("u%d@example.org", i%many+1) }
	for i := range total {
		if i == total/3 { // in the middle of it
			b.Process.Signal(unix.SIGTERM)
			b.Wait()
		}
		if i == total/2 {
			b.startAgain("maildir")
			b.Flush()
		}
		b.send(i, "sender@example.net", name(i))
	}
	var all []string
	for i := range postfixUsers {
		all = append(all, fmt.Sprintf("u%d@example.org", i+1))
	}
	b.send(total, "u99@example.org", all...)
	b.send(total+1, "u100@example.org", "nobody@example.org")
	b.await(total+postfixUsers+1, 1)
	for i := range many {
		got := b.messages(fmt.Sprintf("u%d@example.org", i+1))
		for k := i; k < total; k += many {
			if n := got[fmt.Sprintf("m%d@example.net", k)]; n != 1 {
				t.Errorf("message %d was delivered %d times", k, n)
			}
		}
	}
	for i := range postfixUsers {
		if n := b.messages(fmt.Sprintf("u%d@example.org", i+1))[fmt.Sprintf("m%d@example.net", total)]; n != 1 {
			t.Errorf("u%d has the message to all %d times", i+1, n)
		}
	}
	c := b.login("u100@example.org")
	c.Cmd("SELECT INBOX")
	bounces := strings.Join(strings.Fields(strings.Join(c.Cmd("FETCH 1:* BODY.PEEK[TEXT]"), " ")), " ") // Postfix folds lines
	if !strings.Contains(bounces, "550 5.1.1 <nobody@example.org> User doesn't exist: nobody@example.org") {
		t.Errorf("nobody was told of the unknown user\n%s", b.Postfix.Log())
	}
	if strings.Contains(b.log.String(), "Error:") || strings.Contains(b.log.String(), "Panic") {
		t.Errorf("the server's log:\n%s", b.log)
	}
}

// The way to us is TCP with STARTTLS.
func TestR263PostfixDeliversOverTLS(t *testing.T) {
	s := prepareLMTP(t, "sdbox")
	s.start()
	p := authtest.StartPostfix(t, `virtual_mailbox_domains = example.org
virtual_transport = lmtp:inet:`+bracketed(s.plain)+`
mydestination =
alias_maps =
smtpd_peername_lookup = no
smtpd_recipient_restrictions = reject_unauth_destination
lmtp_tls_security_level = encrypt
lmtp_tls_loglevel = 1
lmtp_tls_mandatory_protocols = >=TLSv1.2`)
	b := &behindPostfix{s.mailServer, p, t}
	const total = 20
	for i := range total {
		b.send(i, "sender@example.net", fmt.Sprintf("u%d@example.org", i%4))
	}
	b.await(total, 0)
	for u := range 4 {
		got := b.messages(fmt.Sprintf("u%d@example.org", u))
		for i := u; i < total; i += 4 {
			if n := got[fmt.Sprintf("m%d@example.net", i)]; n != 1 {
				t.Errorf("message %d was delivered %d times", i, n)
			}
		}
	}
	if !strings.Contains(p.Log(), "TLS connection established to 127.0.0.1") {
		t.Errorf("without TLS:\n%s", p.Log())
	}
}

// bracketed writes host:port as Postfix wants an address that is not looked up.
func bracketed(address string) string {
	host, port, _ := net.SplitHostPort(address)
	return "[" + host + "]:" + port
}

// Postfix's pipe(8) runs "dovetail deliver" for each message, as it runs dovecot-lda.
func TestPostfixDeliversThroughAPipe(t *testing.T) {
	s := prepareDelivery(t, "maildir", "full::IDS::HOME/full::userdb_quota_rule=*:bytes=10\nhomeless::IDS::\n", `mail_plugins = quota
plugin {
  quota = maildir:User
  quota_grace = 0
}`)
	uid, _ := dovecot.IDs()
	account, err := user.LookupId(fmt.Sprint(uid))
	if err != nil {
		t.Skip(err)
	}
	program := filepath.Join(s.dir, "dovetail") // where others may run it
	original, err := exec.LookPath("dovetail")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", original, program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	conf := filepath.Join(s.dir, "dovecot.conf")
	for _, path := range []string{conf, filepath.Join(s.dir, "key.pem"), filepath.Join(s.dir, "cert.pem")} {
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := authtest.StartPostfix(t, `virtual_mailbox_domains = example.org
virtual_transport = dovetail:
dovetail_destination_recipient_limit = 1
mydestination =
alias_maps =
smtpd_peername_lookup = no
smtpd_recipient_restrictions = reject_unauth_destination
`, "dovetail unix - n n - - pipe flags=DRhu user="+account.Username+" argv="+program+" deliver -c "+conf+" -e -f ${sender} -a ${original_recipient} -d ${user}\n")
	b := &behindPostfix{s, p, t}
	b.send(1, "sender@example.net", "ann@example.org")
	b.send(2, "sender@example.net", "nobody@example.org")
	b.send(3, "sender@example.net", "full@example.org")
	b.send(4, "sender@example.net", "homeless@example.org")
	b.await(1, 2)
	names, _ := filepath.Glob(s.dir + "/home/ann/mail/new/*")
	if len(names) != 1 {
		t.Fatalf("ann has %q\n%s", names, p.Log())
	}
	text, err := os.ReadFile(names[0])
	if err != nil || !strings.HasPrefix(string(text), "Return-Path: <sender@example.net>\n") || !strings.HasSuffix(string(text), "\n\n.dot\nFrom here on\n") {
		t.Errorf("%q, %v", text, err)
	}
	for end := time.Now().Add(time.Minute); strings.Count(p.Log(), "status=deferred") < 1 && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	for _, want := range []string{"to=<nobody@example.org>", "User doesn't exist: nobody", "Quota exceeded (mailbox for user is full)", "status=deferred"} {
		if !strings.Contains(p.Log(), want) {
			t.Errorf("no %q\n%s", want, p.Log())
		}
	}
}

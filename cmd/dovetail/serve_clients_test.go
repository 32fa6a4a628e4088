package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"dovetail/formats/formatstest/dovecot"
)

// clientMail are messages that careless clients and servers change.
var clientMail = []string{
	"From: a@example.org\r\nSubject: plain one\r\nMessage-ID: <i1@example.org>\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\n\r\nhello\r\n",
	"From: a@example.org\r\nSubject: dots\r\nMessage-ID: <i2@example.org>\r\nDate: Mon, 1 Jan 2024 11:00:00 +0000\r\n\r\n.\r\n..\r\n.x\r\nend\r\n",
	"From: a@example.org\r\nSubject: from line\r\nMessage-ID: <i3@example.org>\r\nDate: Mon, 1 Jan 2024 12:00:00 +0000\r\n\r\nFrom here on\r\n>From there\r\n\r\nFrom a@b Mon Jan  1 00:00:00 2024\r\nx\r\n",
	"From: a@example.org\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <i4@example.org>\r\nDate: Mon, 1 Jan 2024 13:00:00 +0000\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngrüße €\r\n",
	"From: a@example.org\r\nSubject: big\r\nMessage-ID: <i5@example.org>\r\nDate: Mon, 1 Jan 2024 14:00:00 +0000\r\n\r\n" + strings.Repeat(strings.Repeat("0123456789", 7)+"\r\n", 20000),
}

// Real clients over each format; afterwards Dovecot opens what they left, and finds nothing to complain of.
func TestServeRealClients(t *testing.T) {
	for _, kind := range []string{"sdbox", "mdbox", "maildir", "mbox"} {
		t.Run(kind, func(t *testing.T) {
			s := startServer(t, kind)
			for _, c := range []struct {
				name string
				run  func(*testing.T, *mailServer, string)
			}{{"curl", withCurl}, {"imaplib", withImaplib}, {"goimap", withGoIMAP}, {"mbsync", withMbsync}, {"offlineimap", withOfflineimap},
				{"mutt", withMutt}, {"openssl", withOpenSSL},
				{"fetchmail", withFetchmail}, {"interimap", withInterIMAP}, {"imapfilter", withImapfilter}} {
				t.Run(c.name, func(t *testing.T) {
					own := *s
					own.t = t
					c.run(t, &own, c.name)
					own.judge(kind, c.name)
				})
			}
		})
	}
}

// judge has real Dovecot read a user's mail, which must be as we say it is, and nothing in its log.
func (s *mailServer) judge(kind, user string) {
	t := s.t
	t.Helper()
	if _, err := exec.LookPath("doveadm"); err != nil {
		return // what the client saw was right; there is no judge
	}
	ours := s.login(user)
	defer ours.Close()
	j := dovecot.New(t, dovecot.Location(kind, filepath.Join(s.dir, "home", user, "mail")))
	for _, box := range ours.List() {
		theirs := j.IMAP()
		if _, status := theirs.Try("SELECT " + dovecot.Quote(box.Name)); status != "OK" {
			theirs.Close()
			continue
		}
		want := theirs.Cmd("FETCH 1:* (UID FLAGS RFC822.SIZE)")
		theirs.Close()
		ours.Cmd("EXAMINE " + dovecot.Quote(box.Name))
		got := ours.Cmd("FETCH 1:* (UID FLAGS RFC822.SIZE)")
		if clean(got) != clean(want) {
			t.Errorf("%s: we show\n%s\nDovecot shows\n%s", box.Name, clean(got), clean(want))
		}
	}
	j.MustBeClean()
}

// clean is what two servers must agree in: \Recent is whoever's came first.
func clean(lines []string) string {
	text := strings.Join(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return !strings.Contains(l, "FETCH") }), "\n")
	return strings.NewReplacer(` \Recent`, "", `\Recent `, "", `\Recent`, "").Replace(text)
}

// fill puts the messages into a user's INBOX.
func (s *mailServer) fill(user string) {
	s.t.Helper()
	c := s.login(user)
	for _, m := range clientMail {
		c.Append("INBOX", "", "", m)
	}
	c.Close()
}

// client runs a program with an empty home, or skips where there is none. Its output is given.
func (s *mailServer) client(dir string, name string, args ...string) string {
	s.t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		s.t.Skipf("%s is not installed", name)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "LC_ALL=C", "TERM=xterm")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func withCurl(t *testing.T, s *mailServer, user string) {
	dir := t.TempDir()
	s.fill(user)
	url := "imap://" + s.imap + "/"
	curl := func(args ...string) string {
		return s.client(dir, "curl", append([]string{"-sS", "--user", user + ":secret", "--cacert", filepath.Join(s.dir, "cert.pem")}, args...)...)
	}
	if got := curl(url); !strings.Contains(got, "INBOX") {
		t.Errorf("the list is %q", got)
	}
	for i, want := range clientMail {
		if got := curl(fmt.Sprintf("%sINBOX;MAILINDEX=%d", url, i+1)); got != want {
			t.Errorf("message %d: got %d bytes, want %d", i+1, len(got), len(want))
		}
	}
	path := filepath.Join(dir, "upload")
	if err := os.WriteFile(path, []byte(clientMail[3]), 0o600); err != nil {
		t.Fatal(err)
	}
	curl("-T", path, url+"INBOX")
	if got := curl("imaps://" + s.tls + "/INBOX;MAILINDEX=6"); got != clientMail[3] {
		t.Errorf("uploaded, over TLS: %q", got)
	}
	if got := curl("--ssl-reqd", url+"INBOX;MAILINDEX=1"); got != clientMail[0] {
		t.Errorf("with STARTTLS: %q", got)
	}
}

const imaplibScript = `import imaplib, sys
host, port = sys.argv[1].split(':')
mail = [x.encode() for x in open(sys.argv[3], newline='').read().split('\0')]
m = imaplib.IMAP4(host, int(port))
m.login(sys.argv[2], 'secret')
assert m.create('Work')[0] == 'OK' and m.create('Work')[0] == 'NO'
for x in mail:
    assert m.append('Work', '(\\Seen kw1)', imaplib.Time2Internaldate(1700000000), x)[0] == 'OK'
assert m.select('Work')[1] == [str(len(mail)).encode()]
for i, x in enumerate(mail):
    assert m.fetch(str(i + 1), '(RFC822)')[1][0][1] == x, i
assert m.store('1:2', '+FLAGS', '(\\Flagged)')[0] == 'OK'
assert b'kw1' in m.fetch('1', '(FLAGS)')[1][0]
assert m.copy('1', 'INBOX')[0] == 'OK' and m.store('1', '+FLAGS', '\\Deleted')[0] == 'OK'
assert m.expunge()[1] == [b'1']
assert m.rename('Work', 'Play')[0] == 'OK' and m.subscribe('Play')[0] == 'OK'
assert any(b'Play' in x for x in m.lsub()[1])
assert m.status('Play', '(MESSAGES)')[1][0].endswith(b'(MESSAGES %d)' % (len(mail) - 1))
m.logout()
`

func withImaplib(t *testing.T, s *mailServer, user string) {
	dir := t.TempDir()
	for name, text := range map[string]string{"client.py": imaplibScript, "mail": strings.Join(clientMail, "\x00")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.client(dir, "python3", "client.py", s.imap, user, "mail")
}

func withGoIMAP(t *testing.T, s *mailServer, user string) {
	s.fill(user)
	c, err := imapclient.DialInsecure(s.imap, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login(user, "secret").Wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.Create("Größe/&", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	box, err := c.Select("INBOX", nil).Wait()
	if err != nil || box.NumMessages != uint32(len(clientMail)) {
		t.Fatalf("%+v, %v", box, err)
	}
	got, err := c.Fetch(imap.SeqSetNum(1, 2, 3, 4, 5), &imap.FetchOptions{UID: true, Flags: true, Envelope: true, RFC822Size: true,
		BodySection: []*imap.FetchItemBodySection{{Peek: true}}}).Collect()
	if err != nil || len(got) != len(clientMail) {
		t.Fatalf("%d messages, %v", len(got), err)
	}
	for i, m := range got {
		body := m.FindBodySection(&imap.FetchItemBodySection{Peek: true})
		if string(body) != clientMail[i] || m.RFC822Size != int64(len(clientMail[i])) {
			t.Errorf("message %d has %d bytes, of size %d; want %d", i+1, len(body), m.RFC822Size, len(clientMail[i]))
		}
	}
	if got[3].Envelope.Subject != "grüße" {
		t.Errorf("the subject is %q", got[3].Envelope.Subject)
	}
	if _, err := c.Move(imap.SeqSetNum(1), "Größe/&").Wait(); err != nil {
		t.Error(err)
	}
	a := c.Append("INBOX", int64(len(clientMail[0])), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen}})
	if _, err := io.WriteString(a, clientMail[0]); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if data, err := a.Wait(); err != nil || data.UID != 6 {
		t.Errorf("%+v, %v", data, err)
	}
	if err := c.Logout().Wait(); err != nil {
		t.Error(err)
	}
}

func maildirFiles(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	for _, sub := range []string{"new", "cur"} {
		found, err := filepath.Glob(filepath.Join(dir, sub, "*"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

// holding gives the file that has a text in it.
func holding(t *testing.T, paths []string, text string) string {
	t.Helper()
	for _, p := range paths {
		if b, err := os.ReadFile(p); err == nil && bytes.Contains(b, []byte(text)) {
			return p
		}
	}
	t.Fatalf("none of %q has %q", paths, text)
	return ""
}

func withMutt(t *testing.T, s *mailServer, user string) {
	dir := t.TempDir()
	s.fill(user)
	c := s.login(user)
	c.Cmd("CREATE Copy")
	c.Close()
	rc := fmt.Sprintf("set imap_user=%q\nset imap_pass=secret\nset ssl_starttls=no\nset ssl_force_tls=no\nset folder=imap://%s/\nset spoolfile=+INBOX\n"+
		"set confirmappend=no\nset confirmcreate=no\nset delete=yes\nset quit=yes\nset wait_key=no\nset timeout=5\n", user, s.imap)
	if err := os.WriteFile(filepath.Join(dir, "muttrc"), []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip("script, which makes a terminal, is not installed")
	}
	mutt := "mutt"
	if _, err := exec.LookPath(mutt); err != nil {
		mutt = "neomutt"
	}
	if _, err := exec.LookPath(mutt); err != nil {
		t.Skip("neither mutt nor neomutt is installed")
	}
	s.client(dir, "script", "-qefc", mutt+` -n -F muttrc -f imap://`+s.imap+`/INBOX -e 'push "<tag-pattern>~s dots|~s plain<enter><tag-prefix><copy-message>=Copy<enter><first-entry><flag-message><sync-mailbox><quit>"'`, "/dev/null")
	c = s.login(user)
	defer c.Close()
	if got := strings.Join(c.Cmd("STATUS Copy (MESSAGES)"), "\n"); !strings.Contains(got, "MESSAGES 2") {
		t.Errorf("after the copy: %q", got)
	}
	c.Select("INBOX")
	if got := strings.Join(c.Cmd("FETCH 1 FLAGS"), "\n"); !strings.Contains(got, `\Flagged`) {
		t.Errorf("after flagging: %q", got)
	}
}

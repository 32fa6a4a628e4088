package lmtp_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
	"dovetail/serve/lmtp"
	"dovetail/serve/namespace"
	"dovetail/serve/servetest"
	"dovetail/sync/watch"
)

// conf takes the place of the mail, the file of users and further settings.
const conf = `protocols = lmtp imap
ssl = no
first_valid_uid = 1
mail_location = maildir:%[1]s/%%u
login_greeting = Ready.
hostname = mx.example.org
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = passwd-file
  args = %[2]s
}
%[3]s
`

// site writes a configuration with the users ann, bob and eve@example.org.
func site(t testing.TB, settings ...string) (path, mail string) {
	t.Helper()
	dir := dovecot.TempDir(t)
	mail = filepath.Join(dir, "mail")
	uid, gid := dovecot.IDs()
	if err := os.Chmod(dir, 0o755); err != nil { // Dovecot's auth process is another user
		t.Fatal(err)
	}
	if err := os.Mkdir(mail, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(mail, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	var users strings.Builder
	for _, name := range []string{"ann", "bob", "eve@example.org"} {
		fmt.Fprintf(&users, "%s::%d:%d::%s\n", name, uid, gid, dir)
	}
	path = filepath.Join(dir, "dovecot.conf")
	for name, text := range map[string]string{filepath.Join(dir, "users"): users.String(), path: fmt.Sprintf(conf, mail, filepath.Join(dir, "users"), strings.Join(settings, "\n"))} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return path, mail
}

// start serves a configuration on a port of 127.0.0.1.
func start(t testing.TB, path string) (address string, log *servetest.Log) {
	t.Helper()
	p := servetest.Prepare(t, path)
	in := &lmtp.Protocol{Hub: watch.NewHub(0), Stores: &namespace.Stores{}, Log: p.Logger}
	in.Hub.Hold = in.Stores.Hold
	l := servetest.Listen(t)
	in.Server = p.Server("lmtp", in, l)
	servetest.Run(t, in.Server, in.Hub.Close)
	return l.Addr().String(), p.Log
}

// client is one connection.
type client struct{ *servetest.SMTP }

func dial(t testing.TB, network, address string) *client {
	t.Helper()
	return &client{servetest.DialSMTP(t, network, address)}
}

var saved = regexp.MustCompile(`> [^ :]{16,22}((?::[TR]\d+)*) Saved`)

// masked hides session ids, and what we can beyond Dovecot.
func masked(said []string) []string {
	for i, line := range said {
		line = saved.ReplaceAllString(line, "> ID$1 Saved")
		said[i] = strings.Replace(line, "250-PIPELINING\r\n250 SMTPUTF8", "250 PIPELINING", 1)
	}
	return said
}

// Scripts in testdata/transcripts are given to our server and to Dovecot.
func TestAnswersAreDovecots(t *testing.T) {
	dovecot.Need(t)
	if _, err := os.Stat("/usr/lib/dovecot/lmtp"); err != nil {
		t.Skip("Dovecot's LMTP is not installed (apt-get install dovecot-lmtpd)")
	}
	theirConf, theirMail := site(t)
	theirs := dovecot.ServeConf(t, theirConf)
	dial(t, "tcp", theirs.IMAPAddr).Reply() // all of it is there then
	ourConf, ourMail := site(t)
	ours, _ := start(t, ourConf)
	paths, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	socket := filepath.Join(filepath.Dir(theirs.Config()), "run", "lmtp")
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want, got := masked(dial(t, "unix", socket).Run(string(script))), masked(dial(t, "tcp", ours).Run(string(script)))
			for i := range max(len(want), len(got)) {
				if i >= len(want) || i >= len(got) || want[i] != got[i] {
					t.Fatalf("after %q\ndovecot %q\nwe      %q", got[:min(i, len(got))], want[min(i, len(want)):], got[min(i, len(got)):])
				}
			}
			if want, got := delivered(t, theirMail), delivered(t, ourMail); !slices.Equal(want, got) {
				t.Errorf("Dovecot stores\n%s\nwe store\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
			}
		})
	}
}

var (
	traceFrom = regexp.MustCompile(`(?m)^Received: from (\S+)( \(\[127\.0\.0\.1\]\))?$`)
	traceID   = regexp.MustCompile(`(?m)^\tid .*$`)
	traceDate = regexp.MustCompile(`; ..., .*$`)
)

// delivered gives all messages of all users, without what is never the same twice.
func delivered(t testing.TB, mail string) (list []string) {
	t.Helper()
	paths, err := filepath.Glob(mail + "/*/new/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := traceFrom.ReplaceAllString(string(b), "Received: from $1")
		text = traceID.ReplaceAllString(text, "\tid ID")
		var lines []string
		for line := range strings.SplitSeq(text, "\n") {
			lines = append(lines, traceDate.ReplaceAllString(line, "; DATE"))
		}
		user := filepath.Base(filepath.Dir(filepath.Dir(path)))
		list = append(list, fmt.Sprintf("%s: %q", user, strings.Join(lines, "\n")))
	}
	slices.Sort(list)
	return list
}

func (c *client) begin(recipients ...string) {
	c.T.Helper()
	c.Reply()
	c.Say("LHLO x\r\n")
	c.Say("MAIL FROM:<a@b>\r\n")
	for _, r := range recipients {
		if got := c.Say("RCPT TO:<" + r + ">\r\n"); !strings.HasPrefix(got, "250") {
			c.T.Fatalf("RCPT %s: %s", r, got)
		}
	}
	if got := c.Say("DATA\r\n"); !strings.HasPrefix(got, "354") {
		c.T.Fatal(got)
	}
}

// Real servers take some of these for the end of the message and go on with what the sender of the message wrote.
func TestASecondMessageCannotBeHiddenInTheFirst(t *testing.T) {
	for _, end := range []string{"\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\n.\r", "\r.\r\n", "\r\n\x00.\r\n"} {
		t.Run(fmt.Sprintf("%q", end), func(t *testing.T) {
			path, mail := site(t)
			address, _ := start(t, path)
			c := dial(t, "tcp", address)
			c.begin("ann")
			evil := "MAIL FROM:<evil@example.org>\r\nRCPT TO:<ann>\r\nDATA\r\nSubject: smuggled\r\n\r\nx"
			if got := c.Say("Subject: outer\r\n\r\nbefore" + end + evil + "\r\n.\r\n"); !strings.HasPrefix(got, "250") {
				t.Error(got)
			}
			if got := c.Say("QUIT\r\n"); !strings.HasPrefix(got, "221") {
				t.Errorf("behind it came %q", got)
			}
			if list := delivered(t, mail); len(list) != 1 || !strings.Contains(list[0], "smuggled") {
				t.Errorf("delivered: %q", list)
			}
		})
	}
}

func TestAMessageThatIsCutOffIsNotDelivered(t *testing.T) {
	path, mail := site(t)
	address, log := start(t, path)
	for _, cut := range []string{"Subject: cut\r\n\r\n" + strings.Repeat("x\r\n", 100000), "a\r\n.\r", ""} {
		c := dial(t, "tcp", address)
		c.begin("ann", "bob")
		io.WriteString(c, cut)
		c.Close()
	}
	c := dial(t, "tcp", address)
	c.Reply()
	c.Say("LHLO x\r\n")
	c.Say("MAIL FROM:<a@b>\r\n")
	c.Say("RCPT TO:<ann>\r\n")
	io.WriteString(c, "BDAT 10 LAST\r\nabc")
	c.Close()
	log.Await(func(text string) bool { return strings.Count(text, "Disconnect from") >= 4 })
	if list := delivered(t, mail); len(list) != 0 {
		t.Errorf("delivered: %q", list)
	}
}

func TestRecipientsThatAreMeantToBreakSomething(t *testing.T) {
	path, mail := site(t)
	address, _ := start(t, path)
	for _, r := range []string{`""`, `""@example.org`, "@", "@example.org", "a@b@c", "../../ann", "/etc/passwd", "|/bin/sh", "ann/../bob", strings.Repeat("a", 3000),
		"ann\x00", `"ann`, "\xff\xfe@x", "%u", "$(id)", "", " ", `ann\`, "*", "ann bob", "ann>", "ann\tx"} {
		c := dial(t, "tcp", address)
		c.Reply()
		c.Say("LHLO x\r\n")
		c.Say("MAIL FROM:<a@b>\r\n")
		if got := c.Say("RCPT TO:<" + r + ">\r\n"); !strings.HasPrefix(got, "5") {
			t.Errorf("%.20q: %s", r, got)
		}
	}
	if entries, err := os.ReadDir(mail); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestALongLineEndsTheConnection(t *testing.T) {
	path, _ := site(t)
	address, _ := start(t, path)
	c := dial(t, "tcp", address)
	c.Reply()
	if got := c.Say("MAIL FROM:<a@b> " + strings.Repeat("X", 64<<10) + "\r\n"); !strings.HasPrefix(got, "500") && got != "(closed)" {
		t.Error(got)
	}
	if _, err := c.R.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("it goes on: %v", err)
	}
}

func TestTheDetailOfAnAddressIsAMailbox(t *testing.T) {
	for _, tc := range []struct {
		settings []string
		to, want string
	}{
		{nil, "ann+lists", "/ann/new/*"},
		{[]string{"lmtp_save_to_detail_mailbox = yes"}, "ann+lists", "/ann/new/*"},
		{[]string{"lmtp_save_to_detail_mailbox = yes", "lda_mailbox_autocreate = yes"}, "ann+lists", "/ann/.lists/new/*"},
		{[]string{"lmtp_save_to_detail_mailbox = yes", "lda_mailbox_autocreate = yes", "recipient_delimiter = -_"}, "ann_lists", "/ann/.lists/new/*"},
	} {
		path, mail := site(t, tc.settings...)
		address, log := start(t, path)
		c := dial(t, "tcp", address)
		c.begin(tc.to)
		if got := c.Say("Message-ID: <1@x>\r\n\r\nx\r\n.\r\n"); !strings.HasPrefix(got, "250 2.0.0 <"+tc.to+">") {
			t.Error(got)
		}
		if paths, _ := filepath.Glob(mail + tc.want); len(paths) != 1 || !strings.Contains(log.String(), "msgid=<1@x>: saved mail to ") {
			t.Errorf("%v: %v\n%s", tc.settings, paths, log.String())
		}
	}
}

// Dovecot shares the file of its first copy likewise.
func TestTheSameMessageToManyIsWrittenOnce(t *testing.T) {
	for format, files := range map[string]string{"maildir": "/*/new/*", "sdbox": "/*/mailboxes/INBOX/dbox-Mails/u.*"} {
		t.Run(format, func(t *testing.T) {
			path, mail := site(t)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(strings.Replace(string(text), "mail_location = maildir:", "mail_location = "+format+":", 1)), 0o644); err != nil {
				t.Fatal(err)
			}
			address, _ := start(t, path)
			c := dial(t, "tcp", address)
			c.begin("ann", "bob", "eve@example.org")
			c.Say("Subject: x\r\n\r\nx\r\n.\r\n")
			c.Reply()
			c.Reply()
			paths, _ := filepath.Glob(mail + files)
			if len(paths) != 3 {
				t.Fatalf("%q", paths)
			}
			first, _ := os.Stat(paths[0])
			for _, path := range paths[1:] {
				if info, err := os.Stat(path); err != nil || !os.SameFile(first, info) {
					t.Errorf("%s is a file of its own, %v", path, err)
				}
			}
		})
	}
}

// The recipient before the MTA's aliases is the one of ORCPT, else that of a field of the header.
func TestTheOriginalRecipientIsLogged(t *testing.T) {
	path, _ := site(t, "deliver_log_format = to=%{to_envelope} %$", "lda_original_recipient_header = X-Original-To")
	address, log := start(t, path)
	for _, c := range []struct{ orcpt, field, want string }{
		{"", "", "to=ann saved"},
		{"", "X-Original-To: <alias@example.org>\r\n", "to=alias@example.org saved"},
		{" ORCPT=rfc822;list@example.org", "X-Original-To: alias@example.org\r\n", "to=list@example.org saved"},
	} {
		conn := dial(t, "tcp", address)
		conn.Reply()
		conn.Say("LHLO x\r\n")
		conn.Say("MAIL FROM:<a@b>\r\n")
		conn.Say("RCPT TO:<ann>" + c.orcpt + "\r\n")
		conn.Say("DATA\r\n")
		if got := conn.Say(c.field + "Subject: x\r\n\r\nx\r\n.\r\n"); !strings.HasPrefix(got, "250") || !strings.Contains(log.String(), c.want) {
			t.Errorf("%s, no %q in\n%s", got, c.want, log.String())
		}
	}
}

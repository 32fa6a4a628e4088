package main

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"dovetail/formats/formatstest/dovecot"
)

// words gives the words of a capability list, sorted.
func capabilities(t *testing.T, line string) []string {
	t.Helper()
	_, list, ok := strings.Cut(line, "CAPABILITY ")
	if !ok {
		t.Fatalf("no capabilities in %q", line)
	}
	list, _, _ = strings.Cut(list, "]")
	words := strings.Fields(list)
	slices.Sort(words)
	return words
}

// What a client is greeted with, from afar, and what it is told when it is logged in.
func TestServeGreetsAndLetsIn(t *testing.T) {
	s := proxied(t, "ssl = no", "disable_plaintext_auth = no", "login_greeting = Mail of %{lip} ready.")
	c := s.from("192.0.2.1")
	greeting := c.wants("* OK ")
	t.Run("R-029 R-040 R-066 R-067 the capabilities before login, and login_greeting", func(t *testing.T) {
		if want := "* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ AUTH=PLAIN] Mail of 198.51.100.7 ready."; greeting != want {
			t.Errorf("%q", greeting)
		}
		if seed := capabilities(t, "CAPABILITY IMAP4rev1 LITERAL+ SASL-IR LOGIN-REFERRALS ID ENABLE IDLE AUTH=PLAIN]"); !slices.Equal(capabilities(t, greeting), seed) {
			t.Errorf("%q", greeting)
		}
	})
	t.Run("R-069 R-070 R-071 the capabilities after login", func(t *testing.T) {
		c.say("a1 login alice@brokkr.net secret\r\n")
		line := c.wants("a1 OK [CAPABILITY ")
		if !strings.HasSuffix(line, "] Logged in") {
			t.Errorf("%q", line)
		}
		have := capabilities(t, line)
		for _, word := range strings.Fields("IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS THREAD=ORDEREDSUBJECT MULTIAPPEND " +
			"URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE " +
			"SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW STATUS=SIZE SAVEDATE LITERAL+ NOTIFY SPECIAL-USE COMPRESS=DEFLATE") {
			if !slices.Contains(have, word) {
				t.Errorf("%s is missing", word)
			}
		}
	})
}

// The ways of logging in.
func TestServeWaysOfLoggingIn(t *testing.T) {
	s := startServer(t, "sdbox")
	for name, said := range map[string]string{
		"R-068 LOGIN with atoms":                    "a LOGIN ann secret\r\n",
		"R-068 LOGIN with quoted strings":           "a LOGIN \"ann\" \"secret\"\r\n",
		"R-068 LOGIN with literals":                 "a LOGIN {3}\r\nann {6}\r\nsecret\r\n",
		"R-068 LOGIN with literals at once":         "a LOGIN {3+}\r\nann {6+}\r\nsecret\r\n",
		"R-062 AUTHENTICATE PLAIN with its answer":  "a AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=\r\n",
		"R-062 AUTHENTICATE PLAIN without":          "a AUTHENTICATE PLAIN\r\nAGFubgBzZWNyZXQ=\r\n",
		"R-072 lines that end in LF":                "a LOGIN ann secret\n",
		"R-100 a name in capitals":                  "a LOGIN ANN secret\r\n",
		"R-175 with a wrong and then a right one":   "x LOGIN ann wrong\r\na LOGIN ann secret\r\n",
		"an empty line before":                      "\r\na LOGIN ann secret\r\n",
		"a name with a domain, in capitals (R-100)": "a LOGIN Ann@EXAMPLE.ORG secret\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			own := *s
			own.t = t
			c := own.dial(s.imap)
			c.wants("* OK ")
			c.say(said)
			for line := c.hear(); !strings.HasPrefix(line, "a "); line = c.hear() {
			}
			c.say("b CREATE box\r\n")
			c.hear()
		})
	}
	if entries, err := os.ReadDir(filepath.Join(s.dir, "home")); err != nil || len(entries) != 2 {
		t.Errorf("R-100: homes are %v, %v", entries, err)
	}
}

// A basic setup: what clients are told of its mailboxes, and what lies on the disk afterwards.
func TestServeABasicSetup(t *testing.T) {
	s := startServer(t, "maildir", "namespace inbox {\n  separator =\n  mailbox Drafts {\n    special_use =\n  }\n}")
	c := s.dial(s.imap)
	c.wants("* OK")
	c.say("a LOGIN ann secret\r\nb NAMESPACE\r\nc LIST \"\" *\r\nd SELECT INBOX\r\n")
	c.wants("a OK")
	t.Run("R-096 LIST and NAMESPACE", func(t *testing.T) {
		if line := c.hear(); line != `* NAMESPACE (("" ".")) NIL NIL` {
			t.Errorf("%q", line)
		}
		c.wants("b OK")
		if line := c.hear(); line != `* LIST (\HasNoChildren) "." INBOX` {
			t.Errorf("%q", line)
		}
	})
	t.Run("R-097 answers tell how long they took", func(t *testing.T) {
		if line := c.hear(); !regexp.MustCompile(`^c OK List completed \(\d+\.\d{3} \+ 0\.000 secs\)\.$`).MatchString(line) {
			t.Errorf("%q", line)
		}
	})
	for line := c.hear(); !strings.HasPrefix(line, "d OK"); line = c.hear() {
	}
	mail := filepath.Join(s.dir, "home", "ann", "mail")
	t.Run("R-077 R-163 the user's files are his alone", func(t *testing.T) { onlyOwner(t, mail) })
	t.Run("R-051 what another program delivers is seen without a restart", func(t *testing.T) {
		path := filepath.Join(mail, "new", "1700000000.M1P1.host")
		if err := os.WriteFile(path, []byte("Subject: dropped\n\nx\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		dovecot.Own(t, path)
		c.say("e NOOP\r\n")
		if line := c.hear(); line != "* 1 EXISTS" {
			t.Errorf("%q", line)
		}
	})
}

// onlyOwner checks that everything below a folder is the mail user's, and nobody else's to read.
func onlyOwner(t *testing.T, root string) {
	t.Helper()
	uid, gid := dovecot.IDs()
	if os.Getuid() != 0 {
		uid, gid = os.Getuid(), os.Getgid()
	}
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if seen++; strings.HasPrefix(d.Name(), "dovecot-uidvalidity.") {
			return nil // it is empty, and Dovecot's has mode 0444
		}
		st := info.Sys().(*syscall.Stat_t)
		if info.Mode().Perm()&0o077 != 0 || int(st.Uid) != uid || int(st.Gid) != gid {
			t.Errorf("%s is %v of %d:%d", path, info.Mode(), st.Uid, st.Gid)
		}
		return nil
	})
	if err != nil || seen < 5 {
		t.Errorf("%d files: %v", seen, err)
	}
}

// a root with a slash at its end, and the layout of sdbox.
func TestR160SdboxWithASlashAtTheEnd(t *testing.T) {
	s := prepareServer(t, "sdbox")
	s.configure("sdbox", "mail_location = sdbox:~/box/")
	s.start()
	c := s.login("ann")
	c.Append("INBOX", "", "", "Subject: a\r\n\r\nx\r\n")
	c.Cmd("CREATE a/b")
	if lines := c.Cmd(`LIST "" ""`); len(lines) != 1 || !strings.Contains(lines[0], ` "/" `) {
		t.Errorf("%q", lines)
	}
	c.Close()
	for _, name := range []string{"mailboxes/INBOX/dbox-Mails/u.1", "mailboxes/a/b/dbox-Mails"} {
		if _, err := os.Stat(filepath.Join(s.dir, "home/ann/box", name)); err != nil {
			t.Error(err)
		}
	}
	t.Run("R-163 the user's files are his alone", func(t *testing.T) { onlyOwner(t, filepath.Join(s.dir, "home/ann/box")) })
}

// what is made by itself is listed before it is there, and there when it is used.
func TestR242AutomaticMailboxesAreMadeWhenTheyAreUsed(t *testing.T) {
	s := startServer(t, "sdbox", "namespace inbox {\n  mailbox Sent {\n    auto = create\n    special_use = \\Sent\n  }\n  mailbox \"Important Emails\" {\n    auto = subscribe\n  }\n}")
	c := s.login("ann")
	defer c.Close()
	if lines := c.Cmd(`LIST "" *`); !slices.Contains(lines, `* LIST (\HasNoChildren \Sent) "/" Sent`) || !slices.Contains(lines, `* LIST (\HasNoChildren) "/" "Important Emails"`) {
		t.Errorf("%q", lines)
	}
	if lines := c.Cmd(`LSUB "" *`); !slices.Equal(lines, []string{`* LSUB () "/" "Important Emails"`}) {
		t.Errorf("R-249: %q", lines)
	}
	for mailbox, command := range map[string]string{"Sent": "SELECT Sent", "Important Emails": "APPEND \"Important Emails\" {15+}\r\nSubject: x\r\n\r\ny"} {
		path := filepath.Join(s.dir, "home/ann/mail/mailboxes", mailbox)
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is there too early", mailbox)
		}
		c.Cmd(command)
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	t.Run("R-247 CREATE with a use is refused", func(t *testing.T) {
		if _, status := c.Try(`CREATE x (USE (\Archive))`); !strings.HasPrefix(status, "NO [USEATTR] ") {
			t.Error(status)
		}
	})
}

// the sockets that a supervisor hands over are used, and who is called dovecot is called so.
func TestR174_R270SocketsThatAreHandedOver(t *testing.T) {
	s := prepareServer(t, "sdbox")
	s.configure("sdbox")
	s.edit(listenOn("127.0.0.1 ::1"))
	dir := filepath.SplitList(scriptPath)[0]
	s.Cmd.Args[2] = strings.Replace(s.Cmd.Args[2], "exec dovetail serve -c", "exec "+dir+"/dovecot -F -c", 1)
	s.start()
	s.dial(s.imap).wants("* OK")
	s.dial(s.tls).mustSecure(anybody).wants("* OK")
	if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", s.Process.Pid)); err != nil || string(name) != "dovecot\n" {
		t.Errorf("%q, %v", name, err)
	}
	t.Run("R-271 many may wait for the server to take them", func(t *testing.T) {
		ss, err := exec.LookPath("ss")
		if err != nil {
			t.Skip("ss is not installed")
		}
		out, err := exec.Command(ss, "-ltnH", "sport", "=", portOf(t, s)).Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			var state string
			var waiting, most int
			if _, err := fmt.Sscan(line, &state, &waiting, &most); err != nil || most < 100 {
				t.Errorf("%q, %v", line, err)
			}
		}
	})
	t.Run("R-028 the log says what was started", func(t *testing.T) {
		s.waitForLog(" starting up for imap")
	})
}

// without protocols there are the sockets of the auth service alone.
func TestR338WithoutProtocolsTheAuthServiceAlone(t *testing.T) {
	s := prepareServer(t, "sdbox")
	s.configure("sdbox", "protocols = none")
	s.start()
	for _, address := range []string{s.imap, s.tls} {
		if s.answersOn(address) {
			t.Errorf("%s answers", address)
		}
	}
	if c, err := net.Dial("unix", filepath.Join(s.dir, "run", "auth-client")); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
}

// somebody who types slowly is not cut off before three minutes; R-354: and is told nothing but the protocol.
func TestR072SomebodyTypesSlowly(t *testing.T) {
	s := startServer(t, "sdbox")
	c := s.dial(s.imap)
	c.wants("* OK")
	for _, letter := range "a LOGIN ann secret\n" {
		c.say(string(letter))
		time.Sleep(10 * time.Millisecond) // each letter a packet of its own
	}
	c.wants("a OK")
	c.say("b LOGOUT\n")
	if rest, err := io.ReadAll(c.r); err != nil || !strings.HasPrefix(string(rest), "* BYE Logging out\r\nb OK ") {
		t.Errorf("%q, %v", rest, err)
	}
}

// mail that the user could not make himself is not made for him; the log says why, and the client gets no mailbox.
func TestR159AHomeThatCannotBeWritten(t *testing.T) {
	s := startServer(t, "sdbox")
	if err := os.Chmod(filepath.Join(s.dir, "home"), 0o500); err != nil {
		t.Fatal(err)
	}
	c := s.login("ann")
	if _, status := c.Try("SELECT INBOX"); strings.HasPrefix(status, "OK") {
		t.Error(status)
	}
	s.waitForLog("ermission denied")
	if os.Getuid() == 0 {
		uid, gid := dovecot.IDs()
		s.waitForLog(fmt.Sprintf("mkdir %s/home/ann: Permission denied (euid=%d egid=%d missing +w perm: %[1]s/home, dir owned by %[2]d:%[3]d mode=0500)", s.dir, uid, gid))
	}
}

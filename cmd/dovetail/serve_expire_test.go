package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// what is too much in a mailbox goes when a session ends, however it does, and behind a delivery.
func TestR250MessagesExpireBehindASession(t *testing.T) {
	s := prepareServer(t, "sdbox", "imap_logout_format = expired=%{autoexpunged}", "namespace inbox {\n  mailbox Few {\n    autoexpunge_max_mails = 1\n  }\n}",
		"protocols = imap pop3 lmtp", "service pop3-login {\n  unix_listener pop3 {\n    mode = 0666\n  }\n  inet_listener pop3 {\n    port = 0\n  }\n  inet_listener pop3s {\n    port = 0\n  }\n}",
		"service lmtp {\n  unix_listener lmtp {\n    mode = 0666\n  }\n}")
	s.start()
	watching := s.login("ann")
	defer watching.Close()
	watching.Cmd("CREATE Few")
	watching.Select("Few")
	fill := func() {
		watching.Append("Few", "", "", "Subject: a\r\n\r\nx\r\n")
		watching.Append("Few", "", "", "Subject: b\r\n\r\nx\r\n")
	}
	gone := func() {
		watching.Idle()
		watching.Wait(`^\* \d+ EXPUNGE`)
		watching.Done()
	}
	t.Run("of IMAP", func(t *testing.T) {
		fill()
		c := s.login("ann")
		c.Cmd("LOGOUT")
		s.waitForLog("Disconnected: Logged out expired=1")
		gone()
	})
	t.Run("of POP3", func(t *testing.T) {
		fill()
		said := s.converse(t, "pop3", "USER ann\r\nPASS secret\r\nQUIT\r\n")
		if !strings.Contains(said, "+OK Logged in.") {
			t.Error(said)
		}
		gone()
	})
	t.Run("of LMTP", func(t *testing.T) {
		fill()
		said := s.converse(t, "lmtp", "LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<ann>\r\nDATA\r\nSubject: c\r\n\r\n.\r\nQUIT\r\n")
		if !strings.Contains(said, " Saved") {
			t.Error(said)
		}
		gone()
	})
}

// converse says all of it to a socket of the server and gives what it is told until the end.
func (s *mailServer) converse(t *testing.T, socket, text string) (said string) {
	t.Helper()
	c, err := net.Dial("unix", filepath.Join(s.dir, "run", socket))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, text)
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		said += lines.Text() + "\n"
	}
	return said
}

// What a session says is kept where the administrator has made a folder for it.
func TestServeRawlogs(t *testing.T) {
	s := prepareServer(t, "sdbox")
	s.configure("sdbox", "rawlog_dir = ~/raw", "lmtp_rawlog_dir = "+s.dir+"/lmtpraw", "protocols = imap lmtp", "service lmtp {\n  unix_listener lmtp {\n    mode = 0666\n  }\n}")
	for _, dir := range []string{"home/ann", "home/ann/raw", "home/bob", "lmtpraw"} {
		if err := os.Mkdir(filepath.Join(s.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	dovecot.Own(t, filepath.Join(s.dir, "home"))
	s.start()
	for _, name := range []string{"ann", "bob"} {
		c := s.login(name)
		c.Cmd("NOOP")
		c.Append("INBOX", "", "", "Subject: kept\r\n\r\nx\r\n")
		c.Cmd("LOGOUT")
	}
	if entries, _ := os.ReadDir(filepath.Join(s.dir, "home/bob")); len(entries) != 1 {
		t.Errorf("bob has no folder for it, but %v", entries)
	}
	in, out := rawlogs(t, filepath.Join(s.dir, "home/ann/raw"))
	if !regexp.MustCompile(`(?m)^\d+\.\d{6} \S+ NOOP\r$`).MatchString(in) || !strings.Contains(in, "Subject: kept\r\n") || strings.Contains(in, "secret") {
		t.Errorf("in: %q", in)
	}
	if !regexp.MustCompile(`(?m)^\d+\.\d{6} \S+ OK NOOP completed`).MatchString(out) || !regexp.MustCompile(`\n\d+\.\d{6} \* BYE `).MatchString(out) {
		t.Errorf("out: %q", out)
	}
	ownedByUser(t, filepath.Join(s.dir, "home/ann/raw"))
	s.converse(t, "lmtp", "LHLO there\r\nQUIT\r\n")
	in, out = rawlogs(t, filepath.Join(s.dir, "lmtpraw"))
	if !strings.Contains(in, " LHLO there\r\n") || !strings.Contains(out, " 250-8BITMIME\r\n") {
		t.Errorf("lmtp: %q, %q", in, out)
	}
}

// rawlogs gives the two files of a folder.
func rawlogs(t *testing.T, dir string) (in, out string) {
	t.Helper()
	for suffix, text := range map[string]*string{"in": &in, "out": &out} {
		list, err := filepath.Glob(filepath.Join(dir, "*."+suffix))
		if err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		b, err := os.ReadFile(list[0])
		if err != nil {
			t.Fatal(err)
		}
		*text = string(b)
	}
	return in, out
}

// ownedByUser checks that files are the mail user's, for him alone.
func ownedByUser(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := dovecot.IDs()
	if os.Getuid() != 0 {
		uid = os.Getuid()
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 || int(info.Sys().(*syscall.Stat_t).Uid) != uid {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

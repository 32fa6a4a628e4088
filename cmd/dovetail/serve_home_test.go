package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// homed starts a server whose users come from a passwd-file with these fields: home, and what follows it.
func homed(t *testing.T, fields string, settings ...string) *mailServer {
	t.Helper()
	s := prepareServer(t, "maildir")
	ids := ":"
	if os.Getuid() == 0 {
		uid, gid := dovecot.IDs()
		ids = fmt.Sprintf("%d:%d", uid, gid)
	}
	users := filepath.Join(s.dir, "users")
	line := "ann:{PLAIN}secret:" + ids + "::" + strings.ReplaceAll(fields, "%DIR%", s.dir) + "\n"
	if err := os.WriteFile(users, []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range settings {
		settings[i] = strings.ReplaceAll(settings[i], "%DIR%", s.dir)
	}
	s.configure("maildir", settings...)
	s.edit(func(conf string) string {
		head, tail, _ := strings.Cut(conf, "userdb {")
		_, tail, _ = strings.Cut(tail, "}\n")
		return head + "userdb {\n  driver = passwd-file\n  args = " + users + "\n}\n" + tail
	})
	s.start()
	return s
}

// Where a user's mail lies, by what the configuration and the user database say of home and root.
func TestServeWhereMailLies(t *testing.T) {
	for _, tc := range []struct {
		name, fields string
		settings     []string
		want         string // below the test's folder
		refused      string // in the log
	}{
		{"in the home", "%DIR%/home/a", nil, "home/a/mail/cur", ""},
		{"a home that does not exist, deep", "%DIR%/home/x/y/z", nil, "home/x/y/z/mail/cur", ""},
		{"a relative place is below the home", "%DIR%/home/a", []string{"mail_location = maildir:rel/mail"}, "home/a/rel/mail/cur", ""},
		{"a place of the user's own", "%DIR%/home/a::userdb_mail=maildir:%DIR%/home/other/%%u", nil, "home/other/ann/cur", ""},
		{"variables", "%DIR%/home/a", []string{"mail_location = maildir:%DIR%/home/%d/%1u/%Lu:INDEX=%DIR%/home/i"}, "home/a/ann/cur", ""},
		{"the home of the configuration", "", []string{"mail_home = %DIR%/home/%n"}, "home/ann/mail/cur", ""},
		{"no home where one is needed", "", nil, "", "Home directory not set for user. Can't expand ~/ for mail root dir in: ~/mail"},
		{"no home for a relative place", "", []string{"mail_location = maildir:mail"}, "", "Home directory not set for user. Can't find relative mail root dir: mail"},
		{"a relative home", "some/where", nil, "", "Relative home directory paths not supported: some/where"},
		{"mail_chroot", "/a", []string{"mail_chroot = %DIR%/home"}, "home/a/mail/cur", ""},
		{"mail_chroot that the home has, too", "%DIR%/home/a", []string{"mail_chroot = %DIR%/home/."}, "home/a/mail/cur", ""},
		{"mail_chroot and an absolute place", "/a", []string{"mail_chroot = %DIR%/home", "mail_location = maildir:/abs/%u"}, "home/abs/ann/cur", ""},
		{"a root within the home", "%DIR%/home/./a", []string{"valid_chroot_dirs = %DIR%/home", "mail_location = maildir:/b"}, "home/b/cur", ""},
		{"a home with a dot that means nothing", "%DIR%/home/./a", nil, "home/a/mail/cur", ""},
		{"the user database's root", "/a::userdb_chroot=%DIR%/home", []string{"valid_chroot_dirs = %DIR%/home:/srv"}, "home/a/mail/cur", ""},
		{"a root that is not allowed", "/a::userdb_chroot=/etc", []string{"valid_chroot_dirs = %DIR%/home"}, "", "userdb returned invalid chroot directory: /etc (see valid_chroot_dirs setting)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := homed(t, tc.fields, tc.settings...)
			c := s.dial(s.imap)
			c.wants("* OK")
			c.say("a LOGIN ann secret\r\nb SELECT INBOX\r\n")
			for tc.refused == "" {
				if line := c.hear(); strings.HasPrefix(line, "b ") {
					if !strings.HasPrefix(line, "b OK") {
						t.Error(line)
					}
					break
				}
			}
			if tc.refused != "" {
				c.wants("* BYE Internal error occurred. Refer to server log for more information.")
				s.waitForLog(tc.refused)
				return
			}
			if _, err := os.Stat(filepath.Join(s.dir, tc.want)); err != nil {
				t.Error(err)
			}
		})
	}
}

// An INBOX that is a link of root's is served; EXAMINE and a mailbox that was examined are read only.
func TestServeAnExaminedMailboxIsNotChanged(t *testing.T) {
	for _, kind := range []string{"sdbox", "maildir", "mbox"} {
		t.Run(kind, func(t *testing.T) {
			s := startServer(t, kind)
			c := s.login("ann")
			defer c.Close()
			c.Append("INBOX", "", "", "Subject: a\r\n\r\nx\r\n")
			lines, status := c.Try("EXAMINE INBOX")
			if !strings.HasPrefix(status, "OK [READ-ONLY] ") || !strings.Contains(strings.Join(lines, "\n"), "* OK [PERMANENTFLAGS ()] ") {
				t.Errorf("%q, %s", lines, status)
			}
			for _, command := range []string{`STORE 1 +FLAGS (\Deleted)`, "EXPUNGE", "MOVE 1 INBOX"} {
				c.Try(command) // whatever it answers, nothing changes
			}
			c.Cmd("FETCH 1 BODY[]")
			c.Cmd("CLOSE")
			if got := strings.Join(c.Cmd("STATUS INBOX (MESSAGES UNSEEN)"), ""); got != "* STATUS INBOX (MESSAGES 1 UNSEEN 1)" {
				t.Error(got)
			}
			if kind != "mbox" { // whose messages are recent until their file is written again
				if got := strings.Join(c.Cmd("STATUS INBOX (RECENT)"), ""); got != "* STATUS INBOX (RECENT 1)" {
					t.Error(got)
				}
			}
		})
	}
}

func TestServeAnInboxThatIsALink(t *testing.T) {
	s := prepareServer(t, "mbox")
	target := filepath.Join(s.dir, "home", "spool")
	if err := os.WriteFile(target, []byte("From a@b Mon Jan  1 00:00:00 2024\nSubject: one\n\nx\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dovecot.Own(t, target)
	if err := os.Mkdir(filepath.Join(s.dir, "home", "ann"), 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(s.dir, "home", "ann", "mail-inbox")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	dovecot.Own(t, filepath.Join(s.dir, "home", "ann"))
	s.configure("mbox")
	s.start()
	c := s.login("ann")
	defer c.Close()
	if got := strings.Join(c.Select("INBOX"), "\n"); !strings.Contains(got, "* 1 EXISTS") {
		t.Errorf("%s", got)
	}
	c.Append("INBOX", "", "", "Subject: two\r\n\r\ny\r\n")
	c.Cmd(`STORE 1 +FLAGS (\Deleted)`)
	c.Cmd("EXPUNGE")
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
	if text, err := os.ReadFile(target); err != nil || strings.Contains(string(text), "Subject: one") || !strings.Contains(string(text), "Subject: two") {
		t.Errorf("%q, %v", text, err)
	}
}

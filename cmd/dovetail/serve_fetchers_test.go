package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// written makes the files that a client needs; their names are relative to a new folder.
func written(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// mustHold compares the bodies of messages that a client has brought home with those that it was to bring.
func mustHold(t *testing.T, paths []string) {
	t.Helper()
	if len(paths) != len(clientMail) {
		t.Fatalf("%d messages came", len(paths))
	}
	for i, mail := range clientMail {
		got, err := os.ReadFile(holding(t, paths, fmt.Sprintf("<i%d@", i+1)))
		if err != nil {
			t.Fatal(err)
		}
		_, want, _ := strings.Cut(strings.ReplaceAll(mail, "\r\n", "\n"), "\n\n")
		if !strings.HasSuffix(strings.TrimRight(string(got), "\n"), "\n\n"+strings.TrimRight(want, "\n")) {
			t.Errorf("message %d came as %d bytes", i+1, len(got))
		}
	}
}

func withFetchmail(t *testing.T, s *mailServer, user string) {
	s.fill(user)
	_, port, _ := strings.Cut(s.imap, ":")
	dir := written(t, map[string]string{
		"rc":  fmt.Sprintf("poll 127.0.0.1 protocol imap port %s\n user %q password \"secret\" mda \"./mda\"\n", port, user),
		"mda": "#!/bin/sh\nexec cat > `mktemp in.XXXXXXXX`\n",
	})
	if err := os.Chmod(filepath.Join(dir, "rc"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-f", "rc", "--nodetach", "--sslproto", "", "-i", "ids", "--pidfile", filepath.Join(dir, "pid"), "--nosyslog"}
	s.client(dir, "fetchmail", args...)
	in, err := filepath.Glob(filepath.Join(dir, "in.*"))
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, in)
	c := s.login(user)
	defer c.Close()
	if got := strings.Join(c.Cmd("STATUS INBOX (MESSAGES)"), ""); !strings.Contains(got, "MESSAGES 0") {
		t.Errorf("what was fetched is still there: %q", got)
	}
}

const interimapConf = `database = %[1]s/state.db
list-mailbox = *

[local]
type = imap
host = 127.0.0.1
port = %[2]s
username = %[3]s-copy
password = secret
STARTTLS = NO

[remote]
type = imap
host = 127.0.0.1
port = %[2]s
username = %[3]s
password = secret
STARTTLS = NO
`

// withInterIMAP has a client that lives by QRESYNC bring two of our users into line.
func withInterIMAP(t *testing.T, s *mailServer, user string) {
	if strings.Contains(s.kind, "mbox") {
		t.Skip("interimap wants modification sequences")
	}
	s.fill(user)
	copied := s.login(user + "-copy")
	copied.Select("INBOX")
	_, port, _ := strings.Cut(s.imap, ":")
	dir := t.TempDir()
	conf := filepath.Join(dir, "config")
	if err := os.WriteFile(conf, fmt.Appendf(nil, interimapConf, dir, port, user), 0o600); err != nil {
		t.Fatal(err)
	}
	both := func() (string, string) {
		show := func(user string) string {
			c := s.login(user)
			defer c.Close()
			c.Select("INBOX")
			return clean(c.Cmd("FETCH 1:* (FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"))
		}
		return show(user), show(user + "-copy")
	}
	sync := func(what string) {
		t.Helper()
		s.client(dir, "interimap", "--config="+conf, "--quiet")
		if a, b := both(); a != b || a == "" {
			t.Errorf("%s: one has\n%s\nthe other\n%s", what, a, b)
		}
	}
	sync("first")
	c := s.login(user)
	c.Select("INBOX")
	c.Cmd(`STORE 2 +FLAGS (\Flagged work)`)
	c.Cmd(`STORE 4 +FLAGS (\Deleted)`)
	c.Cmd("EXPUNGE")
	copied.Cmd("NOOP")
	copied.Cmd(`STORE 1 +FLAGS (\Answered)`)
	copied.Cmd(`STORE 5 +FLAGS (\Deleted)`)
	copied.Cmd("EXPUNGE")
	sync("changed on both sides")
	a, _ := both()
	sync("nothing to do")
	if now, _ := both(); now != a || strings.Count(a, "FETCH") != 3 {
		t.Errorf("nothing to do: was\n%s\nis\n%s", a, now)
	}
	copied.Close()
	c.Close()
}

const imapfilterConf = `options.timeout = 60
options.starttls = false
account = IMAP { server = '127.0.0.1', port = %s, username = '%s', password = 'secret' }
account:create_mailbox('Filed')
found = account.INBOX:contain_subject('dots') + account.INBOX:contain_body('hello')
found:move_messages(account.Filed)
account.INBOX:is_larger(100000):mark_flagged()
all, new = account.Filed:check_status()
assert(all == 2)
`

func withImapfilter(t *testing.T, s *mailServer, user string) {
	s.fill(user)
	_, port, _ := strings.Cut(s.imap, ":")
	dir := written(t, map[string]string{"config.lua": fmt.Sprintf(imapfilterConf, port, user), ".imapfilter/.keep": ""})
	s.client(dir, "imapfilter", "-c", "config.lua")
	c := s.login(user)
	defer c.Close()
	c.Select("INBOX")
	if got := clean(c.Cmd("FETCH 1:* (UID FLAGS)")); strings.Count(got, "FETCH") != 3 || !strings.Contains(got, `UID 5 FLAGS (\Flagged)`) {
		t.Errorf("INBOX has %s", got)
	}
}

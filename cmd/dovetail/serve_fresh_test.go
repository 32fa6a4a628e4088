package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
)

// Mail that a delivery program has left where nobody has read mail before: the UIDs and UIDVALIDITY that the first
// session is told are those of all later ones.
func TestServeMailThatNobodyHasReadYet(t *testing.T) {
	for _, tc := range []struct{ name, kind, path, text, more string }{
		{"an mbox", "mbox", "mail-inbox", "From a@b Mon Jan  1 00:00:00 2024\nSubject: one\n\nx\n\n", "From a@b Mon Jan  1 00:00:01 2024\nSubject: two\n\nx\n\n"},
		{"an empty mbox", "mbox", "mail-inbox", "", "From a@b Mon Jan  1 00:00:01 2024\nSubject: two\n\nx\n\n"},
		{"a Maildir", "maildir", "mail/new/1700000000.M1P1.host", "Subject: one\n\nx\n", ""},
	} {
		for _, command := range []string{"SELECT", "EXAMINE", "STATUS"} {
			t.Run(tc.name+" "+command, func(t *testing.T) {
				s := prepareServer(t, tc.kind)
				path := filepath.Join(s.dir, "home", "ann", tc.path)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
					t.Fatal(err)
				}
				dovecot.Own(t, filepath.Join(s.dir, "home", "ann"))
				s.configure(tc.kind)
				s.start()
				c := s.login("ann")
				defer c.Close()
				const status = "STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)"
				first := strings.Join(c.Cmd(status), "")
				if strings.Contains(first, "UIDVALIDITY 0") {
					t.Errorf("%q", first)
				}
				if command != "STATUS" {
					c.Cmd(command + " INBOX")
				}
				if tc.more != "" {
					appendTo(t, path, tc.more)
				}
				c.Cmd("NOOP")
				c.Append("INBOX", "", "", "Subject: three\r\n\r\ny\r\n")
				again := s.login("ann")
				defer again.Close()
				if got, was := behindKey(again, status, "UIDVALIDITY"), wordBehind(first, "UIDVALIDITY"); got != was {
					t.Errorf("UIDVALIDITY is %s and was %s", got, was)
				}
				again.Select("INBOX")
				n := strings.Count(tc.text+tc.more+"Subject: three", "Subject: ")
				if lines := again.Cmd("UID SEARCH ALL"); len(lines) != 1 || len(strings.Fields(lines[0])) != 2+n {
					t.Errorf("%d messages are %q", n, lines)
				}
				if command != "STATUS" {
					c.Cmd(fmt.Sprintf("FETCH 1:%d (UID BODY.PEEK[])", n))
				}
			})
		}
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func behindKey(c *client.Session, command, key string) string {
	return wordBehind(strings.Join(c.Cmd(command), ""), key)
}

// wordBehind gives the word behind another one.
func wordBehind(line, key string) string {
	_, rest, _ := strings.Cut(line, key+" ")
	rest, _, _ = strings.Cut(rest, " ")
	return strings.Trim(rest, ")")
}

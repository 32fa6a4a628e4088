package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// Files of an mdbox that are lost under a running server: the messages that are in others can be read, new ones can be
// added, those that are gone are expunged, and the log says what was done. A Dovecot that comes behind it has nothing to
// complain about.
func TestServeAnMdboxThatLosesFiles(t *testing.T) {
	for _, tc := range []struct {
		name, files string
		left        string // messages that can be read afterwards
	}{
		{"a file with messages", "storage/m.1", "c d"},
		{"the map", "storage/dovecot.map.*", "a b c d"},
		{"the index of a mailbox", "mailboxes/INBOX/dbox-Mails/dovecot.*", "a b c d"},
		{"all indexes", "*/dovecot.*", "a b c d"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := startServer(t, "mdbox", "mdbox_rotate_size = 1k")
			c := s.login("ann")
			defer c.Close()
			for _, name := range []string{"a", "b", "c", "d"} {
				c.Append("INBOX", "", "", "Subject: "+name+"\r\n\r\n"+strings.Repeat("x", 300)+"\r\n")
			}
			c.Select("INBOX")
			mail := filepath.Join(s.dir, "home", "ann", "mail")
			names, _ := filepath.Glob(filepath.Join(mail, tc.files))
			if tc.files == "*/dovecot.*" {
				more, _ := filepath.Glob(filepath.Join(mail, "mailboxes/INBOX/dbox-Mails/dovecot.*"))
				names = append(names, more...)
			}
			if len(names) == 0 {
				t.Fatal("there is nothing to remove")
			}
			for _, name := range names {
				os.Remove(name)
			}
			c.Try("FETCH 1:* BODY.PEEK[]")
			c.Cmd("NOOP")
			c.Append("INBOX", "", "", "Subject: e\r\n\r\nx\r\n")
			for _, again := range []bool{false, true} {
				if again {
					c = s.login("ann")
					defer c.Close()
					c.Select("INBOX")
				}
				var got []string
				for _, line := range c.Cmd("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])") {
					if _, subject, ok := strings.Cut(line, "Subject: "); ok {
						got = append(got, subject[:1])
					}
				}
				if got := strings.Join(got, " "); got != tc.left+" e" {
					t.Errorf("%s, want %s e", got, tc.left)
				}
			}
			judge := dovecot.New(t, "mdbox:"+mail)
			if n := len(judge.Fetch("INBOX")); n != len(strings.Fields(tc.left))+1 {
				t.Errorf("Dovecot shows %d messages", n)
			}
			judge.MustBeClean()
		})
	}
}

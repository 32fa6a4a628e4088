package imap_test

import (
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// Dovecot 2.3.19 takes the texts of some of these for commands.
func TestTextsOfAnAppendThatFailsAreNoCommands(t *testing.T) {
	c := start(t, "sdbox:"+dovecot.TempDir(t)+"/mail").login()
	text := "{15+}\r\nx CREATE evil\r\n"
	for _, tc := range []struct{ command, want string }{
		{"APPEND nosuch " + text, "NO"},
		{"APPEND nosuch " + text + " (\\Seen) " + text, "NO"},
		{"APPEND nosuch (\\Seen) CATENATE (URL /INBOX/;UID=1 TEXT " + text + ")", "NO"},
		{"APPEND nosuch CATENATE (TEXT " + text + " URL {10+}\r\nx CREATE x TEXT " + text + ")", "NO"},
		{"APPEND INBOX CATENATE (URL /INBOX/;UID=1 TEXT " + text + " TEXT " + text + ")", "NO"},
		{"APPEND INBOX CATENATE (TEXT " + text + " FOO " + text + ")", "BAD"},
		{"APPEND INBOX CATENATE TEXT " + text, "BAD"},
		{"APPEND INBOX CATENATE (TEXT \"quoted\" TEXT " + text + ")", "BAD"},
		{"APPEND INBOX (\\Foo) " + text, "BAD"},
		{"APPEND INBOX \"99-Foo-2003 04:05:06 +0100\" " + text, "BAD"},
		{"APPEND INBOX {0+}\r\n " + text, "NO"},
		{"UNKNOWN " + text, "BAD"},
		{"NOOP " + text, "BAD"},
	} {
		if _, got := c.Try(tc.command); !strings.HasPrefix(got, tc.want+" ") {
			t.Errorf("%q gave %s, want %s", tc.command, got, tc.want)
		}
		if lines := c.Cmd("NOOP"); len(lines) > 0 {
			t.Errorf("behind %q came %q", tc.command, lines)
		}
	}
	if lines := c.Cmd(`LIST "" *`); len(lines) != 1 {
		t.Errorf("mailboxes are %q", lines)
	}
}

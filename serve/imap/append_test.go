package imap_test

import (
	"os"
	"path/filepath"
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

// Dovecot stores LF unless mail_save_crlf is set; other programs that read the files expect that.
func TestMessagesAreStoredWithTheLineEndsOfTheConfiguration(t *testing.T) {
	for setting, want := range map[string]string{"mail_save_crlf = no": "a: b\n\nc\rd\n\ne\n", "mail_save_crlf = yes": "a: b\r\n\r\nc\rd\n\r\ne\r\n"} {
		root := dovecot.TempDir(t) + "/mail"
		c := start(t, "maildir:"+root, setting).login()
		c.Cmd("APPEND INBOX {17+}\r\na: b\r\n\r\nc\rd\n\r\ne\r\n")
		c.Cmd("APPEND INBOX CATENATE (TEXT {6+}\r\na: b\r\n TEXT {11+}\r\n\r\nc\rd\n\r\ne\r\n)")
		paths, err := filepath.Glob(root + "/*/[0-9]*")
		if err != nil || len(paths) != 2 {
			t.Fatalf("%v, %v", paths, err)
		}
		for _, path := range paths {
			if text, err := os.ReadFile(path); err != nil || string(text) != want {
				t.Errorf("%s: %q, %v; want %q", setting, text, err, want)
			}
		}
	}
}

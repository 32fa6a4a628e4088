package imap_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// TestR136WorkaroundsForClients has imap_client_workarounds in force.
func TestR136WorkaroundsForClients(t *testing.T) {
	server := start(t, "sdbox:"+dovecot.TempDir(t)+"/mail", "imap_client_workarounds = delay-newmail tb-extra-mailbox-sep tb-lsub-flags")
	one, two := server.login(), server.login()
	t.Run("delay-newmail: new and expunged messages are told behind NOOP only", func(t *testing.T) {
		two.Append("INBOX", "", "", "Subject: a\r\n\r\none\r\n")
		one.Select("INBOX")
		two.Select("INBOX")
		two.Append("INBOX", "", "", "Subject: b\r\n\r\ntwo\r\n")
		two.Cmd(`STORE 1 +FLAGS (\Deleted \Seen)`)
		if lines := one.Cmd("UID SEARCH ALL"); !slices.Equal(lines, []string{"* SEARCH 1", `* 1 FETCH (FLAGS (\Deleted \Seen \Recent))`}) {
			t.Errorf("UID SEARCH: %q", lines)
		}
		two.Cmd("EXPUNGE")
		if lines := one.Cmd("UID FETCH 1:* UID"); !slices.Equal(lines, []string{"* 1 FETCH (UID 1)"}) {
			t.Errorf("UID FETCH: %q", lines)
		}
		if lines := one.Cmd("NOOP"); len(lines) < 2 || lines[0] != "* 1 EXPUNGE" || lines[1] != "* 1 EXISTS" {
			t.Errorf("NOOP: %q", lines)
		}
	})
	t.Run("tb-extra-mailbox-sep: a name may end with the separator", func(t *testing.T) {
		one.Cmd("CREATE box/sub")
		one.Cmd(`SELECT "box/sub/"`)
		one.Cmd(`SUBSCRIBE "box/sub/"`)
	})
	t.Run("tb-lsub-flags: LSUB tells what LIST would", func(t *testing.T) {
		if lines := one.Cmd(`LSUB "" *`); !slices.Equal(lines, []string{`* LSUB (\HasNoChildren) "/" box/sub`}) {
			t.Errorf("%q", lines)
		}
	})
}

func TestSettingsOfTheAnswers(t *testing.T) {
	mail := "sdbox:" + dovecot.TempDir(t) + "/mail"
	for setting, want := range map[string]string{
		"imap_capability = +X-ONE X-TWO":                    ` X-ONE X-TWO$`,
		"imap_capability = IMAP4rev1 X-ONLY":                `^\* CAPABILITY IMAP4rev1 X-ONLY$`,
		"imap_literal_minus = yes":                          ` LITERAL- `,
		"imap_id_send = name * x-key value support-email *": `^\* ID \("name" "Dovetail" "x-key" "value" "support-email" "dovecot@dovecot.org"\)$`,
		"imap_id_send =":                                    `^\* ID NIL$`,
		"imap_id_send = name *":                             `^\* ID \("name" "Dovetail"\)$`,
	} {
		s := start(t, mail, setting).login()
		lines := append(s.Cmd("CAPABILITY"), s.Cmd("ID NIL")...)
		if !slices.ContainsFunc(lines, regexp.MustCompile(want).MatchString) {
			t.Errorf("%s gives %q", setting, lines)
		}
		s.Close()
	}
}

// TestR098TheEndOfASessionIsLoggedWithWhatItDid: imap_logout_format's default.
func TestR098TheEndOfASessionIsLoggedWithWhatItDid(t *testing.T) {
	server := start(t, "sdbox:"+dovecot.TempDir(t)+"/mail")
	s := server.login()
	s.Append("INBOX", "", "", "Subject: a\r\n\r\none\r\n")
	s.Append("INBOX", "", "", "Subject: b\r\n\r\ntwo\r\n")
	s.Select("INBOX")
	s.Cmd("FETCH 1:2 BODY.PEEK[]")
	s.Cmd("FETCH 1:2 BODY.PEEK[HEADER]")
	s.Cmd(`STORE 1 +FLAGS (\Deleted)`)
	s.Cmd("EXPUNGE")
	s.Close()
	want := regexp.MustCompile(`imap\(tester\)<\d+><[^>]+>: Disconnected: Logged out in=\d+ out=\d+ deleted=1 expunged=1 trashed=0 hdr_count=(\d+) hdr_bytes=\d+ body_count=(\d+) body_bytes=\d+`)
	log := server.log.String()
	m := want.FindStringSubmatch(log)
	if m == nil {
		t.Fatalf("no such line:\n%s", log)
	}
	if got := fmt.Sprint(m[1:]); got != "[2 2]" && strings.Contains(log, "hdr_count") {
		t.Errorf("headers and bodies: %s", got)
	}
}

// TestAPipelineIsAnsweredInItsOrder: none of the commands that use sequence numbers may have them shifted (RFC 3501
// section 5.5 and 7.4.1).
func TestAPipelineIsAnsweredInItsOrder(t *testing.T) {
	server := start(t, "sdbox:"+dovecot.TempDir(t)+"/mail")
	one, two := server.login(), server.login()
	for range 4 {
		two.Append("INBOX", "", "", "Subject: a\r\n\r\none\r\n")
	}
	one.Select("INBOX")
	two.Select("INBOX")
	two.Cmd(`STORE 1:2 +FLAGS.SILENT (\Deleted)`)
	two.Cmd("EXPUNGE")
	lines, status := one.Try("STORE 3 +FLAGS (\\Seen)\r\nb FETCH 4 UID\r\nc SEARCH SEEN\r\nd STORE 1 +FLAGS (\\Flagged)")
	for {
		line := one.Next()
		lines = append(lines, line)
		if strings.HasPrefix(line, "d ") {
			break
		}
	}
	for _, line := range lines {
		if strings.Contains(line, "EXPUNGE") {
			t.Errorf("%q in %q, %s", line, lines, status)
		}
	}
	for _, want := range []string{"* 4 FETCH (UID 4)", "* SEARCH 3"} {
		if !slices.Contains(lines, want) {
			t.Errorf("%q is not in %q", want, lines)
		}
	}
	if lines := one.Cmd("NOOP"); !slices.Contains(lines, "* 2 EXPUNGE") || !slices.Contains(lines, "* 1 EXPUNGE") {
		t.Errorf("NOOP: %q", lines)
	}
}

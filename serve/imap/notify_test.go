package imap_test

import (
	"fmt"
	"slices"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// TestNotifyTellsAtAnyTime has no command between the change and its telling (RFC 5465).
func TestNotifyTellsAtAnyTime(t *testing.T) {
	server := start(t, "sdbox:"+dovecot.TempDir(t)+"/mail")
	one, two := server.login(), server.login()
	two.Cmd("CREATE other")
	two.Append("INBOX", "", "", "Subject: a\r\n\r\none\r\n")
	one.Select("INBOX")
	one.Cmd("NOTIFY SET (selected-delayed (MessageNew (UID FLAGS) MessageExpunge FlagChange)) (personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))")
	two.Select("INBOX")
	two.Cmd(`STORE 1 +FLAGS (\Flagged)`)
	one.Wait(`^\* 1 FETCH \(FLAGS \(\\Flagged \\Recent\)\)$`)
	two.Append("INBOX", `\Seen`, "", "Subject: b\r\n\r\ntwo\r\n")
	one.Wait(`^\* 2 EXISTS$`)
	one.Wait(`^\* 2 FETCH \(UID 2 FLAGS \(`)
	two.Append("other", "", "", "Subject: c\r\n\r\nthree\r\n")
	one.Wait(`^\* STATUS other \(MESSAGES 1 UIDNEXT 2 UNSEEN 1\)$`)
	two.Cmd("CREATE third")
	one.Wait(`^\* LIST \(.*\) "/" third$`)
	two.Append("third", "", "", "Subject: c\r\n\r\nthree\r\n")
	one.Wait(`^\* STATUS third \(MESSAGES 1 `)
	two.Cmd("SUBSCRIBE third")
	one.Wait(`^\* LIST \(\\Subscribed .*\) "/" third$`)
	two.Cmd("DELETE third")
	one.Wait(`^\* LIST \(\\NonExistent .*\) "/" third$`)
	two.Cmd(`STORE 1 +FLAGS (\Deleted)`)
	one.Wait(`^\* 1 FETCH \(FLAGS \(\\Flagged \\Deleted \\Recent\)\)$`)
	two.Cmd("EXPUNGE")
	for _, line := range one.Cmd("FETCH 1 UID") {
		if line == "* 1 EXPUNGE" {
			t.Error("an expunged message is told of behind FETCH, although it was to be delayed")
		}
	}
	one.Cmd("NOTIFY SET (selected (MessageNew MessageExpunge))")
	two.Cmd(`STORE 1 +FLAGS (\Deleted)`)
	two.Cmd("EXPUNGE")
	one.Wait(`^\* 1 EXPUNGE$`)
}

// TestNotifyTellsBeforeTheNextCommand has a client that is quicker than the one goroutine that wakes another.
func TestNotifyTellsBeforeTheNextCommand(t *testing.T) {
	server := start(t, "sdbox:"+dovecot.TempDir(t)+"/mail")
	one, two := server.login(), server.login()
	two.Cmd("CREATE other")
	one.Cmd("NOTIFY SET (personal (MessageNew MessageExpunge))")
	for n := 1; n <= 200; n++ {
		two.Append("other", "", "", "Subject: c\r\n\r\nthree\r\n")
		want := fmt.Sprintf("* STATUS other (MESSAGES %d UIDNEXT %d UNSEEN %d)", n, n+1, n)
		if got := one.Cmd("NOOP"); !slices.Contains(got, want) {
			t.Fatalf("%q is not in %q", want, got)
		}
	}
}

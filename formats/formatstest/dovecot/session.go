package dovecot

import (
	"strings"

	"dovetail/formats/formatstest/client"
)

// What sessions give and take is the same for every server.
type (
	Session    = client.Session
	POP3       = client.POP3
	Msg        = client.Msg
	PopMessage = client.PopMessage
	Entry      = client.Entry
	Status     = client.Status
)

// Quote gives a mailbox name as IMAP's quoted string in mUTF-7.
func Quote(mailbox string) string { return client.Quote(mailbox) }

// IMAP starts a session that is already logged in.
func (j *Judge) IMAP() *Session {
	j.t.Helper()
	s := client.Start(j.t, client.IMAP, j.Command("exec", "imap"), j.Log)
	if greeting := s.Next(); !strings.HasPrefix(greeting, "* PREAUTH ") {
		j.t.Fatalf("imap greeted with %q\n%s", greeting, j.Log())
	}
	return s
}

// POP3 starts a session on INBOX. (The pop3 process does not greet: that is its login process's part.)
func (j *Judge) POP3() POP3 {
	j.t.Helper()
	return POP3{Session: client.Start(j.t, client.POP, j.Command("exec", "pop3"), j.Log)}
}

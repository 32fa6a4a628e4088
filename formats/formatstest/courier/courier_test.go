package courier_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/courier"
	"dovetail/formats/formatstest/dovecot"
)

// A life in a Maildir of Courier's own: what one session does, another sees, and POP3 numbers from 1.
func TestCleanLife(t *testing.T) {
	courier.Need(t)
	maildir := filepath.Join(dovecot.TempDir(t), "Maildir")
	for _, sub := range []string{"", "new", "cur", "tmp"} {
		if err := os.Mkdir(filepath.Join(maildir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	dovecot.Own(t, maildir)
	j := courier.New(t, maildir)
	s := j.IMAP()
	s.Cmd("CREATE " + client.Quote("INBOX.Größe.R&D"))
	s.Cmd("SUBSCRIBE " + client.Quote("INBOX.Größe.R&D"))
	s.Append("INBOX", `\Seen $Forwarded`, "13-Sep-2020 14:26:40 +0200", "Subject: one\r\n\r\nbody {3}\r\n")
	s.Append("INBOX", "", "", "Subject: two\r\n\r\nbody\r\n")
	s.Close()

	boxes := j.Boxes()
	inbox := boxes["INBOX"]
	if len(inbox.Messages) != 2 || inbox.Status.UIDNext != 3 || inbox.Status.UIDValidity == 0 {
		t.Fatalf("inbox %+v", inbox)
	}
	m := inbox.Messages[0]
	if m.UID != 1 || m.Flags != formats.Seen || !slices.Equal(m.Keywords, []string{"$Forwarded"}) ||
		m.InternalDate.Unix() != 1600000000 || m.Body != "Subject: one\r\n\r\nbody {3}\r\n" || m.Size != int64(len(m.Body)) {
		t.Errorf("message 1 is %+v", m)
	}
	if _, there := boxes["INBOX.Größe.R&D"]; !there || len(boxes) != 2 {
		t.Errorf("mailboxes %v", boxes)
	}
	if _, err := os.Stat(filepath.Join(maildir, ".Größe.R&D")); err != nil {
		t.Errorf("Courier 5 keeps names in UTF-8: %v", err)
	}
	if out, err := exec.Command("grep", "-q", "^/3 ", filepath.Join(maildir, "courierpop3dsizelist")).CombinedOutput(); err == nil {
		t.Errorf("a POP3 list before the first session: %s", out)
	}
	if got := j.UIDLs(); len(got) != 2 || got[0][:5] != "UID1-" || got[1][:5] != "UID2-" {
		t.Errorf("UIDL %q", got)
	}
	s = j.IMAP()
	if got := s.Lsub(); !slices.Equal(got, []string{"INBOX.Größe.R&D"}) {
		t.Errorf("LSUB %q", got)
	}
	s.Close()
	if got := j.MyRights("INBOX"); got != "acdilrsw" {
		t.Errorf("rights %q", got)
	}
	if got := j.Rights("INBOX"); len(got) != 4 || got[0] != "owner" {
		t.Errorf("access list %q", got)
	}
	j.MustBeClean()
}

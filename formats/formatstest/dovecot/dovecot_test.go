package dovecot_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
)

// A new Judge finds what another program wrote, and a normal life of a mailbox leaves the log empty in every format.
func TestCleanLife(t *testing.T) {
	for _, driver := range []string{"maildir", "mbox", "sdbox", "mdbox"} {
		t.Run(driver, func(t *testing.T) {
			root := filepath.Join(dovecot.TempDir(t), "mail")
			location := driver + ":" + root
			if driver == "mbox" {
				location += ":INBOX=" + root + "/inbox"
			}
			j := dovecot.New(t, location)
			live(t, j)
			j.MustBeClean()
		})
	}
}

func live(t *testing.T, j *dovecot.Judge) {
	s := j.IMAP()
	s.Cmd("CREATE " + dovecot.Quote("Größe/R&D"))
	s.Cmd("SUBSCRIBE " + dovecot.Quote("Größe/R&D"))
	s.Append("INBOX", `\Seen $Forwarded`, "13-Sep-2020 14:26:40 +0200", "Subject: one\r\n\r\nbody {3}\r\n")
	watcher := j.IMAP()
	watcher.Select("INBOX")
	watcher.Idle()
	s.Append("INBOX", "", "", "Subject: two\r\n\r\nbody\r\n")
	watcher.Wait(`^\* 2 EXISTS`)
	watcher.Done()
	watcher.Close()

	msgs := j.Fetch("INBOX")
	if len(msgs) != 2 {
		t.Fatalf("got %d messages, want 2", len(msgs))
	}
	m := msgs[0]
	if m.UID != 1 || m.Flags&formats.Seen == 0 || !slices.Equal(m.Keywords, []string{"$Forwarded"}) ||
		!m.InternalDate.Equal(time.Unix(1600000000, 0)) || m.Body != "Subject: one\r\n\r\nbody {3}\r\n" ||
		m.Size != int64(len(m.Body)) || m.GUID == "" || m.ModSeq == 0 || m.SaveDate.IsZero() {
		t.Errorf("message 1 is %+v", m)
	}
	if st := j.Status("INBOX"); st.UIDNext != 3 || st.Messages != 2 || st.Unseen != 1 || st.GUID.IsZero() || st.HighestModSeq == 0 {
		t.Errorf("status %+v", st)
	}
	p := j.POP3()
	if all := p.All(); len(all) != 2 || !strings.HasPrefix(all[1].Body, "Subject: two\r\n") {
		t.Errorf("POP3 shows %+v", all)
	}
	p.Close()
	if got := j.Lsub(); !slices.Equal(got, []string{"Größe/R&D"}) {
		t.Errorf("LSUB %q", got)
	}
	if got := j.List(); len(got) != 3 || got[0].Name != "Größe" || !got[0].NoSelect || got[1].Name != "Größe/R&D" || got[2].Name != "INBOX" {
		t.Errorf("LIST %+v", got)
	}
}

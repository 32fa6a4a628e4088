package watch

import (
	"path/filepath"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/location"
)

// openLive opens a store of the judge's user.
func openLive(t *testing.T, where string) formats.Store {
	t.Helper()
	l, err := location.Parse(where, location.Vars{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := location.Open(t.Context(), l, location.Options{FS: dovecot.FS(), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// The clock of these hubs does not help: what is seen is seen because the kernel tells.
func TestWhatDovecotChangesIsSeenAtOnce(t *testing.T) {
	for _, kind := range []string{"sdbox", "maildir", "mbox"} {
		t.Run(kind, func(t *testing.T) {
			where := dovecot.Location(kind, filepath.Join(dovecot.TempDir(t), "mail"))
			judge := dovecot.New(t, where)
			session := judge.IMAP()
			session.Append("INBOX", "", "", "Subject: one\r\n\r\nx\r\n")
			box := open(t, NewHub(time.Hour), openLive(t, where))
			defer box.Attend()()
			until(box, func(s *Snapshot) bool { return s.Len() == 1 })
			session.Append("INBOX", `\Seen`, "", "Subject: two\r\n\r\nx\r\n")
			until(box, func(s *Snapshot) bool { return s.Len() == 2 })
			session.Select("INBOX")
			session.Cmd(`STORE 1 +FLAGS (\Flagged work)`)
			session.Cmd(`CHECK`)
			until(box, func(s *Snapshot) bool {
				r := s.At(1)
				return r.Flags()&formats.Flagged != 0 && formats.HasKeyword(s.Keywords(r), "work")
			})
			session.Cmd(`STORE 2 +FLAGS (\Deleted)`)
			session.Cmd(`EXPUNGE`)
			until(box, func(s *Snapshot) bool { return s.Len() == 1 })
			fill(t, box, 1)
			session.Cmd("NOOP")
			if st := session.Status("INBOX"); st.Messages != 2 {
				t.Errorf("Dovecot sees %d messages", st.Messages)
			}
			session.Close()
			judge.MustBeClean()
		})
	}
}

// until waits for changes until the box is as it should be; the test's own time limit ends it otherwise.
func until(b *Box, done func(*Snapshot) bool) {
	for {
		changed := b.Changed()
		if done(b.Snapshot()) {
			return
		}
		<-changed
	}
}

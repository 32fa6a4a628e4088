package maildir

import (
	"fmt"
	"path/filepath"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
)

// keywordNames gives n keywords.
func keywordNames(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("keyword%02d", i))
	}
	return names
}

func TestKeywordsBeyond26AndModSeqsSurviveUnderDovecot(t *testing.T) {
	for _, fewAtFirst := range []bool{false, true} {
		t.Run(fmt.Sprintf("index made later: %v", fewAtFirst), func(t *testing.T) {
			root := filepath.Join(dovecot.TempDir(t), "m")
			s := openStore(t, Options{Root: root, FS: dovecot.FS(), Create: true})
			like := formats.Status{UIDValidity: 1234567890, HighestModSeq: 40}
			if fewAtFirst {
				like.HighestModSeq = 0
			}
			if err := s.Create(t.Context(), "INBOX", like); err != nil {
				t.Fatal(err)
			}
			b := openBox(t, s, "INBOX")
			names := keywordNames(31)
			next := formats.UID(1)
			add := func(names ...string) {
				t.Helper()
				update(t, b, func(tx formats.Tx) error {
					m := formats.Message{UID: next, Keywords: names, Flags: formats.Seen}
					if !fewAtFirst {
						m.ModSeq = formats.ModSeq(50 + 10*next)
					}
					next += 3
					return tx.Append(t.Context(), m, newBody("Subject: x\n\nx\n"))
				})
			}
			add(names[:3]...)
			j := dovecot.New(t, "maildir:"+root)
			if !fewAtFirst {
				j.Fetch("INBOX")
			}
			add(names...)
			add(names[29:]...)
			compareWithDovecot(t, j, b, !fewAtFirst)

			session := j.IMAP()
			session.Select("INBOX")
			session.Cmd(`UID STORE 1 +FLAGS (keyword30 own1)`)
			session.Append("INBOX", "keyword29 keyword01", "", "Subject: theirs\r\n\r\nx\r\n")
			session.Cmd(`UID STORE 4 -FLAGS (keyword27)`)
			session.Cmd("NOOP")
			compareWithDovecot(t, j, b, false)

			update(t, b, func(tx formats.Tx) error {
				if err := tx.SetFlags(formats.RangesOf(1), formats.FlagChange{Op: formats.ReplaceFlags, Flags: formats.Flagged, Keywords: names[25:28]}); err != nil {
					return err
				}
				return tx.SetFlags(formats.RangesOf(4), formats.FlagChange{Op: formats.RemoveFlags, Keywords: names[20:30]})
			})
			session.Cmd("NOOP")
			compareWithDovecot(t, j, b, false)
			session.Close()
			compareWithDovecot(t, j, b, false)
			j.MustBeClean()
		})
	}
}

// compareWithDovecot wants our reading and Dovecot's to be one.
func compareWithDovecot(t *testing.T, j *dovecot.Judge, b formats.Mailbox, modseqs bool) {
	t.Helper()
	theirs := j.Fetch("INBOX")
	ours, _ := messages(t, b)
	if len(ours) != len(theirs) {
		t.Fatalf("we read %d messages, Dovecot %d", len(ours), len(theirs))
	}
	for i, o := range ours {
		d := theirs[i]
		if o.UID != d.UID || (o.Flags^d.Flags)&formats.SystemFlags != 0 || !formats.SameKeywords(o.Keywords, d.Keywords) || modseqs && o.ModSeq != d.ModSeq {
			t.Errorf("we read %+v,\nDovecot %+v", o, d)
		}
	}
	j.MustBeClean()
}

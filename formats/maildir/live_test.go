package maildir

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
)

// TestBesideAnOpenSession changes a mailbox in turns with a Dovecot session that has it open, while a delivery agent
// puts messages into new/: nobody loses anything, and all agree on UIDs, flags and keywords.
func TestBesideAnOpenSession(t *testing.T) {
	for _, layout := range []string{"", "fs"} {
		t.Run("layout "+layout, func(t *testing.T) {
			root := filepath.Join(dovecot.TempDir(t), "m")
			s := openStore(t, Options{Root: root, Layout: layout, FS: dovecot.FS(), Create: true})
			if err := s.Create(t.Context(), "INBOX", formats.Status{UIDValidity: 1234567890, UIDNext: 5}); err != nil {
				t.Fatal(err)
			}
			location := "maildir:" + root
			if layout != "" {
				location += ":LAYOUT=" + layout
			}
			j := dovecot.New(t, location)
			b := openBox(t, s, "INBOX")
			session := j.IMAP()
			session.Select("INBOX")
			var wanted []string
			for round := range 12 {
				wanted = append(wanted, liveRound(t, root, b, session, round)...)
			}
			compareWithDovecot(t, j, b, false)
			_, bodies := messages(t, b)
			slices.Sort(bodies)
			slices.Sort(wanted)
			if !slices.Equal(bodies, wanted) {
				t.Errorf("the mailbox holds %q\nwant %q", bodies, wanted)
			}
			session.Close()
			j.MustBeClean()
		})
	}
}

// liveRound lets everybody do something and gives the messages that came to stay.
func liveRound(t *testing.T, root string, b formats.Mailbox, session *dovecot.Session, round int) []string {
	t.Helper()
	ours, theirs, delivered := fmt.Sprintf("ours %d\n", round), fmt.Sprintf("theirs %d\n", round), fmt.Sprintf("delivered %d\n", round)
	kept := []string{ours, theirs, delivered}
	c := update(t, b, func(tx formats.Tx) error {
		m := formats.Message{Flags: formats.Flagged, Keywords: []string{fmt.Sprint("kw", round%3)}}
		if round%4 == 3 {
			m.Flags, m.Keywords = formats.Recent, nil
		}
		if err := tx.Append(t.Context(), m, newBody(ours)); err != nil {
			return err
		}
		return tx.Append(t.Context(), formats.Message{}, newBody("to be expunged\n"))
	})
	name := fmt.Sprintf("%d.agent.host", 1600000000+round)
	writeFiles(t, root, map[string]string{"tmp/" + name: delivered})
	dovecot.Own(t, filepath.Join(root, "tmp"))
	if err := os.Rename(filepath.Join(root, "tmp", name), filepath.Join(root, "new", name)); err != nil {
		t.Fatal(err)
	}
	session.Append("INBOX", `\Seen theirs`, "", "theirs "+fmt.Sprint(round)+"\r\n")
	session.Cmd("NOOP")
	first := c.UIDs[0].First
	session.Cmd(fmt.Sprintf(`UID STORE %d +FLAGS (\Answered kw%d)`, first, round%5))
	update(t, b, func(tx formats.Tx) error {
		if err := tx.Expunge(formats.RangesOf(c.UIDs[len(c.UIDs)-1].Last)); err != nil {
			return err
		}
		return tx.SetFlags(formats.Ranges{{First: 1, Last: first}}, formats.FlagChange{Flags: formats.Seen, Keywords: []string{"both"}})
	})
	session.Cmd("NOOP")
	return kept
}

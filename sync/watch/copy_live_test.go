package watch

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
)

// linked counts the message files below a folder that have two names.
func linked(t *testing.T, root string) (n int) {
	t.Helper()
	if err := filepath.WalkDir(root, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Sys().(*syscall.Stat_t).Nlink == 2 {
			n++
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// What Dovecot shows of a copy that it made and of one that we made differs in nothing but the UID.
func TestCopiesAreLinksAsDovecotsAre(t *testing.T) {
	for _, kind := range []string{"sdbox", "maildir"} {
		t.Run(kind, func(t *testing.T) {
			root := filepath.Join(dovecot.TempDir(t), "mail")
			where := dovecot.Location(kind, root)
			judge := dovecot.New(t, where)
			session := judge.IMAP()
			session.Cmd("CREATE copies")
			session.Append("INBOX", `\Seen`, "01-Feb-2003 04:05:06 +0000", "Subject: one\r\n\r\nx\r\n")
			session.Select("INBOX")
			session.Cmd("COPY 1 copies")
			session.Close()
			if n := linked(t, root); n != 2 {
				t.Fatalf("Dovecot's copy makes %d linked names", n)
			}
			store, hub := openLive(t, where), NewHub(0)
			src := open(t, hub, store)
			dst, err := hub.Open(t.Context(), store, "copies")
			if err != nil {
				t.Fatal(err)
			}
			defer dst.Close()
			fill(t, src, 1)
			if _, err := dst.Update(t.Context(), func(tx formats.Tx) error {
				one := formats.Copy(t.Context(), tx, formats.Message{Flags: formats.Seen}, src.Mailbox, 1)
				if one != nil {
					return one
				}
				return formats.Copy(t.Context(), tx, formats.Message{}, src.Mailbox, 2)
			}); err != nil {
				t.Fatal(err)
			}
			if _, err := src.Update(t.Context(), func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(1)) }); err != nil {
				t.Fatal(err)
			}
			if n := linked(t, root); n != 4 {
				t.Errorf("%d linked names", n)
			}
			original, copies := judge.Fetch("INBOX"), judge.Fetch("copies")
			if len(original) != 1 || len(copies) != 3 {
				t.Fatalf("Dovecot shows %d and %d messages", len(original), len(copies))
			}
			theirs, ours := copies[0], copies[1]
			ours.UID, ours.ModSeq, ours.SaveDate = theirs.UID, theirs.ModSeq, theirs.SaveDate
			if fmt.Sprintf("%+v", theirs) != fmt.Sprintf("%+v", ours) {
				t.Errorf("Dovecot's copy\n%+v\nours\n%+v", theirs, ours)
			}
			if copies[2].GUID != original[0].GUID {
				t.Errorf("the copy has GUID %s, the original %s", copies[2].GUID, original[0].GUID)
			}
			judge.MustBeClean()
		})
	}
}

package maildir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/courier"
	"dovetail/formats/formatstest/dovecot"
)

// TestRealCourierReadsWhatWasWritten fills a store, changes it, and asks Courier what it sees. Then Courier changes it, and
// what it did is read.
func TestRealCourierReadsWhatWasWritten(t *testing.T) {
	courier.Need(t)
	root := filepath.Join(dovecot.TempDir(t), "Maildir")
	s := openStore(t, Options{Root: root, Lists: Courier5Lists, FS: dovecot.FS(), Create: true})
	for _, name := range []string{"INBOX", "Entwürfe/Später"} {
		if err := s.Create(t.Context(), name, formats.Status{UIDValidity: 4711, UIDNext: 3}); err != nil {
			t.Fatal(err)
		}
	}
	if err := formats.SetSubscriptions(t.Context(), s, []string{"INBOX", "Entwürfe/Später"}); err != nil {
		t.Fatal(err)
	}
	mails := []formats.Message{
		{UID: 5, Flags: formats.Seen | formats.Flagged, Keywords: []string{"$Forwarded", "blue"}, Detail: formats.Detail{POP3UIDL: "UID9-77", POP3Order: 3}},
		{UID: 7, Keywords: []string{"blue"}, Detail: formats.Detail{POP3UIDL: "UID8", POP3Order: 2}},
		{UID: 9, Detail: formats.Detail{POP3UIDL: "UID10-77", POP3Order: 1}},
		{UID: 11},
		{UID: 12},
	}
	for _, name := range []string{"INBOX", "Entwürfe/Später"} {
		b := openBox(t, s, name)
		update(t, b, func(tx formats.Tx) error {
			for _, m := range mails {
				if err := tx.Append(t.Context(), m, newBody("Subject: a\n\ntext\n")); err != nil {
					return err
				}
			}
			return tx.Raise(40, 0, 0)
		})
		update(t, b, func(tx formats.Tx) error {
			if err := tx.SetFlags(formats.RangesOf(9, 11), formats.FlagChange{Op: formats.ReplaceFlags, Flags: formats.Answered, Keywords: []string{"late"}}); err != nil {
				return err
			}
			return tx.Expunge(formats.RangesOf(12))
		})
	}
	j := courier.New(t, root)
	boxes := j.Boxes()
	for _, name := range []string{"INBOX", "INBOX.Entwürfe.Später"} {
		box := boxes[name]
		if box.Status.UIDValidity != 4711 || box.Status.UIDNext != 40 {
			t.Errorf("%s: status %+v", name, box.Status)
		}
		type row struct {
			uid      formats.UID
			flags    formats.Flags
			keywords string
		}
		var got []row
		for _, m := range box.Messages {
			got = append(got, row{m.UID, m.Flags & formats.SystemFlags, strings.Join(m.Keywords, " ")})
		}
		want := []row{{5, formats.Seen | formats.Flagged, "$Forwarded blue"}, {7, 0, "blue"}, {9, formats.Answered, "late"}, {11, formats.Answered, "late"}}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: Courier shows %+v\nwant %+v", name, got, want)
		}
	}
	if got := j.UIDLs(); !slices.Equal(got, []string{"UID10-77", "UID8", "UID9-77", "UID11-77"}) {
		t.Errorf("UIDLs %q", got)
	}
	if _, err := os.Stat(filepath.Join(root, ".Entwürfe.Später", courierPOP3Name)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a POP3 list in a folder that POP3 does not show: %v", err)
	}
	session := j.IMAP()
	session.Cmd("SELECT INBOX")
	session.Cmd(`UID STORE 7 +FLAGS (\Deleted green)`)
	session.Cmd("UID STORE 5 -FLAGS (blue)")
	session.Cmd("EXPUNGE")
	session.Close()
	j.MustBeClean()
	list, _ := messages(t, openBox(t, s, "INBOX"))
	if len(list) != 3 || list[0].UID != 5 || !slices.Equal(list[0].Keywords, []string{"$Forwarded"}) || list[2].POP3UIDL != "UID11-77" {
		t.Errorf("after Courier's session: %+v", list)
	}
}

// TestSizesAreCountedAsRealCourierDoes lets Courier make a POP3 list and compares it with ours.
func TestSizesAreCountedAsRealCourierDoes(t *testing.T) {
	courier.Need(t)
	for name, body := range map[string]string{
		"LF": "Subject: a\n\ntext\n", "CRLF": "Subject: a\r\n\r\ntext\r\n", "no last line end": "Subject: a\n\ntext", "8-bit header": "Subject: \xc3\xa4\n\ntext\n",
		"8-bit body": "Subject: a\n\n\xc3\xa4\n", "8-bit header, CRLF": "X: y\r\nSubject: \xc3\xa4\r\n\r\ntext", "header only": "Subject: a\n", "empty": "", "no header": "\nX: \xc3\xa4\n",
	} {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(dovecot.TempDir(t), "Maildir")
			writeFiles(t, root, map[string]string{"cur/1.a:2,": body, "new/.keep": "", "tmp/x": ""})
			dovecot.Own(t, root)
			courier.New(t, root).UIDLs()
			count := newCourierCount()
			count.Write([]byte(body))
			ours := courierPOP3{Name: []byte("1.a:2,"), Size: count.pop3Size(Courier5Lists), UTF8: count.utf8()}
			_, records, ok := strings.Cut(readList(t, filepath.Join(root, pop3)), "\n")
			line, _, whole := strings.Cut(records, "\n")
			theirs, ok2 := parseCourierPOP3(3, []byte(line))
			if !ok || !whole || !ok2 || theirs.Size != ours.Size || theirs.UTF8 != ours.UTF8 {
				t.Errorf("Courier writes %q, we count %d and %d", records, ours.Size, ours.UTF8)
			}
		})
	}
}

package sdbox_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/sdbox"
)

func TestPlantedLinksAndPipesAreReportedAndNeverFollowed(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	seed(t, root)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(orphan), 0o600); err != nil {
		t.Fatal(err)
	}
	boxes := root + "/mailboxes"
	mails := boxes + "/INBOX/dbox-Mails"
	for _, err := range []error{
		os.Remove(mails + "/u.1"), os.Symlink(secret, mails+"/u.1"),
		os.Remove(mails + "/u.3"), syscall.Mkfifo(mails+"/u.3", 0o600),
		os.Symlink(boxes+"/INBOX", boxes+"/Link"),
		os.Mkdir(boxes+"/Half", 0o700), os.Symlink(mails, boxes+"/Half/dbox-Mails"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, sdbox.Options{Root: root, FS: &disk.FS{ReadOnly: true}})
	infos, err := s.Mailboxes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	for _, i := range infos {
		if i.Err != nil {
			bad++
			if _, err := s.Open(ctx, i.Name); err == nil {
				t.Errorf("%s was opened", i.Name)
			}
		}
	}
	if len(infos) != 3 || bad != 2 {
		t.Errorf("list %+v", infos)
	}
	b := box(t, s, "INBOX")
	good := 0
	for m, err := range b.Messages(ctx, formats.Query{Want: formats.WantAll}) {
		if err == nil {
			good++
			continue
		}
		if e, ok := formats.Damaged(err); !ok || e.UID != m.UID || !errors.Is(err, disk.ErrNotRegular) || !strings.HasPrefix(e.Path, mails) {
			t.Errorf("uid %d: %v", m.UID, err)
		}
		if _, err := b.Body(ctx, &m); err == nil {
			t.Errorf("uid %d: a body", m.UID)
		}
	}
	if good != 1 {
		t.Errorf("%d messages are good", good)
	}
}

func TestAnIndexThatIsGoneIsSaidAndTheMessagesAreGiven(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	seed(t, root)
	files, err := filepath.Glob(root + "/mailboxes/INBOX/dbox-Mails/dovecot.index*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	b := box(t, open(t, sdbox.Options{Root: root}), "INBOX")
	lost := b.(formats.Salvaged).Lost()
	if lost == nil || !strings.Contains(lost.Error(), "3 messages") {
		t.Errorf("lost: %v", lost)
	}
	list := messages(t, b, formats.WantAll)
	if len(list) != 3 || list[2].UID != 3 || bodyOf(t, b, &list[2]) != "Subject: old 2\n\nx\n" {
		t.Errorf("messages %+v", list)
	}
	if st, err := b.Status(ctx); err != nil || st.UIDNext != 4 || st.Messages != 3 || st.UIDValidity != 0 {
		t.Errorf("status %+v, %v", st, err)
	}
	if _, err := b.Update(ctx, func(formats.Tx) error { return nil }); !errors.Is(err, formats.ErrCorrupt) {
		t.Errorf("update: %v", err)
	}
}

func TestMessageFilesThatTheIndexDoesNotListAreTold(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	seed(t, root)
	mails := root + "/mailboxes/INBOX/dbox-Mails"
	text, err := os.ReadFile(mails + "/u.3")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mails+"/u.7", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if lost := box(t, open(t, sdbox.Options{Root: root}), "INBOX").(formats.Salvaged).Lost(); lost != nil {
		t.Errorf("a store to write: %v", lost)
	}
	b := box(t, open(t, sdbox.Options{Root: root, FS: &disk.FS{ReadOnly: true}}), "INBOX")
	if lost := b.(formats.Salvaged).Lost(); lost == nil || !strings.HasSuffix(lost.Error(), "UIDs 7") {
		t.Errorf("lost: %v", lost)
	}
	if list := messages(t, b, 0); len(list) != 3 {
		t.Errorf("messages %+v", list)
	}
}

package maildir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"dovetail/formats"
)

const plantedList = "3 V1700000000 N4 G0123456789abcdef0123456789abcdef\n1 :1700000000.M1.h\n2 :1700000000.M2.h\n3 :1700000000.M3.h\n"

// planted is a Maildir with three messages and a sound list.
func planted(t *testing.T) (root string) {
	root = t.TempDir()
	writeFiles(t, root, map[string]string{
		"cur/1700000000.M1.h:2,S": "Subject: 1\n\none\n", "cur/1700000000.M2.h:2,": "Subject: 2\n\ntwo\n",
		"new/1700000000.M3.h": "Subject: 3\n\nthree\n", "tmp/x": "", "dovecot-uidlist": plantedList,
	})
	return root
}

// A list that has no UID left for a new message is at its end, and UIDVALIDITY with it.
func TestAListWithoutUIDsLeftBeginsAnew(t *testing.T) {
	root := planted(t)
	writeFiles(t, root, map[string]string{"dovecot-uidlist": "3 V1700000000 N4294967295 G0123456789abcdef0123456789abcdef\n" +
		"7 :1700000000.M2.h\n4294967294 :1700000000.gone\n"})
	b := openBox(t, openStore(t, Options{Root: root}), "INBOX")
	st, err := b.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.UIDValidity <= 1700000000 || st.UIDNext != 4 || st.Messages != 3 {
		t.Errorf("%+v", st)
	}
	list, bodies := messages(t, b)
	if len(list) != 3 || list[0].UID != 1 || bodies[0] != "Subject: 2\n\ntwo\n" {
		t.Errorf("the message that had a UID comes first: %v %q", list, bodies)
	}
	again := openBox(t, openStore(t, Options{Root: root}), "INBOX")
	if now, err := again.Status(t.Context()); err != nil || now != st {
		t.Errorf("another process sees %+v, %v, want %+v", now, err, st)
	}
}

func TestWhatIsNoFileInPlaceOfTheListIsPutAside(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"a FIFO":   func(path string) error { return unix.Mkfifo(path, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			root := planted(t)
			path := filepath.Join(root, "dovecot-uidlist")
			if err := errors.Join(os.Remove(path), plant(path)); err != nil {
				t.Fatal(err)
			}
			b := openBox(t, openStore(t, Options{Root: root}), "INBOX")
			if list, _ := messages(t, b); len(list) != 3 {
				t.Errorf("%v", list)
			}
			if aside, _ := filepath.Glob(path + ".void.*"); len(aside) != 1 {
				t.Errorf("put aside: %q", aside)
			}
			if st, err := os.Lstat(path); err != nil || !st.Mode().IsRegular() {
				t.Errorf("%v, %v", st, err)
			}
		})
	}
}

// It may be an administrator's: nothing is changed, and the error says what is wrong.
func TestALinkInPlaceOfTheListIsLeftAlone(t *testing.T) {
	root := planted(t)
	path := filepath.Join(root, "dovecot-uidlist")
	if err := errors.Join(os.Rename(path, path+".elsewhere"), os.Symlink(path+".elsewhere", path)); err != nil {
		t.Fatal(err)
	}
	b := openBox(t, openStore(t, Options{Root: root}), "INBOX")
	if st, err := b.Status(t.Context()); err == nil {
		t.Errorf("%+v", st)
	}
	if to, err := os.Readlink(path); to != path+".elsewhere" {
		t.Errorf("%q, %v", to, err)
	}
}

// The messages behind the link may be anybody's. Those that the list knows are not forgotten.
func TestACurThatIsALinkShowsNothing(t *testing.T) {
	root, outside := planted(t), t.TempDir()
	writeFiles(t, outside, map[string]string{"1700000000.secret:2,": "Subject: secret\n\n"})
	if err := errors.Join(os.Rename(filepath.Join(root, "cur"), filepath.Join(root, "was")), os.Symlink(outside, filepath.Join(root, "cur"))); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, Options{Root: root})
	b := openBox(t, s, "INBOX")
	list, _ := messages(t, b)
	if len(list) != 1 || list[0].UID != 3 {
		t.Errorf("%v", list)
	}
	_, err := b.Update(t.Context(), func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(3)) })
	if err == nil {
		t.Error("it was changed")
	}
	if err := s.Create(t.Context(), "INBOX", formats.Status{}); !errors.Is(err, formats.ErrExists) {
		t.Error(err)
	}
	if text, err := os.ReadFile(filepath.Join(root, "dovecot-uidlist")); string(text) != plantedList {
		t.Errorf("%q, %v", text, err)
	}
	if err := errors.Join(os.Remove(filepath.Join(root, "cur")), os.Rename(filepath.Join(root, "was"), filepath.Join(root, "cur"))); err != nil {
		t.Fatal(err)
	}
	if list, _ := messages(t, openBox(t, openStore(t, Options{Root: root}), "INBOX")); len(list) != 3 || list[2].UID != 3 {
		t.Errorf("when that was put right: %v", list)
	}
}

package maildir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
)

func bodyOf(text string) formats.Body {
	return formats.Incoming(strings.NewReader(text), int64(len(text)))
}

// receiving opens a new Maildir for messages that come in.
func receiving(t *testing.T, fsys *disk.FS) (formats.Store, formats.Intake, string) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "mail")
	s, err := Open(t.Context(), Options{Root: root, FS: fsys, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Create(t.Context(), "INBOX", formats.Status{}); err != nil {
		t.Fatal(err)
	}
	in, err := s.Receive(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return s, in, root
}

func TestWhatIsDeliveredGetsItsUIDWhenSomebodyLooks(t *testing.T) {
	s, in, root := receiving(t, nil)
	for range 3 {
		d, err := in.Deliver(t.Context(), bodyOf("Subject: x\n\nbody\n"))
		if err != nil {
			t.Fatal(err)
		}
		d.Close()
	}
	if names, _ := filepath.Glob(root + "/new/*,S=17,W=20"); len(names) != 3 {
		t.Errorf("in new/: %q", names)
	}
	if names, _ := filepath.Glob(root + "/tmp/*"); len(names) != 0 {
		t.Errorf("in tmp/: %q", names)
	}
	for range 2 { // it stays so
		box, err := s.Open(t.Context(), "INBOX")
		if err != nil {
			t.Fatal(err)
		}
		var uids formats.Ranges
		for m, err := range box.Messages(t.Context(), formats.Query{}) {
			if err != nil || m.Flags != formats.Recent {
				t.Errorf("%+v, %v", m, err)
			}
			uids.Add(m.UID)
		}
		if uids.String() != "1:3" {
			t.Errorf("UIDs %s", uids)
		}
		box.Close()
	}
}

func TestAMessageToManyIsOneFile(t *testing.T) {
	_, in, root := receiving(t, nil)
	_, other, root2 := receiving(t, nil)
	d, err := in.Deliver(t.Context(), bodyOf("one\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := other.DeliverAgain(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	names, _ := filepath.Glob(root + "/new/*")
	names2, _ := filepath.Glob(root2 + "/new/*")
	if len(names) != 1 || len(names2) != 1 {
		t.Fatalf("%q, %q", names, names2)
	}
	a, _ := os.Stat(names[0])
	b, _ := os.Stat(names2[0])
	if !os.SameFile(a, b) || filepath.Base(names[0]) == filepath.Base(names2[0]) {
		t.Errorf("%s and %s", names[0], names2[0])
	}
	for _, name := range append(names, names2...) {
		os.Remove(name)
	}
	if err := other.DeliverAgain(t.Context(), d); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a file that is gone: %v", err)
	}
	if names, _ := filepath.Glob(root2 + "/*/*[0-9]*"); len(names) != 0 {
		t.Errorf("left: %q", names)
	}
}

func TestADeliveryThatFailsLeavesNothing(t *testing.T) {
	failed := errors.New("broken disk")
	for at := 1; ; at++ {
		n, on := 0, false
		_, in, root := receiving(t, &disk.FS{Fault: func(disk.Op, string) error {
			if on {
				if n++; n == at {
					return failed
				}
			}
			return nil
		}})
		on = true
		d, err := in.Deliver(t.Context(), bodyOf("Subject: x\n\nbody\n"))
		if err == nil {
			d.Close()
			if at < 5 { // create, write, sync, rename, sync of the folder
				t.Errorf("%d changes fail in vain", at)
			}
			return
		}
		if names, _ := filepath.Glob(root + "/[nt]*/*"); len(names) != 0 || !errors.Is(err, failed) {
			t.Errorf("change %d failed with %v and left %q", at, err, names)
		}
	}
}

func TestWithCouriersListsADeliveryIsListed(t *testing.T) {
	s, err := Open(t.Context(), Options{Root: filepath.Join(t.TempDir(), "mail"), Lists: Courier5Lists, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Receive(t.Context(), "INBOX"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}

// TestWhatComesWhileTheListIsWrittenIsShownWithItsUIDOrNot: a UID that a client has seen belongs to that message for ever,
// and a message without a record has none: another one may be listed first.
func TestWhatComesWhileTheListIsWrittenIsShownWithItsUIDOrNot(t *testing.T) {
	var root string
	plant := 0
	fsys := &disk.FS{Fault: func(op disk.Op, path string) error {
		if plant > 0 && strings.HasSuffix(path, uidlistName+".lock") && op == disk.OpRemove {
			plant--
			name := filepath.Join(root, "new", "170000000"+string(rune('0'+plant))+".M1P1.late")
			return os.WriteFile(name, []byte("Subject: late\n\n"+strings.Repeat("long\n", 99)), 0o600)
		}
		return nil
	}}
	s, in, root2 := receiving(t, fsys)
	root = root2
	box, err := s.Open(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	names := map[formats.UID]string{}
	look := func() int {
		t.Helper()
		v, err := box.(formats.Viewer).View(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		records := make([]formats.Record, v.Len())
		v.Records(records, 0, func([]string) uint32 { return 0 })
		for _, r := range records {
			name, err := box.(formats.FileNamer).FileName(t.Context(), r.UID)
			if err != nil || names[r.UID] != "" && names[r.UID] != name {
				t.Errorf("UID %d was %s and is %s, %v", r.UID, names[r.UID], name, err)
			}
			names[r.UID] = name
		}
		if st := v.Status(); int(st.Messages) != len(records) || len(records) > 0 && st.UIDNext != records[len(records)-1].UID+1 {
			t.Errorf("%d records with status %+v", len(records), st)
		}
		return len(records)
	}
	look()
	d, err := in.Deliver(t.Context(), bodyOf("Subject: x\n\nbody\n"))
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	plant = 1
	if n := look(); n != 1 {
		t.Errorf("%d messages are shown, want the one with a record", n)
	}
	_, err = box.Update(t.Context(), func(tx formats.Tx) error {
		return tx.Append(t.Context(), formats.Message{}, bodyOf("Subject: ours\n\n"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := look(); n != 3 || plant != 0 {
		t.Errorf("%d messages are shown at last", n)
	}
}

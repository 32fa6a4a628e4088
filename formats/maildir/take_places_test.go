package maildir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
)

func TestWhatTakeWroteMayBeReplacedWhileNobodyTouchedIt(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, courierTree)
	dovecot, courier := bothSides(t, root, "")
	if state, err := dovecot.ListsState(); state != "" || err != nil {
		t.Errorf("state without lists is %q, %v", state, err)
	}
	take(t, dovecot, courier, TakeOptions{})
	state, err := dovecot.ListsState()
	if err != nil || state == "" {
		t.Fatal(state, err)
	}
	writeFiles(t, root, map[string]string{uiddb: "1 142307211 60\n7 100.b.host,S=3\n12 100.a.host\n50 50.moved.host\n"})
	if _, err := dovecot.Take(t.Context(), courier, TakeOptions{If: "another"}); !errors.Is(err, ErrDiffers) {
		t.Errorf("a state that is not there any more: %v", err)
	}
	got := take(t, dovecot, courier, TakeOptions{If: state})
	if !got.Untouched || !got.Done || got.State != TakeDiffers {
		t.Errorf("what nobody touched: %+v", got)
	}
	list := readList(t, filepath.Join(root, uidlistName))
	writeFiles(t, root, map[string]string{uidlistName: list + "61 W99 :61.new\n"})
	writeFiles(t, root, map[string]string{uiddb: "1 142307211 70\n7 100.b.host,S=3\n"})
	if got, err := dovecot.Take(t.Context(), courier, TakeOptions{}); !errors.Is(err, ErrDiffers) || got.Untouched {
		t.Errorf("what somebody touched is replaced: %+v, %v", got, err)
	}
}

func TestARunningCourierIsNoticed(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, courierTree)
	writeFiles(t, root, map[string]string{"tmp/courier.lock": "1:another.host.example"})
	dovecot, courier := bothSides(t, root, "")
	if _, err := dovecot.Take(t.Context(), courier, TakeOptions{Wait: 1}); !errors.Is(err, ErrCourierRuns) {
		t.Errorf("took a folder under Courier's lock: %v", err)
	}
	writeFiles(t, root, map[string]string{"tmp/courier.lock": fmt.Sprintf("999999999:%s", hostname(t))})
	take(t, dovecot, courier, TakeOptions{})
	if left, _ := filepath.Glob(filepath.Join(root, "*/*.lock")); len(left) != 0 {
		t.Errorf("locks are left: %q", left)
	}
}

func hostname(t *testing.T) string {
	name, err := os.Hostname()
	if err != nil {
		t.Skip("this host has no name")
	}
	return name
}

func TestDetectCourier(t *testing.T) {
	for _, c := range []struct {
		name  string
		tree  map[string]string
		lists Lists
		sure  bool
		why   string
	}{
		{"ASCII alone differs in nothing", map[string]string{".Sent/cur/x": ""}, Courier4Lists, true, "nothing"},
		{"bytes above 127 in a folder", map[string]string{".Entw\u00fcrfe/cur/x": "", ".&AMQ-rger/cur/x": ""}, Courier5Lists, true, "127"},
		{"bytes above 127 in the subscriptions", map[string]string{courierSubscribedName: "INBOX.\u00fc\n"}, Courier5Lists, true, "127"},
		{"a POP3 list of version 3", map[string]string{pop3: "/3 1 2\n"}, Courier5Lists, true, "version 3"},
		{"a POP3 list of version 1", map[string]string{pop3: "/1 1\n", ".R&D/cur/x": ""}, Courier4Lists, true, "version 1"},
		{"modified UTF-7", map[string]string{".&AMQ-rger/cur/x": ""}, Courier4Lists, true, "UTF-7"},
		{"a lone &", map[string]string{".R&D/cur/x": ""}, Courier4Lists, false, "R&D"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			writeFiles(t, root, c.tree)
			d, err := (&disk.FS{ReadOnly: true}).OpenRoot(root)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			lists, sure, why, err := DetectCourier(t.Context(), d)
			if err != nil || lists != c.lists || sure != c.sure || !strings.Contains(why, c.why) {
				t.Errorf("%v, sure %v, %q, %v", lists, sure, why, err)
			}
		})
	}
}

func TestFoldersAreOpenedByTheirPlace(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, map[string]string{"cur/x": "", ".A.B/cur/x": "", ".Q&A/cur/x": "", ".file": "", ".none/x": ""})
	s := openStore(t, Options{Root: root, FS: &disk.FS{ReadOnly: true}})
	folders, err := s.Folders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range folders {
		b, err := s.OpenFolder(t.Context(), f.Path)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, f.Path+"="+b.Name())
		b.Close()
	}
	if !slices.Equal(got, []string{"=INBOX", ".A.B=A/B", ".Q&A=Q&A"}) {
		t.Errorf("folders %q", got)
	}
	if _, err := s.OpenFolder(t.Context(), ".gone"); !errors.Is(err, formats.ErrNoMailbox) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

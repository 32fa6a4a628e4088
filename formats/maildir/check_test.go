package maildir

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/formatstest/samples"
)

var _ formats.Checker = (*Mailbox)(nil)

func problems(t *testing.T, b formats.Mailbox) (out []formats.Problem) {
	t.Helper()
	for p, err := range b.(formats.Checker).Check(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// options reads the location of a sample.
func options(location string) (o Options, ok bool) {
	location, ok = strings.CutPrefix(location, "maildir:")
	parts := strings.Split(location, ":")
	o.Root = parts[0]
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "LAYOUT":
			o.Layout = value
		case "INDEX":
			o.Index = value
		case "CONTROL":
			o.Control = value
		case "INBOX":
			o.Inbox = value
		case "UTF-8":
			o.UTF8 = true
		}
	}
	return o, ok
}

func TestBrokenSamplesAreFoundAndMended(t *testing.T) {
	for _, name := range []string{"broken-maildir-sizes", "broken-maildir-twice", "broken-uidlist-duplicate",
		"broken-uidlist-unordered", "broken-uidlist-huge", "broken-uidlist-binary", "broken-uidlist-header"} {
		t.Run(name, func(t *testing.T) {
			dir, e := samples.Load(t, name)
			o, _ := options(e.Location)
			o.FS = dovecot.FS()
			before := treeSum(t, dir)
			b := openBox(t, openStore(t, o), "INBOX")
			if p := problems(t, b); len(p) == 0 {
				t.Fatal("nothing found")
			}
			refuse := func(formats.Problem) bool { return false }
			if err := b.(formats.Checker).Repair(t.Context(), refuse); err != nil || treeSum(t, dir) != before {
				t.Fatalf("a repair to which nobody agrees changed something: %v", err)
			}
			o.FS = &disk.FS{ReadOnly: true}
			_, want := messages(t, openBox(t, openStore(t, o), "INBOX"))
			if err := b.(formats.Checker).Repair(t.Context(), func(formats.Problem) bool { return true }); err != nil {
				t.Fatal(err)
			}
			if p := problems(t, b); len(p) != 0 {
				t.Errorf("after the repair: %v", p)
			}
			list, got := messages(t, b)
			if len(got) != len(want) {
				t.Errorf("%d messages became %d", len(want), len(got))
			}
			if name == "broken-maildir-sizes" || name == "broken-uidlist-unordered" {
				for i, w := range e.Mailboxes[0].Messages {
					if list[i].UID != w.UID {
						t.Errorf("UID %d became %d", w.UID, list[i].UID)
					}
				}
			}
			j := dovecot.New(t, e.Location, e.Settings...)
			if theirs := j.Fetch("INBOX"); len(theirs) != len(want) {
				t.Errorf("Dovecot shows %d messages of %d", len(theirs), len(want))
			}
			j.MustBeClean()
		})
	}
}

func TestPlantedFilesAreReportedAndStopNothing(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, map[string]string{"cur/1.a:2,S": "a\n", "cur/4.d:2,": "d\n", "cur/5.e\nx:2,": "e\n", ".Sub/cur/1.x": "x\n"})
	for link, target := range map[string]string{"cur/2.b:2,": "/etc/passwd", ".Link": "/etc", "cur/6.f": "../cur/1.a:2,S"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(root, "cur/3.c:2,"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, Options{Root: root, FS: &disk.FS{ReadOnly: true}})
	list, err := s.Mailboxes(t.Context())
	if err != nil || len(list) != 3 || list[1].Name != "Link" || list[1].Err == nil || list[2].Name != "Sub" {
		t.Errorf("mailboxes %+v, %v", list, err)
	}
	b := openBox(t, s, "INBOX")
	var good, bad []formats.UID
	for m, err := range b.Messages(t.Context(), formats.Query{Want: formats.WantAll}) {
		if e, ok := formats.Damaged(err); ok {
			bad = append(bad, e.UID)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		good = append(good, m.UID)
	}
	if len(good) != 2 || len(bad) != 3 {
		t.Errorf("read %v, damaged %v", good, bad)
	}
	what := ""
	for _, p := range problems(t, b) {
		what += p.What + "\n"
	}
	if strings.Count(what, "not a regular file") != 3 || !strings.Contains(what, "line end in a file name") {
		t.Errorf("problems: %s", what)
	}
}

func TestWhatASourceHoldsBesideMessagesIsTold(t *testing.T) {
	root := filepath.Join(t.TempDir(), "mail")
	writeFiles(t, root, map[string]string{
		"cur/1.M1P1.h:2,Sa":        "Subject: good\n\nx\n",
		"cur/2.M1\nP1.h:2,S":       "Subject: line feed\n\nx\n",
		"cur/sub/3.M1P1.h:2,S":     "Subject: in a folder\n\nx\n",
		"new/.hidden":              "no message",
		"elsewhere/keywords":       "0 stolen\n",
		"cur/.nfs0000000000000001": "no message",
	})
	if err := os.Symlink("elsewhere/keywords", root+"/"+keywordsName); err != nil {
		t.Fatal(err)
	}
	b := openBox(t, openStore(t, Options{Root: root, FS: &disk.FS{ReadOnly: true}}), "INBOX")
	list, bodies := messages(t, b)
	if len(list) != 1 || len(list[0].Keywords) != 0 || bodies[0] != "Subject: good\n\nx\n" {
		t.Errorf("messages %+v %q", list, bodies)
	}
	lost := b.(formats.Salvaged).Lost()
	if lost == nil {
		t.Fatal("nothing is lost")
	}
	for _, want := range []string{"2 entries are left out", `cur/"2.M1\nP1.h:2,S" (a line end in its name)`, `cur/"sub" (a folder)`, keywordsName} {
		if !strings.Contains(lost.Error(), want) {
			t.Errorf("%q is missing in: %v", want, lost)
		}
	}
}

func TestAnInboxThatCannotBeLookedIntoIsListed(t *testing.T) {
	root := filepath.Join(t.TempDir(), "mail")
	writeFiles(t, root, map[string]string{"elsewhere/1.M1P1.h:2,S": "Subject: x\n\nx\n", "new/.keep": ""})
	if err := os.Symlink("elsewhere", root+"/cur"); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, Options{Root: root, FS: &disk.FS{ReadOnly: true}})
	list, err := s.Mailboxes(t.Context())
	if err != nil || len(list) != 1 || list[0].Name != inboxName || list[0].Err == nil {
		t.Errorf("list %+v, %v", list, err)
	}
}

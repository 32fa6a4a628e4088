package sdbox_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/sdbox"
)

func problems(t *testing.T, b formats.Mailbox) (list []string) {
	t.Helper()
	for p, err := range b.(formats.Checker).Check(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Mailbox != "INBOX" || p.What == "" || p.Cost == "" {
			t.Errorf("a problem says too little: %+v", p)
		}
		list = append(list, fmt.Sprintf("%d %s: %s [%v]", p.UID, filepath.Base(p.Path), p.What, p.Mend != ""))
	}
	return list
}

func edit(path string, change func(string) string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(change(string(b))), 0o600)
}

// orphan is a message file as another program could leave it.
const orphan = "2 M1e C1\n\x01\x02N          0000000000000014\nSubject: orphan\n\nhi\n\n\x01\x03\nR1\nV17\nGorphan\n\n"

func TestCheckNamesDamageAndRepairMendsIt(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(dir string) error
		want   string // regular expression of the one problem
		left   int    // messages after the repair
		clean  bool   // whether a repaired mailbox has no problems
	}{
		{"nothing", func(string) error { return nil }, "", 3, true},
		{"a message file is gone", func(dir string) error { return os.Remove(dir + "/u.2") }, `^2 u.2: the message file is gone \[true\]`, 2, true},
		{"a message file is a link", func(dir string) error {
			return os.Symlink("/etc/passwd", dir+"/u.2.new")
		}, `^0 u.2.new: .* not the name of a message in use; it is damaged: .*not a regular file \[false\]`, 3, false},
		{"a file header is broken", func(dir string) error {
			return edit(dir+"/u.2", func(s string) string { return "9" + s[1:] })
		}, `^2 u.2: corrupt: dbox version "9" \[true\]`, 2, false},
		{"a message is cut", func(dir string) error { return os.Truncate(dir+"/u.2", 50) }, `^2 u.2: corrupt: message of 18 bytes in a file`, 2, false},
		{"metadata is cut", func(dir string) error { return os.Truncate(dir+"/u.2", 70) }, `^2 u.2: corrupt: metadata: file ends .*\[true\]`, 3, true},
		{"a virtual size is wrong", func(dir string) error {
			return edit(dir+"/u.2", func(s string) string { return regexp.MustCompile(`(?m)^V.*$`).ReplaceAllString(s, "V5") })
		}, `^2 u.2: the virtual size is 21, the metadata says 5 \[true\]`, 3, true},
		{"a message has no record", func(dir string) error { return os.WriteFile(dir+"/u.99", []byte(orphan), 0o600) },
			`^0 u.99: no record points to this message \[true\]`, 4, true},
		{"a message was set aside", func(dir string) error { return os.WriteFile(dir+"/u.2.orphan.123", []byte(orphan), 0o600) },
			`^0 u.2.orphan.123: .* \[true\]`, 4, true},
		{"the index is gone", func(dir string) error {
			files, _ := filepath.Glob(dir + "/dovecot.index*")
			for _, f := range files {
				if err := os.Remove(f); err != nil {
					return err
				}
			}
			return nil
		}, `^0 dbox-Mails: .*flags, keywords, UIDVALIDITY and mailbox GUID of 3 messages are lost.*\[true\]`, 3, true},
		{"the log is garbage and there is no snapshot", func(dir string) error {
			if err := os.Remove(dir + "/dovecot.index"); err != nil {
				return err
			}
			return edit(dir+"/dovecot.index.log", func(s string) string { return strings.Repeat("x", len(s)) })
		}, `flags, keywords, UIDVALIDITY and mailbox GUID of 3 messages are lost`, 3, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := filepath.Join(dovecot.TempDir(t), "mail")
			seed(t, root).Close()
			if err := c.damage(root + "/mailboxes/INBOX/dbox-Mails"); err != nil {
				t.Fatal(err)
			}
			dovecot.Own(t, root+"/mailboxes")
			s, err := sdbox.Open(ctx, sdbox.Options{Root: root, FS: dovecot.FS()})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			found := problems(t, box(t, s, "INBOX"))
			if c.want == "" && len(found) != 0 || c.want != "" && (len(found) == 0 || !regexp.MustCompile(c.want).MatchString(found[len(found)-1])) {
				t.Errorf("found %q, want %q", found, c.want)
			}
			refuse := func(formats.Problem) bool { return false }
			if err := box(t, s, "INBOX").(formats.Checker).Repair(ctx, refuse); err != nil {
				t.Error(err)
			}
			if again := problems(t, box(t, s, "INBOX")); strings.Join(again, "\n") != strings.Join(found, "\n") {
				t.Errorf("a refused repair changed something: %q", again)
			}
			agree := func(formats.Problem) bool { return true }
			if err := box(t, s, "INBOX").(formats.Checker).Repair(ctx, agree); err != nil {
				t.Error(err)
			}
			b := box(t, s, "INBOX")
			if again := problems(t, b); c.clean && len(again) != 0 {
				t.Errorf("after the repair: %q", again)
			}
			if list := messages(t, b, formats.WantAll); len(list) != c.left {
				t.Errorf("%d messages after the repair, want %d", len(list), c.left)
			}
			j := dovecot.New(t, "sdbox:"+root)
			if got := j.Fetch("INBOX"); len(got) != c.left {
				t.Errorf("Dovecot shows %d messages, want %d", len(got), c.left)
			}
			j.MustBeClean()
		})
	}
}

func TestAReadOnlyStoreIsNotRepaired(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	seed(t, root)
	s := open(t, sdbox.Options{Root: root, FS: &disk.FS{ReadOnly: true}})
	if err := box(t, s, "INBOX").(formats.Checker).Repair(ctx, nil); err == nil {
		t.Error("repaired")
	}
}

package sdbox_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
)

func TestAMessageWhoseFileIsHurtIsGivenAsFarAsItIsThere(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(file string) error
		body  string // "": the message is expunged
		kept  bool   // what there was of the file is
	}{
		{"the file is gone", os.Remove, "", false},
		{"the file is empty", func(file string) error { return os.Truncate(file, 0) }, "", true},
		{"the file is garbage", garbage, "", true},
		{"the header of the message is garbage", func(file string) error {
			return edit(file, func(s string) string { return strings.Replace(s, "\x01\x02N", "xxx", 1) })
		}, "", true},
		{"the text is cut", func(file string) error {
			return edit(file, func(s string) string { return s[:strings.Index(s, "\n\nx\n")] })
		}, "Subject: old 2", false},
		{"the metadata is cut", func(file string) error {
			return edit(file, func(s string) string { return s[:strings.Index(s, "\nV")] })
		}, "Subject: old 2\n\nx\n", false},
		{"the metadata is gone", func(file string) error {
			return edit(file, func(s string) string { return s[:strings.Index(s, "\n\x01\x03")] })
		}, "Subject: old 2\n\nx\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := filepath.Join(dovecot.TempDir(t), "mail")
			flagged(t, root)
			var said []string
			s := mending(t, root, &said)
			b := box(t, s, "INBOX")
			list := messages(t, b, 0)
			file := root + "/mailboxes/INBOX/dbox-Mails/u.3"
			if err := c.spoil(file); err != nil {
				t.Fatal(err)
			}
			m := list[1]
			body, err := b.Body(ctx, &m)
			if err == nil {
				body.Close()
			}
			if len(said) != 1 || !strings.Contains(said[0], "u.3") {
				t.Errorf("said %q", said)
			}
			want := []string{`1=\Flagged k1`, `3=\Flagged k3`}
			if c.body == "" {
				want = want[:1]
				if !errors.Is(err, formats.ErrNoMessage) {
					t.Errorf("the message: %v", err)
				}
				if _, err := os.Stat(file + ".broken"); c.kept != (err == nil) {
					t.Errorf("the file: %v", err)
				}
			} else if got := bodyOf(t, b, &m); got != c.body {
				t.Errorf("the text is %q", got)
			}
			if got := bodyOf(t, b, &list[0]); got != "Subject: old 0\n\nx\n" {
				t.Errorf("another message is %q", got)
			}
			if got := flagsOf(t, b); !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
			if deliver(t, b) != 4 {
				t.Error("the UID of the next message is not 4")
			}
			theirs := dovecot.New(t, "sdbox:"+root)
			if got := theirs.Status("INBOX"); int(got.Messages) != len(want)+1 {
				t.Errorf("Dovecot shows %+v", got)
			}
			theirs.MustBeClean()
		})
	}
}

// TestMessagesOnADiskThatIsNotThereStay: their records do, and an index that is made anew has them, too.
func TestMessagesOnADiskThatIsNotThereStay(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	flagged(t, root)
	theirs := dovecot.New(t, "sdbox:"+root+":ALT="+root+"-alt")
	theirs.Doveadm("altmove", "mailbox", "INBOX", "uid", "3")
	var said []string
	s := mending(t, root, &said)
	b := box(t, s, "INBOX")
	if list := messages(t, b, 0); bodyOf(t, b, &list[1]) != "Subject: old 2\n\nx\n" {
		t.Error("a message in the alt root is not read")
	}
	if err := os.Rename(root+"-alt/mailboxes", root+"-alt/away"); err != nil {
		t.Fatal(err)
	}
	b = box(t, mending(t, root, &said), "INBOX")
	list := messages(t, b, 0)
	if _, err := b.Body(ctx, &list[1]); err == nil || errors.Is(err, formats.ErrNoMessage) {
		t.Errorf("its text: %v", err)
	}
	if err := removeIndex(root+"/mailboxes/INBOX/dbox-Mails", ".log"); err != nil {
		t.Fatal(err)
	}
	want := []string{`1=\Flagged k1`, `3=\Flagged k3`}
	if got := flagsOf(t, b); !slices.Equal(got, want) || len(said) != 1 {
		t.Errorf("%q, want %q; said %q", got, want, said)
	}
}

package mbox_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/mbox"
)

const fromLine = "From a@b Thu Nov  9 22:33:52 2001 +0000\n"

func TestCheckAndRepair(t *testing.T) {
	for _, tc := range []struct {
		name, file, problem string
		mended              string // what is still found afterwards; "" nothing
	}{
		{"a sound file", fromLine + "X-IMAPbase: 7 0000000002\nX-UID: 2\nStatus: O\nContent-Length: 2\n\nx\n\n", "", ""},
		{"UIDs in disorder", fromLine + "X-IMAPbase: 7 0000000009\nX-UID: 5\n\nx\n\n" + fromLine + "X-UID: 3\n\ny\n\n", "X-UID 3 is not above", ""},
		{"a wrong Content-Length", fromLine + "X-IMAPbase: 7 0000000009\nX-UID: 5\nContent-Length: 1\n\nxyz\n\n" + fromLine + "X-UID: 6\n\ny\n\n", "Content-Length is 1", ""},
		{"a torn end", fromLine + "X-IMAPbase: 7 0000000009\nX-UID: 5\nContent-Length: 100\n\nxyz", "the file ends before", "the file ends before"},
		{"a keyword that is not listed", fromLine + "X-IMAPbase: 7 0000000009 a\nX-UID: 5\nX-Keywords: a b\n\nx\n\n", "not all listed", "not all listed"},
		{"text that looks like a From_ line", fromLine + "X-IMAPbase: 7 0000000009\nX-UID: 5\nContent-Length: 42\n\n\n" + fromLine + "\n\n", "looks like a From_ line", "looks like a From_ line"},
		{"something before the first From_ line", "\xef\xbb\xbf" + fromLine + "X-IMAPbase: 7 0000000009\nX-UID: 5\n\nx\n\n", "3 bytes before", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.WriteFile(root+"/box", []byte(tc.file), 0o600); err != nil {
				t.Fatal(err)
			}
			b := mailbox(t, open(t, mbox.Options{Root: root, FS: &disk.FS{}, Zone: time.UTC}), "box").(*mbox.Mailbox)
			before := list(t, b)
			found := problems(t, b)
			if found == "" != (tc.problem == "") || !strings.Contains(found, tc.problem) {
				t.Errorf("found %q, want %q", found, tc.problem)
			}
			if err := b.Repair(t.Context(), func(formats.Problem) bool { return true }); err != nil {
				t.Fatal(err)
			}
			if found := problems(t, b); found == "" != (tc.mended == "") || !strings.Contains(found, tc.mended) {
				t.Errorf("after the repair: found %q, want %q", found, tc.mended)
			}
			after := list(t, b)
			if len(after) != len(before) {
				t.Fatalf("%d messages, before the repair %d", len(after), len(before))
			}
			for i := range after {
				if after[i].text != before[i].text || after[i].UID != before[i].UID || after[i].GUID != before[i].GUID {
					t.Errorf("%+v, before the repair %+v", after[i], before[i])
				}
			}
		})
	}
}

func problems(t *testing.T, b *mbox.Mailbox) string {
	t.Helper()
	var all []string
	for p, err := range b.Check(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p.String())
	}
	return strings.Join(all, "\n")
}

// TestFlagsThatDovecotHasNotWrittenGiveWay changes flags of messages whose last change is in Dovecot's index alone.
func TestFlagsThatDovecotHasNotWrittenGiveWay(t *testing.T) {
	root := dovecot.TempDir(t)
	j := dovecot.New(t, "mbox:"+root)
	s := open(t, mbox.Options{Root: root, Zone: time.UTC})
	b := create(t, s, "INBOX", formats.Status{UIDValidity: 5})
	update(t, b, appendAll(numbered(plain()[:4])))
	sess := j.IMAP()
	sess.Select("INBOX")
	sess.Cmd(`STORE 1:* FLAGS (\Flagged theirs)`)
	read(t, b, j)
	update(t, b, func(tx formats.Tx) error {
		return tx.SetFlags(formats.Ranges{{First: 1, Last: 999}}, formats.FlagChange{Op: formats.ReplaceFlags, Flags: formats.Draft, Keywords: []string{"ours"}})
	})
	sess.Cmd("NOOP")
	read(t, b, j)
	for _, m := range list(t, b) {
		if m.Flags&formats.SystemFlags != formats.Draft || !formats.SameKeywords(m.Keywords, []string{"ours"}) {
			t.Errorf("uid %d: %v %q", m.UID, m.Flags, m.Keywords)
		}
	}
	sess.Close()
	read(t, b, j)
	j.MustBeClean()
}

func TestNamesOfOursAreNoMailboxes(t *testing.T) {
	root := dovecot.TempDir(t)
	j := dovecot.New(t, "mbox:"+root)
	s := open(t, mbox.Options{Root: root})
	create(t, s, "a/b", formats.Status{})
	if err := s.WriteNote(t.Context(), "state", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := formats.SetSubscriptions(t.Context(), s, []string{"a/b", "gone/ü"}); err != nil {
		t.Fatal(err)
	}
	for _, e := range j.List() {
		if e.Name != "INBOX" && e.Name != "a" && e.Name != "a/b" {
			t.Errorf("Dovecot lists %+v", e)
		}
	}
	if got := strings.Join(j.Lsub(), " "); got != "a/b gone/ü" {
		t.Errorf("Dovecot has subscriptions %q", got)
	}
	j.MustBeClean()
}

func TestARewrittenFileKeepsItsMode(t *testing.T) {
	root := t.TempDir()
	s := open(t, mbox.Options{Root: root, FS: &disk.FS{}})
	b := create(t, s, "box", formats.Status{UIDValidity: 5})
	if err := os.Chmod(root+"/box", 0o660); err != nil {
		t.Fatal(err)
	}
	update(t, b, appendAll(numbered(odd)))
	update(t, b, func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(3)) })
	st, err := os.Stat(root + "/box")
	if err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

package sdbox_test

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
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/index"
	"dovetail/formats/sdbox"
)

// mending is a store that mends itself; said gets what it tells.
func mending(t *testing.T, root string, said *[]string) *sdbox.Store {
	t.Helper()
	return open(t, sdbox.Options{Root: root, FS: dovecot.FS(), Mended: func(text string) { *said = append(*said, text) }})
}

// removeIndex removes all files of the index whose names end so, or all of them.
func removeIndex(dir string, ends ...string) error {
	names, err := filepath.Glob(dir + "/dovecot.index*")
	if err != nil {
		return err
	}
	for _, name := range names {
		if len(ends) == 0 || slices.Contains(ends, strings.TrimPrefix(filepath.Base(name), "dovecot.index")) {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func cutTo(path string, part int64) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, st.Size()*part/100)
}

func garbage(path string) error {
	return edit(path, func(s string) string { return strings.Repeat("x", len(s)) })
}

// spoiled are ways to lose an index. lost says what a store that is opened behind that can still know: 0 all, 1 some of
// the flags, 2 nothing but the files.
var spoiled = []struct {
	name  string
	spoil func(dir string) error
	lost  int
}{
	{"all of it is gone", func(dir string) error { return removeIndex(dir) }, 2},
	{"the log is gone", func(dir string) error { return removeIndex(dir, ".log") }, 1},
	{"the snapshot is gone", func(dir string) error { return removeIndex(dir, "") }, 0},
	{"the log is empty", func(dir string) error { return os.Truncate(dir+"/dovecot.index.log", 0) }, 1},
	{"the log lost some bytes", func(dir string) error { return cutTo(dir+"/dovecot.index.log", 99) }, 1},
	{"the log is cut in the middle", func(dir string) error { return cutTo(dir+"/dovecot.index.log", 50) }, 1},
	{"the log is garbage", func(dir string) error { return garbage(dir + "/dovecot.index.log") }, 1},
	{"the header of the log is garbage", func(dir string) error {
		return edit(dir+"/dovecot.index.log", func(s string) string { return strings.Repeat("x", 40) + s[40:] })
	}, 0},
	{"the log is marked as corrupted", func(dir string) error {
		return edit(dir+"/dovecot.index.log", func(s string) string { return s[:4] + "\x00\x00\x00\x00" + s[8:] })
	}, 0},
	{"snapshot and log are garbage", func(dir string) error {
		return errors.Join(garbage(dir+"/dovecot.index"), garbage(dir+"/dovecot.index.log"))
	}, 2},
	{"the snapshot is cut and the log gone", func(dir string) error {
		return errors.Join(cutTo(dir+"/dovecot.index", 60), removeIndex(dir, ".log"))
	}, 2},
}

// flagged is an INBOX with flags, keywords and a gap in its UIDs.
func flagged(t *testing.T, root string) {
	s := seed(t, root)
	defer s.Close()
	b := box(t, s, "INBOX")
	for uid := range formats.UID(3) {
		update(t, b, func(tx formats.Tx) error {
			return tx.SetFlags(formats.RangesOf(uid+1), formats.FlagChange{Op: formats.AddFlags, Flags: formats.Flagged, Keywords: []string{fmt.Sprintf("k%d", uid+1)}})
		})
	}
	update(t, b, func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(2)) })
	dovecot.Own(t, root)
}

// flagsOf gives the messages as UID=flags.
func flagsOf(t *testing.T, b formats.Mailbox) (list []string) {
	t.Helper()
	for _, m := range messages(t, b, 0) {
		list = append(list, strings.TrimSpace(fmt.Sprintf("%d=%v %s", m.UID, m.Flags&formats.SystemFlags, strings.Join(m.Keywords, " "))))
	}
	return list
}

// deliver adds a message and gives its UID.
func deliver(t *testing.T, b formats.Mailbox) formats.UID {
	t.Helper()
	done := update(t, b, func(tx formats.Tx) error { return tx.Append(ctx, formats.Message{}, text("Subject: new\n\nx\n")) })
	if done.UIDs.Len() != 1 {
		t.Fatalf("added %v", done.UIDs)
	}
	return done.UIDs[0].First
}

func TestALostIndexIsMadeAnewByWhoOpensIt(t *testing.T) {
	for _, c := range spoiled {
		t.Run(c.name, func(t *testing.T) {
			root := filepath.Join(dovecot.TempDir(t), "mail")
			flagged(t, root)
			if err := c.spoil(root + "/mailboxes/INBOX/dbox-Mails"); err != nil {
				t.Fatal(err)
			}
			var said []string
			b := box(t, mending(t, root, &said), "INBOX")
			st, err := b.Status(ctx)
			if err != nil || st.Messages != 2 || st.UIDValidity == 0 || c.lost < 2 && st.UIDValidity != 7 || st.GUID.IsZero() {
				t.Errorf("status %+v, %v", st, err)
			}
			whole := []string{`1=\Flagged k1`, `3=\Flagged k3`}
			if got := flagsOf(t, b); c.lost == 0 && !slices.Equal(got, whole) {
				t.Errorf("flags %q", got)
			}
			if uid := deliver(t, b); uid != 4 {
				t.Errorf("delivered as %d", uid)
			}
			if c.name != "the snapshot is gone" && (len(said) != 1 || !strings.Contains(said[0], "index made anew: ")) {
				t.Errorf("said %q", said)
			}
			theirs := dovecot.New(t, "sdbox:"+root)
			if got := theirs.Fetch("INBOX"); len(got) != 3 {
				t.Errorf("Dovecot shows %v", got)
			}
			theirs.MustBeClean()
		})
	}
}

func TestAnOpenMailboxLosesNothingWithItsIndex(t *testing.T) {
	for _, c := range spoiled {
		t.Run(c.name, func(t *testing.T) {
			root := filepath.Join(dovecot.TempDir(t), "mail")
			flagged(t, root)
			var said []string
			s := mending(t, root, &said)
			b := box(t, s, "INBOX")
			before, err := b.Status(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(root + "/mailboxes/INBOX/dbox-Mails"); err != nil {
				t.Fatal(err)
			}
			if uid := deliver(t, b); uid != 4 {
				t.Errorf("delivered as %d", uid)
			}
			want := []string{`1=\Flagged k1`, `3=\Flagged k3`, "4="}
			for name, b := range map[string]formats.Mailbox{"the open one": b, "another": box(t, s, "INBOX")} {
				if got := flagsOf(t, b); !slices.Equal(got, want) {
					t.Errorf("%s shows %q", name, got)
				}
				if st, err := b.Status(ctx); err != nil || st.UIDValidity != 7 || st.GUID != before.GUID || st.UIDNext != 5 || st.HighestModSeq <= before.HighestModSeq {
					t.Errorf("%s has %+v, %v", name, st, err)
				}
			}
			theirs := dovecot.New(t, "sdbox:"+root)
			if got := theirs.Fetch("INBOX"); len(got) != 3 {
				t.Errorf("Dovecot shows %v", got)
			}
			theirs.MustBeClean()
		})
	}
}

// TestDeathWhileAnIndexIsMadeAnewLosesNothing: the second try ends with the same.
func TestDeathWhileAnIndexIsMadeAnewLosesNothing(t *testing.T) {
	for _, c := range spoiled {
		var want string
		for n := 1; ; n++ {
			root := filepath.Join(dovecot.TempDir(t), "mail")
			flagged(t, root)
			if err := c.spoil(root + "/mailboxes/INBOX/dbox-Mails"); err != nil {
				t.Fatal(err)
			}
			count := 0
			dying, err := sdbox.Open(ctx, sdbox.Options{Root: root, FS: dyingAt(n, &count), Mended: func(string) {}})
			if err != nil {
				t.Fatal(err)
			}
			died, err := dying.Open(ctx, "INBOX")
			if err == nil {
				died.Close()
			}
			dying.Close()
			// A process that really dies leaves locks that say so; this one is still alive.
			os.Remove(root + "/dovecot-uidvalidity.lock")
			os.Remove(root + "/mailboxes/INBOX/dbox-Mails/dovecot.index.log.newlock")
			var said []string
			b := box(t, mending(t, root, &said), "INBOX")
			got := fmt.Sprint(flagsOf(t, b))
			if want == "" {
				want = got
			}
			if got != want {
				t.Errorf("%s, death %d: %s, want %s", c.name, n, got, want)
			}
			if st, serr := b.Status(ctx); serr != nil || c.lost < 2 && st.UIDValidity != 7 {
				t.Errorf("%s, death %d: %+v, %v", c.name, n, st, serr)
			}
			deliver(t, b)
			if err == nil {
				break
			}
			if !errors.Is(err, errDead) {
				t.Fatalf("%s, death %d: %v", c.name, n, err)
			}
		}
	}
}

func TestTheBackupGivesTheFlagsThatAreLost(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	flagged(t, root)
	dir := root + "/mailboxes/INBOX/dbox-Mails"
	d, err := dovecot.FS().OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	x, err := index.Open(d, index.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(x.Compact(ctx), x.Close(), os.Rename(dir+"/dovecot.index", dir+"/dovecot.index.backup")); err != nil {
		t.Fatal(err)
	}
	deliver(t, box(t, open(t, sdbox.Options{Root: root}), "INBOX"))
	if err := removeIndex(dir, ".log", ""); err != nil {
		t.Fatal(err)
	}
	var said []string
	b := box(t, mending(t, root, &said), "INBOX")
	if st, err := b.Status(ctx); err != nil || st.UIDValidity != 7 || st.UIDNext != 5 {
		t.Errorf("status %+v, %v", st, err)
	}
	if got := flagsOf(t, b); !slices.Equal(got, []string{`1=\Flagged k1`, `3=\Flagged k3`, "4="}) {
		t.Errorf("flags %q", got)
	}
}

// TestARepairThatDovecotHasNotFinishedIsFinished: an index with that flag may lack messages.
func TestARepairThatDovecotHasNotFinishedIsFinished(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	flagged(t, root)
	dir := root + "/mailboxes/INBOX/dbox-Mails"
	if err := os.WriteFile(dir+"/u.9", []byte(orphan), 0o600); err != nil {
		t.Fatal(err)
	}
	dovecot.Own(t, root)
	if err := errors.Join(edit(dir+"/dovecot.index", func(s string) string { return s[:20] + "\x04" + s[21:] }), removeIndex(dir, ".log")); err != nil {
		t.Fatal(err)
	}
	var said []string
	b := box(t, mending(t, root, &said), "INBOX")
	if got := flagsOf(t, b); len(got) != 3 || len(said) != 1 {
		t.Errorf("%q, said %q", got, said)
	}
	if box(t, mending(t, root, &said), "INBOX"); len(said) != 1 {
		t.Errorf("said %q", said)
	}
}

func TestAStoreThatMayNotMendLeavesTheIndex(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	flagged(t, root)
	if err := removeIndex(root + "/mailboxes/INBOX/dbox-Mails"); err != nil {
		t.Fatal(err)
	}
	s := open(t, sdbox.Options{Root: root, FS: &disk.FS{ReadOnly: true}, Mended: func(text string) { t.Error(text) }})
	if lost := box(t, s, "INBOX").(formats.Salvaged).Lost(); lost == nil {
		t.Error("nothing is lost")
	}
	if names, _ := filepath.Glob(root + "/mailboxes/INBOX/dbox-Mails/dovecot.index*"); len(names) > 0 {
		t.Errorf("made %q", names)
	}
}

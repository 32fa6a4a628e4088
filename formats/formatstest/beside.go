package formatstest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
)

func testSubscriptions(t *testing.T, b *bench) {
	s, ok := b.store.(formats.Subscriber)
	if !ok {
		t.Skip("the format has no subscriptions")
	}
	check := func(want []string) {
		t.Helper()
		if got, err := s.Subscriptions(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Errorf("subscriptions %q, %v; want %q", got, err, want)
		}
	}
	check(nil)
	b.create("Box", formats.Status{})
	for _, names := range [][]string{
		{"INBOX"}, {"Box", "INBOX"}, {"Größe/日本語/R&D", "Box", "gone/with space", "INBOX"}, {"Box"}, {}, {"Box"},
	} {
		b.ok("subscribe", formats.SetSubscriptions(t.Context(), s, names))
		check(names)
		b.reopen()
		s = b.store.(formats.Subscriber)
		check(names)
	}
	before := b.files()
	b.ok("subscribe to the same", formats.SetSubscriptions(t.Context(), s, []string{"Box"}))
	if after := b.files(); after != before {
		t.Errorf("an equal list was written: files were\n%s\nnow\n%s", before, after)
	}
	infos, err := b.store.Mailboxes(t.Context())
	b.ok("list", err)
	for _, info := range infos {
		if info.Name != "INBOX" && info.Name != "Box" {
			t.Errorf("%q is listed as a mailbox", info.Name)
		}
	}
}

// files describes every file of the store.
func (b *bench) files() string {
	b.t.Helper()
	var all strings.Builder
	b.ok("walk", filepath.WalkDir(b.root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err == nil {
			all.WriteString(strings.TrimPrefix(path, b.root) + " " + info.Mode().String() + " " + info.ModTime().String() + "\n")
		}
		return err
	}))
	return all.String()
}

func testNotes(t *testing.T, b *bench) {
	n, ok := b.store.(formats.Noter)
	if !ok {
		t.Skip("the format has no room for notes")
	}
	_, err := n.ReadNote(t.Context(), "journal")
	wantErr(t, "a note that is not there", err, fs.ErrNotExist)
	infos, err := b.store.Mailboxes(t.Context())
	b.ok("list", err)
	long := bytes.Repeat([]byte("long\x00\n"), 1<<16)
	for _, content := range [][]byte{[]byte("one\n"), long, []byte("x")} {
		b.ok("write", n.WriteNote(t.Context(), "journal", content))
		b.ok("write", n.WriteNote(t.Context(), "state.2", []byte("another")))
		b.reopen()
		n = b.store.(formats.Noter)
		if got, err := n.ReadNote(t.Context(), "journal"); err != nil || !bytes.Equal(got, content) {
			t.Errorf("read %d bytes, %v; want %d", len(got), err, len(content))
		}
	}
	after, err := b.store.Mailboxes(t.Context())
	b.ok("list", err)
	if !slices.Equal(infos, after) {
		t.Errorf("mailboxes were %v, with notes %v", infos, after)
	}
	b.ok("remove", n.WriteNote(t.Context(), "journal", nil))
	b.ok("remove again", n.WriteNote(t.Context(), "journal", nil))
	_, err = n.ReadNote(t.Context(), "journal")
	wantErr(t, "a removed note", err, fs.ErrNotExist)
	if got, err := n.ReadNote(t.Context(), "state.2"); err != nil || string(got) != "another" {
		t.Errorf("the other note: %q, %v", got, err)
	}
}

func testPlace(t *testing.T, b *bench) {
	p, ok := b.store.(formats.Placer)
	if !ok || p.Place() == "" {
		t.Skip("the format has no place")
	}
	place := p.Place()
	b.create("Box", formats.Status{})
	b.reopen()
	if again := b.store.(formats.Placer).Place(); again != place {
		t.Errorf("the place was %q, now %q", place, again)
	}
	other := newBench(t, b.open)
	if there := other.store.(formats.Placer).Place(); there == place {
		t.Errorf("two stores are both at %q", place)
	}
	link := filepath.Join(t.TempDir(), "link")
	b.ok("link", os.Symlink(b.root, link))
	b.root = link
	if there := b.another(b.fs, false).(formats.Placer).Place(); there != place {
		t.Errorf("through a link the place is %q, want %q", there, place)
	}
}

// age makes every file look old, so that fingerprints can be promised. Not every format can be persuaded: those that
// look at the change time as well say "" for a moment after each change.
func (b *bench) age() {
	b.t.Helper()
	b.ok("age", filepath.WalkDir(b.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil || time.Since(info.ModTime()) > time.Minute {
			return err
		}
		return os.Chtimes(path, time.Time{}, info.ModTime().Add(-time.Hour))
	}))
}

func testFingerprint(t *testing.T, b *bench) {
	b.create("Box", like())
	b.add("Box", few(1, 2, 3)...)
	if _, ok := b.box("Box").(formats.Fingerprinter); !ok {
		t.Skip("the format has no fingerprint")
	}
	print := func() string {
		t.Helper()
		got, err := b.box("Box").(formats.Fingerprinter).Fingerprint(t.Context())
		b.ok("fingerprint", err)
		return got
	}
	last := print()
	for _, change := range []struct {
		name string
		make func(formats.Tx) error
	}{
		{"flag", func(tx formats.Tx) error {
			return tx.SetFlags(formats.RangesOf(2), formats.FlagChange{Flags: formats.Seen})
		}},
		{"keyword", func(tx formats.Tx) error {
			return tx.SetFlags(formats.RangesOf(2), formats.FlagChange{Keywords: []string{"k"}})
		}},
		{"flag taken back", func(tx formats.Tx) error {
			return tx.SetFlags(formats.RangesOf(2), formats.FlagChange{Op: formats.RemoveFlags, Flags: formats.Seen})
		}},
		{"append", func(tx formats.Tx) error { return appendAll(t.Context(), tx, few(4)) }},
		{"expunge", func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(1)) }},
		{"expunge of the last", func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(4)) }},
	} {
		b.update("Box", change.make)
		if now := print(); now != "" && now == last {
			t.Errorf("%s: the fingerprint is still %q", change.name, now)
		}
		b.age()
		last = print()
		list(t, b.box("Box"), formats.WantAll)
		b.reopen()
		if again := print(); again != last && last != "" && again != "" {
			t.Errorf("%s: nothing was changed, but %q became %q", change.name, last, again)
		}
	}
}

func testCancelled(t *testing.T, b *bench) {
	b.create("Box", like())
	b.add("Box", few(1, 2)...)
	box := b.box("Box")
	ended, cancel := contextEnded(t)
	defer cancel()
	called := false
	_, err := box.Update(ended, func(tx formats.Tx) error {
		called = true
		return errors.Join(tx.Expunge(formats.RangesOf(1)))
	})
	wantErr(t, "update", err, ended.Err())
	_ = called // fn may or may not be called: it can do nothing
	count := 0
	var last error
	for _, err := range box.Messages(ended, formats.Query{}) {
		count++
		last = err
	}
	if last == nil {
		t.Errorf("listing gave %d messages and no error", count)
	} else {
		wantErr(t, "list", last, ended.Err())
	}
	_, err = b.store.Mailboxes(ended)
	wantErr(t, "mailboxes", err, ended.Err())
	wantErr(t, "create", b.store.Create(ended, "New", formats.Status{}), ended.Err())
	wantErr(t, "rename", b.store.Rename(ended, "Box", "New"), ended.Err())
	wantErr(t, "delete", b.store.Delete(ended, "Box"), ended.Err())
	b.reopen()
	if got := b.uids("Box"); got != "1:2" {
		t.Errorf("UIDs %s, want 1:2", got)
	}
	if _, err := b.store.Open(t.Context(), "New"); err == nil {
		t.Error("a cancelled Create or Rename was done")
	}
}

package formatstest

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
)

func contextEnded(t testing.TB) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}

func testReadOnly(t *testing.T, b *bench) {
	mails := Samples(1, 2, 5)
	b.create("Box/Sub", like())
	b.add("Box/Sub", mails...)
	b.age()
	before := b.files()
	s := b.another(&disk.FS{ReadOnly: true}, false)
	box := openBox(t, s, "Box/Sub")
	sameMails(t, "read-only", b.limits, box, mails)
	if _, err := s.Mailboxes(t.Context()); err != nil {
		t.Errorf("list: %v", err)
	}
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, disk.ErrReadOnly) && !errors.Is(err, formats.ErrReadOnly) {
			t.Errorf("%s: %v, want an error that says read-only", what, err)
		}
	}
	for what, fn := range map[string]func(formats.Tx) error{
		"append":  func(tx formats.Tx) error { return appendAll(t.Context(), tx, few(9)) },
		"flags":   func(tx formats.Tx) error { return tx.SetFlags(formats.RangesOf(1), formats.FlagChange{Flags: 31}) },
		"expunge": func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(1)) },
		"raise":   func(tx formats.Tx) error { return tx.Raise(5000, 50000, 3) },
	} {
		_, err := box.Update(t.Context(), fn)
		refused(what, err)
	}
	refused("create", s.Create(t.Context(), "New", formats.Status{}))
	refused("rename", s.Rename(t.Context(), "Box", "New"))
	refused("delete", s.Delete(t.Context(), "Box/Sub"))
	if sub, ok := s.(formats.Subscriber); ok {
		refused("subscribe", formats.SetSubscriptions(t.Context(), sub, []string{"Box/Sub"}))
	}
	if n, ok := s.(formats.Noter); ok {
		refused("note", n.WriteNote(t.Context(), "x", []byte("y")))
	}
	if after := b.files(); after != before {
		t.Errorf("files were\n%s\nnow\n%s", before, after)
	}
}

func testMissing(t *testing.T, b *bench) {
	if p, ok := b.store.(formats.Placer); !ok || p.Place() == "" {
		t.Skip("the store is not on disk")
	}
	for _, fsys := range []*disk.FS{{}, {ReadOnly: true}} {
		s, err := b.open(t.Context(), filepath.Join(t.TempDir(), "missing"), fsys, false)
		if err == nil {
			s.Close()
			t.Error("a missing store was opened")
			continue
		}
		wantErr(t, "a missing store", err, fs.ErrNotExist)
	}
}

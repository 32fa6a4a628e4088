package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
	"dovetail/formats/location"
)

const many = 100000

// onDisk opens a store that is made below the test's folder.
func onDisk(t testing.TB, where string) formats.Store {
	t.Helper()
	l, err := location.Parse(where, location.Vars{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := location.Open(t.Context(), l, location.Options{FS: &disk.FS{}, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// manySdbox makes an sdbox whose index has many messages. They have no files: nobody reads one.
func manySdbox(t testing.TB) formats.Store {
	t.Helper()
	root := t.TempDir()
	s := onDisk(t, "sdbox:"+root)
	if err := s.Create(t.Context(), "INBOX", formats.Status{}); err != nil {
		t.Fatal(err)
	}
	dir, err := new(disk.FS).OpenRoot(filepath.Join(root, "mailboxes", "INBOX", "dbox-Mails"))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	x, err := index.Open(dir, index.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if err := x.Update(t.Context(), func(tx *index.Tx) error {
		for i := range many {
			m := index.Message{Flags: formats.Flags(i % 3), ModSeq: formats.ModSeq(i + 2)}
			if i%7 == 0 {
				m.Keywords = []string{"work"}
			}
			if _, err := tx.Append(m); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

func BenchmarkSdbox(b *testing.B) {
	store := manySdbox(b)
	box := open(b, NewHub(0), store)
	b.Run("first look", func(b *testing.B) {
		for b.Loop() {
			one := &Box{Mailbox: box.Mailbox, words: newWords()}
			if s, err := one.Refresh(b.Context()); err != nil || s.Len() != many {
				b.Fatal(err)
			}
		}
	})
	b.Run("nothing changed", func(b *testing.B) { refreshes(b, box, func() {}) })
	n := 0
	flag := func(ctx context.Context, m interface {
		Update(context.Context, func(formats.Tx) error) (formats.Committed, error)
	}) {
		n++
		if _, err := m.Update(ctx, func(tx formats.Tx) error {
			op := []formats.FlagOp{formats.AddFlags, formats.RemoveFlags}[n/many%2]
			return tx.SetFlags(formats.RangesOf(formats.UID(n*7919%many+1)), formats.FlagChange{Op: op, Flags: formats.Flagged})
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("own flag", func(b *testing.B) {
		for b.Loop() {
			flag(b.Context(), box)
		}
	})
	other, err := store.Open(b.Context(), "INBOX")
	if err != nil {
		b.Fatal(err)
	}
	defer other.Close()
	b.Run("flag by another", func(b *testing.B) { refreshes(b, box, func() { flag(b.Context(), other) }) })
	b.Run("every record", func(b *testing.B) {
		for b.Loop() {
			s, sum := box.Snapshot(), 0
			s.Each(1, s.Len(), func(seq uint32, r Record) bool { sum += int(r.UID) + int(r.Flags()); return true })
		}
	})
}

// refreshes measures Refresh alone, each after a change.
func refreshes(b *testing.B, box *Box, change func()) {
	var took time.Duration
	for b.Loop() {
		change()
		began := time.Now()
		if _, err := box.Refresh(b.Context()); err != nil {
			b.Fatal(err)
		}
		took += time.Since(began)
	}
	b.ReportMetric(float64(took.Microseconds())/float64(b.N), "µs/refresh")
}

// manyMaildir makes a Maildir of many messages.
func manyMaildir(t testing.TB) (formats.Store, string) {
	t.Helper()
	root := t.TempDir()
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.Mkdir(filepath.Join(root, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for i := range many {
		name := fmt.Sprintf("%d.M%dP1.host,S=9,W=12:2,%s", 1700000000+i, i, []string{"", "S", "FS"}[i%3])
		if err := os.WriteFile(filepath.Join(root, "cur", name), []byte("a: b\n\nxyz"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return onDisk(t, "maildir:"+root), root
}

func BenchmarkMaildir(b *testing.B) {
	store, root := manyMaildir(b)
	box := open(b, NewHub(0), store)
	b.Run("first look", func(b *testing.B) {
		for b.Loop() {
			m, err := store.Open(b.Context(), "INBOX")
			if err != nil {
				b.Fatal(err)
			}
			one := &Box{Mailbox: m, words: newWords()}
			if s, err := one.Refresh(b.Context()); err != nil || s.Len() != many {
				b.Fatal(err)
			}
			m.Close()
		}
	})
	b.Run("nothing changed", func(b *testing.B) { refreshes(b, box, func() {}) })
	n := 0
	b.Run("delivery", func(b *testing.B) {
		refreshes(b, box, func() {
			n++
			name := fmt.Sprintf("%d.M%dP2.host", 1800000000+n, n)
			if err := os.WriteFile(filepath.Join(root, "tmp", name), []byte("a: b\n\nxyz"), 0o600); err != nil {
				b.Fatal(err)
			}
			if err := os.Rename(filepath.Join(root, "tmp", name), filepath.Join(root, "new", name)); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("own flag", func(b *testing.B) {
		for b.Loop() {
			n++
			if _, err := box.Update(b.Context(), func(tx formats.Tx) error {
				op := []formats.FlagOp{formats.AddFlags, formats.RemoveFlags}[n/many%2]
				return tx.SetFlags(formats.RangesOf(formats.UID(n*7919%many+1)), formats.FlagChange{Op: op, Flags: formats.Answered})
			}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

package watch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// The clock of these hubs does not help.

func TestAnMboxThatIsReplacedIsFollowed(t *testing.T) {
	root := t.TempDir()
	inbox := filepath.Join(root, "inbox")
	mail := "From a@b Mon Jan  1 00:00:00 2024\nSubject: one\n\nx\n\n"
	first := strings.Replace(mail, "\n\n", "\nX-IMAPbase: 1700000000 0000000000\n\n", 1) // else it is another mailbox
	write := func(name string, n int) {
		if err := os.WriteFile(name, []byte(first+strings.Repeat(mail, n-1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(inbox, 1)
	box := open(t, NewHub(time.Hour), onDisk(t, "mbox:"+filepath.Join(root, "mail")+":INBOX="+inbox))
	defer box.Attend()()
	until(box, func(s *Snapshot) bool { return s.Len() == 1 })
	for n := 2; n < 5; n++ {
		write(inbox+".new", n)
		if err := os.Rename(inbox+".new", inbox); err != nil {
			t.Fatal(err)
		}
		until(box, func(s *Snapshot) bool { return s.Len() == uint32(n) })
		n++
		f, err := os.OpenFile(inbox, os.O_WRONLY|os.O_APPEND, 0) // the new file
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(mail); err != nil {
			t.Fatal(err)
		}
		f.Close()
		until(box, func(s *Snapshot) bool { return s.Len() == uint32(n) })
	}
}

func TestWhoWaitsOnAMailboxThatIsDeletedIsTold(t *testing.T) {
	for kind, where := range kinds(t.TempDir()) {
		t.Run(kind, func(t *testing.T) {
			store := onDisk(t, where)
			if err := store.Create(t.Context(), "x", formats.Status{}); err != nil {
				t.Fatal(err)
			}
			box, err := NewHub(time.Hour).Open(t.Context(), store, "x")
			if err != nil {
				t.Fatal(err)
			}
			defer box.Close()
			fill(t, box, 3)
			defer box.Attend()()
			other := onDisk(t, where)
			if err := other.Delete(t.Context(), "x"); err != nil {
				t.Fatal(err)
			}
			for {
				changed := box.Changed()
				if _, err := box.Refresh(t.Context()); errors.Is(err, ErrReplaced) {
					break
				}
				<-changed
			}
			if box.Snapshot().Len() != 3 {
				t.Error("the last snapshot is not what it was")
			}
		})
	}
}

func TestANameThatChangedHandsLeadsToTheNewMailbox(t *testing.T) {
	for kind, where := range kinds(t.TempDir()) {
		t.Run(kind, func(t *testing.T) {
			store, hub := onDisk(t, where), NewHub(time.Hour)
			if err := store.Create(t.Context(), "x", formats.Status{}); err != nil {
				t.Fatal(err)
			}
			old, err := hub.Open(t.Context(), store, "x")
			if err != nil {
				t.Fatal(err)
			}
			defer old.Close()
			fill(t, old, 3)
			other := onDisk(t, where)
			if err := other.Rename(t.Context(), "x", "y"); err != nil {
				t.Fatal(err)
			}
			if b, err := hub.Open(t.Context(), store, "x"); !errors.Is(err, formats.ErrNoMailbox) {
				t.Fatalf("a name that is no more gives %v, %v", b, err)
			}
			if err := other.Create(t.Context(), "x", formats.Status{}); err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]uint32{"x": 0, "y": 3} {
				b, err := hub.Open(t.Context(), store, name)
				if err != nil {
					t.Fatal(err)
				}
				if got := b.Snapshot().Len(); got != want {
					t.Errorf("%s has %d messages in place of %d", name, got, want)
				}
				b.Close()
			}
		})
	}
}

// deafStore has mailboxes that the kernel has no room to tell of.
type deafStore struct{ formats.Store }

func (s deafStore) Open(ctx context.Context, name string) (formats.Mailbox, error) {
	m, err := s.Store.Open(ctx, name)
	return deaf{m}, err
}

type deaf struct{ formats.Mailbox }

func (deaf) Watch(add func(*disk.Dir, string) error) error { return unix.ENOSPC }

func TestWithoutNotificationsTheClockHasToDo(t *testing.T) {
	store, box := newInbox(t, kinds(t.TempDir())["maildir"])
	hub := NewHub(time.Millisecond)
	var told []error // nobody else reads it while files are watched
	hub.Deaf = func(err error) { told = append(told, err) }
	alone := open(t, hub, deafStore{store})
	end := alone.Attend()
	fill(t, box, 1)
	until(alone, func(s *Snapshot) bool { return s.Len() == 1 })
	fill(t, box, 1)
	until(alone, func(s *Snapshot) bool { return s.Len() == 2 })
	end()
	if len(told) != 1 || !errors.Is(told[0], unix.ENOSPC) {
		t.Errorf("told %v", told)
	}
}

func BenchmarkAttended(b *testing.B) {
	where := kinds(b.TempDir())
	for _, kind := range []string{"sdbox", "maildir", "mbox"} {
		b.Run(kind, func(b *testing.B) {
			store, hub := onDisk(b, where[kind]), NewHub(time.Hour)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			const n = 300
			for i := range n {
				name := "box" + string(rune('a'+i/26)) + string(rune('a'+i%26))
				if err := store.Create(b.Context(), name, formats.Status{}); err != nil && !errors.Is(err, formats.ErrExists) {
					b.Fatal(err)
				}
				box, err := hub.Open(b.Context(), store, name)
				if err != nil {
					b.Fatal(err)
				}
				defer box.Close()
				defer box.Attend()()
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			box, err := hub.Open(b.Context(), store, "boxaa")
			if err != nil {
				b.Fatal(err)
			}
			defer box.Close()
			other, err := store.Open(b.Context(), "boxaa")
			if err != nil {
				b.Fatal(err)
			}
			defer other.Close()
			var took time.Duration
			for b.Loop() {
				fill(b, other, 1)
				began := time.Now()
				st, err := other.Status(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				until(box, func(s *Snapshot) bool { return s.Len() == st.Messages })
				took += time.Since(began)
			}
			b.ReportMetric(float64(took.Microseconds())/float64(b.N), "µs/wake")
			b.ReportMetric((float64(after.HeapAlloc+after.StackInuse)-float64(before.HeapAlloc+before.StackInuse))/n, "B/box")
		})
	}
}

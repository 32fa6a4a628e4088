package watch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"dovetail/formats"
)

// fill appends n messages without a body worth mentioning.
func fill(t testing.TB, b interface {
	Update(context.Context, func(formats.Tx) error) (formats.Committed, error)
}, n int) {
	t.Helper()
	if _, err := b.Update(t.Context(), func(tx formats.Tx) error {
		for range n {
			if err := tx.Append(t.Context(), formats.Message{Detail: formats.Detail{InternalDate: time.Unix(1e9, 0)}}, body("x\n")); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, h *Hub, s formats.Store) *Box {
	t.Helper()
	b, err := h.Open(t.Context(), s, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// model is what a session that applies Changes shows: UIDs in order, with their flags.
func model(s *Snapshot) []string {
	var list []string
	s.Each(1, s.Len(), func(seq uint32, r Record) bool {
		if at := s.At(seq); at != r {
			list = append(list, fmt.Sprintf("At(%d) gives %v and Each %v", seq, at, r))
		}
		if back, ok := s.Seq(r.UID); !ok || back != seq {
			list = append(list, fmt.Sprintf("Seq(%d) gives %d", r.UID, back))
		}
		list = append(list, fmt.Sprint(r.UID, r.Flags(), s.Keywords(r), r.ModSeq))
		return true
	})
	return list
}

// apply does to a list what a client does that is told of the changes.
func apply(list []string, c Changes, is *Snapshot) []string {
	list = slices.Clone(list)
	for i := len(c.Expunged) - 1; i >= 0; i-- {
		seq := c.Expunged[i]
		list = slices.Delete(list, int(seq-1), int(seq))
	}
	all := model(is)
	list = append(list, all[len(all)-int(c.Added):]...)
	for _, seq := range c.Flags {
		list[seq-1] = all[seq-1]
	}
	return list
}

func TestChangesLeadFromOneSnapshotToTheOther(t *testing.T) {
	store := formats.NewMemory()
	b := open(t, NewHub(0), store)
	fill(t, b, 5000)
	rnd := rand.New(rand.NewPCG(1, 2))
	older := []*Snapshot{b.Snapshot()}
	for range 60 {
		if _, err := b.Update(t.Context(), func(tx formats.Tx) error { return change(t.Context(), tx, b.Snapshot(), rnd) }); err != nil {
			t.Fatal(err)
		}
		is := b.Snapshot()
		if uint32(len(model(is))) != is.Len() || is.Status.Messages != is.Len() {
			t.Fatalf("%d messages, status says %d", len(model(is)), is.Status.Messages)
		}
		for _, was := range older[max(0, len(older)-3):] {
			c := Diff(was, is)
			if got, want := apply(model(was), c, is), model(is); !slices.Equal(got, want) {
				t.Fatalf("%d messages became %d by %d expunges, %d flags and %d new ones", len(model(was)), len(want), len(c.Expunged), len(c.Flags), c.Added)
			}
		}
		older = append(older, is)
	}
	if c := Diff(b.Snapshot(), b.Snapshot()); !c.None() {
		t.Errorf("a snapshot differs from itself: %+v", c)
	}
}

// change does one of the things that happen to a mailbox.
func change(ctx context.Context, tx formats.Tx, s *Snapshot, rnd *rand.Rand) error {
	return changeUpTo(ctx, tx, s, rnd, 200, 700)
}

// changeUpTo changes some UIDs, or appends some messages.
func changeUpTo(ctx context.Context, tx formats.Tx, s *Snapshot, rnd *rand.Rand, most uint32, appended int) error {
	first := s.At(1 + rnd.Uint32N(s.Len())).UID
	uids := formats.RangesOf(first)
	uids.AddRange(first, first+formats.UID(rnd.Uint32N(most)))
	switch rnd.IntN(4) {
	case 0:
		return tx.Expunge(uids)
	case 1:
		return tx.SetFlags(uids, formats.FlagChange{Op: formats.AddFlags, Flags: formats.Flags(rnd.IntN(32)), Keywords: []string{fmt.Sprint("k", rnd.IntN(5))}})
	case 2:
		return tx.SetFlags(formats.RangesOf(first), formats.FlagChange{Op: formats.ReplaceFlags, Flags: formats.Seen})
	}
	for range rnd.IntN(appended) {
		if err := tx.Append(ctx, formats.Message{Keywords: []string{"new"}}, body("x\n")); err != nil {
			return err
		}
	}
	return nil
}

func TestWhatStaysTheSameIsShared(t *testing.T) {
	b := open(t, NewHub(0), formats.NewMemory())
	fill(t, b, 10*chunkSize)
	was := b.Snapshot()
	if _, err := b.Update(t.Context(), func(tx formats.Tx) error {
		return tx.SetFlags(formats.RangesOf(5*chunkSize), formats.FlagChange{Flags: formats.Seen})
	}); err != nil {
		t.Fatal(err)
	}
	shared := 0
	for i, c := range b.Snapshot().chunks {
		if c == was.chunks[i] {
			shared++
		}
	}
	if shared != 9 {
		t.Errorf("%d of 10 chunks are shared", shared)
	}
}

func TestSessionsOfOneMailboxShareIt(t *testing.T) {
	store, h := formats.NewMemory(), NewHub(0)
	one, two := open(t, h, store), open(t, h, store)
	if one != two {
		t.Fatal("two boxes for one mailbox")
	}
	changed := two.Changed()
	fill(t, one, 1)
	<-changed
	if two.Snapshot().Len() != 1 {
		t.Error("the other session does not see the message")
	}
	other, err := h.Open(t.Context(), formats.NewMemory(), "INBOX")
	if err != nil || other == one {
		t.Errorf("another store has the same box, %v", err)
	}
	other.Close()
}

func TestChangesByOthersAreFound(t *testing.T) {
	store, h := formats.NewMemory(), NewHub(time.Millisecond)
	b := open(t, h, store)
	other, err := store.Open(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	fill(t, other, 3)
	if b.Snapshot().Len() != 0 {
		t.Error("seen before anybody looked")
	}
	if s, err := b.Refresh(t.Context()); err != nil || s.Len() != 3 {
		t.Errorf("after a refresh %d, %v", s.Len(), err)
	}
	end := b.Attend()
	changed := b.Changed()
	fill(t, other, 1)
	<-changed
	end()
	if b.Snapshot().Len() != 4 {
		t.Errorf("%d messages", b.Snapshot().Len())
	}
}

func TestAMailboxThatIsMadeAnewIsOver(t *testing.T) {
	store, h := formats.NewMemory(), NewHub(0)
	if err := store.Create(t.Context(), "x", formats.Status{}); err != nil {
		t.Fatal(err)
	}
	b, err := h.Open(t.Context(), store, "x")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := store.Delete(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	changed := b.Changed()
	if _, err := b.Refresh(t.Context()); !errors.Is(err, ErrReplaced) {
		t.Fatalf("after deletion: %v", err)
	}
	<-changed
	if err := store.Create(t.Context(), "x", formats.Status{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Refresh(t.Context()); !errors.Is(err, ErrReplaced) {
		t.Errorf("the old box: %v", err)
	}
	fresh, err := h.Open(t.Context(), store, "x")
	if err != nil || fresh == b {
		t.Fatalf("the new mailbox: %v", err)
	}
	fresh.Close()
}

func BenchmarkOneFlagOf100000(b *testing.B) {
	box := open(b, NewHub(0), formats.NewMemory())
	fill(b, box, 100000)
	n := 0
	for b.Loop() {
		n++
		was := box.Snapshot()
		if _, err := box.Update(b.Context(), func(tx formats.Tx) error {
			return tx.SetFlags(formats.RangesOf(formats.UID(n%100000+1)), formats.FlagChange{Op: formats.FlagOp(n / 100000 % 2), Flags: formats.Seen})
		}); err != nil {
			b.Fatal(err)
		}
		if c := Diff(was, box.Snapshot()); len(c.Flags) != 1 {
			b.Fatal(c)
		}
	}
}

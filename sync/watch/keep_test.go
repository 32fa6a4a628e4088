package watch

import (
	"math/rand/v2"
	"slices"
	"testing"

	"dovetail/formats"
)

func TestExpungedMessagesAreKeptUntilTheyMayBeTold(t *testing.T) {
	b := open(t, NewHub(0), formats.NewMemory())
	fill(t, b, 3000)
	rnd := rand.New(rand.NewPCG(3, 4))
	view := b.Snapshot()
	for range 80 {
		if _, err := b.Update(t.Context(), func(tx formats.Tx) error { return change(t.Context(), tx, b.Snapshot(), rnd) }); err != nil {
			t.Fatal(err)
		}
		now := b.Snapshot()
		kept := now.Keeping(view)
		first := Diff(view, kept)
		if len(first.Expunged) > 0 || kept.Len() < view.Len() {
			t.Fatalf("%d messages are gone although none may", len(first.Expunged))
		}
		second := Diff(kept, now)
		if len(second.Flags) > 0 || second.Added > 0 {
			t.Fatalf("what is kept differs in more than expunged messages: %d flags, %d added", len(second.Flags), second.Added)
		}
		if got, want := apply(apply(model(view), first, kept), second, now), model(now); !slices.Equal(got, want) {
			t.Fatalf("%d messages became %d", len(model(view)), len(want))
		}
		n := rnd.Uint32N(kept.Len() + 2)
		if got, want := model(kept.First(n)), model(kept)[:min(n, kept.Len())]; !slices.Equal(got, want) {
			t.Fatalf("the first %d of %d are %d", n, kept.Len(), len(got))
		}
		if rnd.IntN(3) == 0 {
			kept = now
		}
		view = kept
	}
}

package formats

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func TestRangesAreTheSetOfWhatWasAdded(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var got Ranges
		want := map[UID]bool{}
		for range rnd.IntN(40) {
			first := UID(1 + rnd.IntN(60))
			last := first + UID(rnd.IntN(1+rnd.IntN(10)))
			got.AddRange(first, last)
			for uid := first; uid <= last; uid++ {
				want[uid] = true
			}
		}
		var uids []UID
		for uid := UID(1); uid < 100; uid++ {
			if got.Contains(uid) != want[uid] {
				t.Fatalf("seed %d: Contains(%d) = %v in %s", seed, uid, got.Contains(uid), got)
			}
			if want[uid] {
				uids = append(uids, uid)
			}
		}
		if all := slices.Collect(got.All()); !slices.Equal(all, uids) || got.Len() != len(uids) {
			t.Fatalf("seed %d: %s holds %v (%d), want %v", seed, got, all, got.Len(), uids)
		}
		if again := RangesOf(uids...); !reflect.DeepEqual(again, got) && len(uids) > 0 {
			t.Fatalf("seed %d: not in shortest form: %s, want %s", seed, got, again)
		}
	}
}

func TestRangesAtTheEndOfTheUIDSpace(t *testing.T) {
	const top = ^UID(0)
	var r Ranges
	r.AddRange(top-1, top)
	r.Add(1)
	r.Add(top)
	if got := r.String(); got != "1,4294967294:4294967295" {
		t.Errorf("got %s", got)
	}
	if n := len(slices.Collect(r.All())); n != 3 {
		t.Errorf("%d UIDs, want 3", n)
	}
}

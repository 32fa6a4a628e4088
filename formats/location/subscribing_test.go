package location_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"dovetail/formats"
)

// TestWhoSubscribesAtTheSameTimeLosesNothing lets Dovecot and two stores of ours, as two servers have them, subscribe
// and unsubscribe all at once.
func TestWhoSubscribesAtTheSameTimeLosesNothing(t *testing.T) {
	const each = 12
	for i, kind := range nameKinds {
		if kind.ours != "" {
			continue // the same list under other names
		}
		t.Run(kind.name, func(t *testing.T) {
			j, _, ours := judged(t, i)
			var begin []string
			for n := range each {
				begin = append(begin, fmt.Sprintf("old%d", n))
			}
			first := openOurs(t, ours).(formats.Subscriber)
			if err := formats.SetSubscriptions(t.Context(), first, begin); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for k, s := range []formats.Subscriber{first, openOurs(t, ours).(formats.Subscriber), first} {
				all.Go(func() {
					for n := range each {
						add, drop := fmt.Sprintf("new%d-%d", k, n), fmt.Sprintf("old%d", n)
						err := s.ChangeSubscriptions(t.Context(), func(names []string) []string {
							kept := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == drop })
							return append(kept, add)
						})
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			for k := range 2 {
				args := []string{"mailbox", "subscribe"} // which locks the list for each of them anew
				for n := range each {
					args = append(args, fmt.Sprintf("theirs%d-%d", k, n))
				}
				theirs := j.Command(args...)
				all.Go(func() {
					if err := theirs.Run(); err != nil {
						t.Errorf("doveadm: %v", err)
					}
				})
			}
			all.Wait()
			want := map[string]bool{}
			for n := range each {
				for k := range 3 {
					want[fmt.Sprintf("new%d-%d", k, n)] = true
				}
				for k := range 2 {
					want[fmt.Sprintf("theirs%d-%d", k, n)] = true
				}
			}
			got, err := first.Subscriptions(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range got {
				if !want[name] {
					t.Errorf("%s is subscribed to, or twice", name)
				}
				delete(want, name)
			}
			if len(want) > 0 {
				t.Errorf("lost: %v", want)
			}
			j.MustBeClean()
		})
	}
}

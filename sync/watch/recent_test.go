package watch

import (
	"testing"

	"golang.org/x/sync/errgroup"

	"dovetail/formats"
)

// However soon other sessions look, what a session has added is \Recent there and nowhere else.
func TestWhatASessionAddsIsRecentThere(t *testing.T) {
	for kind, where := range kinds(t.TempDir()) {
		t.Run(kind, func(t *testing.T) {
			_, box := newInbox(t, where)
			defer box.Attend()()
			var adding, looking errgroup.Group
			for range 3 {
				adding.Go(func() error {
					for range 15 {
						done, err := box.AppendAndClaim(t.Context(), giving(recentOne(), recentOne()))
						if err != nil {
							return err
						}
						if done.Recent.String() != done.UIDs.String() {
							t.Errorf("added %s, of which %s are recent", done.UIDs, done.Recent)
						}
					}
					done, err := box.UpdateAndClaim(t.Context(), func(tx formats.Tx) error {
						return tx.Append(t.Context(), recentOne().Message, body("a: b\n\nx\n"))
					})
					if err == nil && done.Recent.String() != done.UIDs.String() {
						t.Errorf("added %s, of which %s are recent", done.UIDs, done.Recent)
					}
					return err
				})
			}
			over := make(chan struct{})
			looking.Go(func() error {
				for {
					changed := box.Changed()
					got, err := box.ClaimRecent(t.Context())
					if err != nil || len(got) > 0 {
						t.Errorf("who has added nothing gets %s, %v", got, err)
					}
					select {
					case <-changed:
					case <-over:
						return nil
					}
				}
			})
			if err := adding.Wait(); err != nil {
				t.Error(err)
			}
			close(over)
			looking.Wait()
		})
	}
}

func recentOne() Message {
	return Message{Message: formats.Message{Flags: formats.Recent}, Body: body("a: b\n\nx\n"), Size: 8}
}

package watch

import (
	"errors"
	"testing"

	"golang.org/x/sync/errgroup"

	"dovetail/formats"
)

// For the race detector: sessions that append, flag, expunge, read and look at once.
func TestManySessionsUseOneBoxAtOnce(t *testing.T) {
	for kind, where := range kinds(t.TempDir()) {
		t.Run(kind, func(t *testing.T) {
			_, box := newInbox(t, where)
			defer box.Attend()()
			fill(t, box, 20)
			var all errgroup.Group
			for who := range 4 {
				all.Go(func() error {
					for n := range 15 {
						if err := use(t, box, who, formats.UID(4*n+who+1)); err != nil {
							return err
						}
					}
					return nil
				})
			}
			if err := all.Wait(); err != nil {
				t.Fatal(err)
			}
			if s, err := box.Refresh(t.Context()); err != nil || s.Len() != 20+60-uint32(s.Status.UIDNext-1-formats.UID(s.Len())) {
				t.Errorf("%d messages, UIDNEXT %d, %v", s.Len(), s.Status.UIDNext, err)
			}
		})
	}
}

// use is what one session does in a round.
func use(t *testing.T, box *Box, who int, uid formats.UID) error {
	if _, err := box.Append(t.Context(), giving(Message{Body: body("a: b\n\nx\n"), Size: 8})); err != nil {
		return err
	}
	if _, err := box.Update(t.Context(), func(tx formats.Tx) error {
		if who == 0 {
			return tx.Expunge(formats.RangesOf(uid))
		}
		return tx.SetFlags(formats.RangesOf(uid), formats.FlagChange{Flags: formats.Flagged, Keywords: []string{"work"}})
	}); err != nil {
		return err
	}
	s, err := box.Refresh(t.Context())
	if err != nil {
		return err
	}
	s.Each(1, s.Len(), func(seq uint32, r Record) bool {
		s.Keywords(r)
		s.SetSize(seq, 8)
		return true
	})
	one, err := box.Body(t.Context(), &formats.Message{UID: uid})
	if errors.Is(err, formats.ErrNoMessage) || errors.Is(err, formats.ErrCorrupt) {
		return nil // expunged meanwhile
	}
	if err != nil {
		return err
	}
	return one.Close()
}

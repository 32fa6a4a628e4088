package watch

import (
	"context"

	"dovetail/formats"
)

// ClaimRecent gives the messages that are \Recent to the caller and to nobody else, whatever program the others use, where
// the format keeps them; else to nobody else as long as the Box is open. Their UIDs may be above those of the snapshot.
func (b *Box) ClaimRecent(ctx context.Context) (formats.Ranges, error) {
	b.claiming.Lock()
	defer b.claiming.Unlock()
	st := b.Snapshot().Status
	first := max(st.FirstRecent, b.claimed)
	if st.FirstRecent == 0 || first >= st.UIDNext {
		return nil, nil
	}
	keeps := false
	c, err := b.Update(ctx, func(tx formats.Tx) error {
		claimer, ok := tx.(formats.RecentClaimer)
		if keeps = ok; ok {
			claimer.ClaimRecent()
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case !keeps:
		b.claimed = st.UIDNext
		return formats.Ranges{{First: first, Last: st.UIDNext - 1}}, nil
	}
	return c.Recent, nil
}

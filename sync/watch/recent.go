package watch

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"dovetail/formats"
)

// ClaimRecent gives the messages that are \Recent to the caller and to nobody else, whatever program the others use, where
// the format keeps them; else to nobody else as long as the Box is open. Their UIDs may be above those of the snapshot.
func (b *Box) ClaimRecent(ctx context.Context) (formats.Ranges, error) {
	return b.claim(ctx, nil)
}

// AppendAndClaim is Append for a session that has the mailbox selected: as with Dovecot, the new messages are \Recent
// there and in no other session of the process, however soon another one looks. Committed.Recent are those that were
// claimed: what Leftover tells when that failed, a later ClaimRecent makes good.
func (b *Box) AppendAndClaim(ctx context.Context, next func() (Message, error)) (formats.Committed, error) {
	return b.ownClaim(ctx, func(coming func()) (formats.Committed, error) {
		return b.Append(ctx, func() (Message, error) {
			m, err := next()
			if err == io.EOF {
				coming()
			}
			return m, err
		})
	})
}

// UpdateAndClaim is Update for a session that has the mailbox selected and copies messages into it; see AppendAndClaim.
func (b *Box) UpdateAndClaim(ctx context.Context, fn func(formats.Tx) error) (formats.Committed, error) {
	return b.ownClaim(ctx, func(coming func()) (formats.Committed, error) {
		s, ok := b.Mailbox.(formats.Streamer)
		if !ok {
			coming() // fn may be called with the mailbox locked, and a claim that waits for that would wait for ever
			return b.Update(ctx, fn)
		}
		c, err := s.Stream(ctx, func(tx formats.StreamTx) error {
			err := fn(tx)
			if err == nil {
				coming()
			}
			return err
		})
		b.shown(ctx, err)
		return c, err
	})
}

// claims are of sessions whose new messages are there but not claimed yet.
type claims struct {
	mu   sync.Mutex // guards what follows
	list []*ownClaim
}

// ownClaim is one of them.
type ownClaim struct{ uids, got formats.Ranges }

// ownClaim commits messages and claims them. From coming on, which commit calls before anybody can see the messages,
// nobody claims until it is known which these are.
func (b *Box) ownClaim(ctx context.Context, commit func(coming func()) (formats.Committed, error)) (formats.Committed, error) {
	own := &ownClaim{}
	c, err := b.reserve(own, commit)
	if err != nil {
		return c, err
	}
	recent, err := b.claim(ctx, own)
	c.Recent, c.Leftover = recent, errors.Join(c.Leftover, err)
	return c, nil
}

func (b *Box) reserve(own *ownClaim, commit func(coming func()) (formats.Committed, error)) (c formats.Committed, err error) {
	held := false
	defer func() {
		if !held {
			return
		}
		if own.uids = c.UIDs; err == nil && len(own.uids) > 0 {
			b.claims.mu.Lock()
			b.claims.list = append(b.claims.list, own)
			b.claims.mu.Unlock()
		}
		b.claiming.RUnlock()
	}()
	return commit(func() {
		if !held {
			b.claiming.RLock()
			held = true
		}
	})
}

// claim claims all that is \Recent and keeps for others what is theirs. own is nil for who has added nothing.
func (b *Box) claim(ctx context.Context, own *ownClaim) (formats.Ranges, error) {
	b.claiming.Lock()
	defer b.claiming.Unlock()
	all, err := b.claimAll(ctx)
	return b.claims.share(all, own), err
}

// claimAll is called with claiming locked.
func (b *Box) claimAll(ctx context.Context) (formats.Ranges, error) {
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

// share gives what is the caller's of all that he has claimed, and of his own what others have claimed before. His claim is
// over then.
func (l *claims) share(all formats.Ranges, own *ownClaim) (mine formats.Ranges) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = slices.DeleteFunc(l.list, func(c *ownClaim) bool { return c == own })
	if mine = all; len(l.list) > 0 {
		mine = nil
		for uid := range all.All() {
			i := slices.IndexFunc(l.list, func(c *ownClaim) bool { return c.uids.Contains(uid) })
			if i < 0 {
				mine.Add(uid)
			} else {
				l.list[i].got.Add(uid)
			}
		}
	}
	if own != nil {
		for _, r := range own.got {
			mine.AddRange(r.First, r.Last)
		}
	}
	return mine
}

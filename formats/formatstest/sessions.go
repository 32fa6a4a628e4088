package formatstest

import (
	"context"
	"sync"
	"testing"

	"dovetail/formats"
)

// testClaims has several claim what is \Recent while messages come in: two by the same store, two by another one, as
// another process has it.
func testClaims(t *testing.T, b *bench) {
	if b.limits.NoRecent {
		return
	}
	b.create("Box", like())
	const messages = 24
	other := b.another(b.fs, false)
	came := make(chan struct{})
	var wait sync.WaitGroup
	var mu sync.Mutex
	times := map[formats.UID]int{}
	for i := range 4 {
		store := b.store
		if i%2 == 1 {
			store = other
		}
		box := openBox(t, store, "Box")
		wait.Go(func() {
			for over := false; !over; {
				select {
				case <-came:
					over = true // and once more
				default:
				}
				recent := claim(t, box)
				mu.Lock()
				for uid := range recent.All() {
					times[uid]++
				}
				mu.Unlock()
			}
		})
	}
	for uid := range formats.UID(messages) {
		m := few(int(uid) + 1)[0]
		m.Flags = formats.Recent
		if uid%3 == 2 {
			m.Flags |= formats.Seen
		}
		b.add("Box", m)
	}
	close(came)
	wait.Wait()
	for uid := range formats.UID(messages) {
		if n := times[uid+1]; n != 1 {
			t.Errorf("message %d was claimed %d times", uid+1, n)
		}
	}
	b.reopen()
	if st := b.status("Box"); st.Recent != 0 || st.FirstRecent != st.UIDNext {
		t.Errorf("after all was claimed: %+v", st)
	}
}

// claim gives nothing for a format that does not keep what is recent.
func claim(t *testing.T, box formats.Mailbox) formats.Ranges {
	done, err := box.Update(context.Background(), func(tx formats.Tx) error {
		if c, ok := tx.(formats.RecentClaimer); ok {
			c.ClaimRecent()
		}
		return nil
	})
	if err != nil {
		t.Errorf("claim: %v", err)
	}
	return done.Recent
}

// keepModSeqs tells whether the format does.
func (b *bench) keepModSeqs(name string) (does bool) {
	b.t.Helper()
	b.update(name, func(tx formats.Tx) error {
		var k formats.ModSeqKeeper
		if k, does = tx.(formats.ModSeqKeeper); does {
			k.KeepModSeqs()
		}
		return nil
	})
	return does && b.status(name).KeepsModSeqs
}

// testConditional: whether a message has changed is decided when the change is made, not when it was asked for.
func testConditional(t *testing.T, b *bench) {
	b.create("Box", like())
	b.add("Box", few(1, 2, 3)...)
	if !b.keepModSeqs("Box") {
		return
	}
	known := b.status("Box").HighestModSeq
	mine, theirs := b.box("Box"), openBox(t, b.another(b.fs, false), "Box")
	list(t, mine, 0)
	all := formats.Ranges{{First: 1, Last: 9}}
	done, err := mine.Update(t.Context(), func(tx formats.Tx) error {
		_, err := theirs.Update(t.Context(), func(tx formats.Tx) error {
			return tx.SetFlags(formats.RangesOf(2), formats.FlagChange{Flags: formats.Flagged})
		})
		b.ok("change by another one", err)
		return tx.SetFlags(all, formats.FlagChange{Flags: formats.Answered, UnchangedSince: known})
	})
	b.ok("conditional change", err)
	if got := done.Modified.String(); got != "2" {
		t.Errorf("left out were %q, want 2", got)
	}
	for _, m := range list(t, theirs, 0) {
		want := formats.Answered
		if m.UID == 2 {
			want = formats.Flagged
		}
		if m.Flags&(formats.Answered|formats.Flagged) != want {
			t.Errorf("message %d has %v", m.UID, m.Flags.Names())
		}
	}
}

// testHistory: a mailbox that keeps modseqs remembers what was expunged since one of them.
func testHistory(t *testing.T, b *bench) {
	b.create("Box", like())
	b.add("Box", few(1, 2, 3, 4, 5, 6)...)
	if !b.keepModSeqs("Box") {
		return
	}
	b.update("Box", func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(1)) })
	since := b.status("Box").HighestModSeq
	b.update("Box", func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(2, 4)) })
	b.update("Box", func(tx formats.Tx) error {
		return tx.SetFlags(formats.RangesOf(5), formats.FlagChange{Flags: formats.Seen})
	})
	b.reopen()
	box, now := b.box("Box"), b.status("Box").HighestModSeq
	h, ok := box.(formats.Historian)
	if !ok {
		t.Fatal("modseqs are kept, but no history")
	}
	for _, tc := range []struct {
		since formats.ModSeq
		want  string
	}{{since, "2,4"}, {now, ""}} {
		uids, complete, err := h.Expunged(t.Context(), tc.since)
		b.ok("history", err)
		if uids.String() != tc.want || !complete {
			t.Errorf("expunged since %d: %q, complete %v; want %q", tc.since, uids, complete, tc.want)
		}
	}
	for _, m := range list(t, box, 0) {
		if changed := m.ModSeq > since; changed != (m.UID == 5) {
			t.Errorf("message %d has modseq %d, and %d was before the change of 5", m.UID, m.ModSeq, since)
		}
	}
}

package formatstest

import (
	"slices"
	"testing"

	"dovetail/formats"
)

// few gives messages without flags and keywords. UID 0 leaves UID and GUID to the mailbox.
func few(uids ...int) []Mail {
	mails := Samples(uids...)
	for i := range mails {
		mails[i].Flags, mails[i].Keywords, mails[i].ModSeq = 0, nil, 0
		if uids[i] == 0 {
			mails[i].GUID = ""
		}
	}
	return mails
}

func numbers(first, last int) []int {
	var all []int
	for n := first; n <= last; n++ {
		all = append(all, n)
	}
	return all
}

// want checks flags and keywords of every message.
func (b *bench) want(name string, of func(uid formats.UID) (formats.Flags, []string)) {
	b.t.Helper()
	for _, m := range list(b.t, b.box(name), 0) {
		flags, keywords := of(m.UID)
		if m.Flags&formats.SystemFlags != flags || !formats.SameKeywords(m.Keywords, keywords) {
			b.t.Errorf("uid %d has %v %q, want %v %q", m.UID, m.Flags, m.Keywords, flags, keywords)
		}
	}
}

func testBulkFlags(t *testing.T, b *bench) {
	const n = 300
	b.create("Box", like())
	b.add("Box", few(numbers(1, n)...)...)
	set := func(change formats.FlagChange, uids formats.Ranges) formats.Committed {
		t.Helper()
		return b.update("Box", func(tx formats.Tx) error { return tx.SetFlags(uids, change) })
	}
	before := b.status("Box").HighestModSeq
	done := set(formats.FlagChange{Op: formats.AddFlags, Flags: formats.Seen | formats.Flagged, Keywords: []string{"Work"}}, formats.Ranges{{First: 1, Last: n}})
	if before != 0 && !b.limits.NoModSeq && done.HighestModSeq <= before {
		t.Errorf("HIGHESTMODSEQ was %d, after the change %d", before, done.HighestModSeq)
	}
	set(formats.FlagChange{Op: formats.RemoveFlags, Flags: formats.Seen, Keywords: []string{"work"}}, formats.Ranges{{First: 1, Last: 100}})
	set(formats.FlagChange{Op: formats.ReplaceFlags, Flags: formats.Draft, Keywords: []string{"Other"}}, formats.Ranges{{First: 50, Last: 60}, {First: 299, Last: 299}})
	for range 2 {
		b.want("Box", func(uid formats.UID) (formats.Flags, []string) {
			switch {
			case 50 <= uid && uid <= 60 || uid == 299:
				return formats.Draft, []string{"Other"}
			case uid <= 100:
				return formats.Flagged, nil
			}
			return formats.Seen | formats.Flagged, []string{"Work"}
		})
		if got := b.status("Box").Unseen; got != 101 {
			t.Errorf("%d unseen, want 101", got)
		}
		b.reopen()
	}
}

func testKeywords(t *testing.T, b *bench) {
	words := Keywords(40)
	if b.limits.MaxKeywords > 0 {
		words = words[:min(len(words), b.limits.MaxKeywords)]
	}
	b.create("Box", like())
	b.add("Box", few(1, 2, 3)...)
	for i, word := range words { // one at a time, as clients do
		if why := b.limits.KeywordProblem(word); why != "" {
			t.Errorf("keyword %q is refused: %s", word, why)
		}
		uid := formats.UID(1 + i%2)
		b.update("Box", func(tx formats.Tx) error {
			return tx.SetFlags(formats.RangesOf(uid), formats.FlagChange{Keywords: []string{word}})
		})
	}
	check := func(third []string) {
		t.Helper()
		b.want("Box", func(uid formats.UID) (formats.Flags, []string) {
			var mine []string
			for i, word := range words {
				if formats.UID(1+i%2) == uid {
					mine = append(mine, word)
				}
			}
			if uid == 3 {
				return 0, third
			}
			return 0, mine
		})
	}
	check(nil)
	b.reopen()
	b.update("Box", func(tx formats.Tx) error {
		return tx.SetFlags(formats.RangesOf(3), formats.FlagChange{Op: formats.ReplaceFlags, Keywords: words})
	})
	check(words)
	b.reopen()
	check(words)
	b.update("Box", func(tx formats.Tx) error {
		return tx.SetFlags(formats.RangesOf(3), formats.FlagChange{Op: formats.RemoveFlags, Keywords: words})
	})
	check(nil)
}

func testExpunge(t *testing.T, b *bench) {
	b.create("Box", like())
	mails := Samples(numbers(1, 10)...)
	b.add("Box", mails...)
	b.update("Box", func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(1, 4, 5, 10)) })
	kept := []Mail{mails[1], mails[2], mails[5], mails[6], mails[7], mails[8]}
	for range 2 {
		for i := range kept {
			kept[i].ModSeq = 0 // an mbox is renumbered; others keep it, see testIdentity
		}
		sameMails(t, "after the expunge", b.limits, b.box("Box"), kept)
		if st := b.status("Box"); st.UIDNext != 11 || st.Messages != 6 {
			t.Errorf("status %+v", st)
		}
		b.reopen()
	}
	next := Sample(11)
	next.UID, next.ModSeq = 0, 0
	if got := b.add("Box", next).UIDs.String(); got != "11" {
		t.Errorf("appended as %s, want 11", got)
	}
	b.update("Box", func(tx formats.Tx) error { return tx.Expunge(formats.Ranges{{First: 1, Last: 11}}) })
	b.reopen()
	if st := b.status("Box"); st.UIDNext != 12 || st.Messages != 0 || st.UIDValidity != like().UIDValidity {
		t.Errorf("emptied: %+v", st)
	}
	if got := b.add("Box", next).UIDs.String(); got != "12" {
		t.Errorf("appended to the emptied mailbox as %s, want 12", got)
	}
	next.UID = 12
	sameMails(t, "after being emptied", b.limits, b.box("Box"), []Mail{next})
}

func testGone(t *testing.T, b *bench) {
	b.create("Box", like())
	b.add("Box", few(2, 5, 9)...)
	far := formats.Ranges{{First: 1, Last: 1}, {First: 4, Last: 8}, {First: 20, Last: ^formats.UID(0)}}
	b.update("Box", func(tx formats.Tx) error {
		if err := tx.SetFlags(far, formats.FlagChange{Flags: formats.Deleted}); err != nil {
			return err
		}
		return tx.Expunge(formats.Ranges{{First: 6, Last: 8}, {First: 100, Last: 200}})
	})
	b.want("Box", func(uid formats.UID) (formats.Flags, []string) {
		if uid == 5 {
			return formats.Deleted, nil
		}
		return 0, nil
	})
	b.update("Box", func(formats.Tx) error { return nil })
	if got := b.uids("Box"); got != "2,5,9" {
		t.Errorf("UIDs %s", got)
	}
	box := b.box("Box")
	gone := list(t, box, 0)[1]
	b.update("Box", func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(5)) })
	fresh := b.box("Box")
	if body, err := fresh.Body(t.Context(), &gone); err == nil {
		body.Close()
		t.Error("the body of an expunged message was opened")
	} else {
		wantErr(t, "the body of an expunged message", err, formats.ErrNoMessage)
	}
}

func testOrder(t *testing.T, b *bench) {
	b.create("Box", like())
	b.add("Box", few(1, 2)...)
	b.update("Box", func(tx formats.Tx) error {
		all := formats.Ranges{{First: 1, Last: 100}}
		if err := tx.Expunge(formats.RangesOf(1, 4)); err != nil {
			return err
		}
		if err := tx.SetFlags(all, formats.FlagChange{Flags: formats.Seen}); err != nil {
			return err
		}
		if err := tx.SetFlags(all, formats.FlagChange{Op: formats.RemoveFlags, Flags: formats.Answered}); err != nil {
			return err
		}
		mails := few(3, 4, 5)
		mails[0].Flags = formats.Answered | formats.Flagged
		return appendAll(t.Context(), tx, mails)
	})
	b.reopen()
	if got := b.uids("Box"); got != "2:3,5" {
		t.Errorf("UIDs %s, want 2:3,5", got)
	}
	b.want("Box", func(uid formats.UID) (formats.Flags, []string) {
		if uid == 3 {
			return formats.Seen | formats.Flagged, nil
		}
		return formats.Seen, nil
	})
	if got := b.status("Box").UIDNext; got != 6 {
		t.Errorf("UIDNEXT %d, want 6", got)
	}
}

func testRaise(t *testing.T, b *bench) {
	b.create("Box", like())
	b.add("Box", few(1)...)
	raise := func(next formats.UID, highest formats.ModSeq) {
		t.Helper()
		b.update("Box", func(tx formats.Tx) error { return tx.Raise(next, highest, 0) })
	}
	raise(50, 7000)
	raise(40, 6000)
	raise(0, 0)
	b.reopen()
	st := b.status("Box")
	if st.UIDNext != 50 || !b.limits.NoModSeq && st.HighestModSeq != 7000 {
		t.Errorf("status %+v, want UIDNEXT 50 and HIGHESTMODSEQ 7000", st)
	}
	next := few(0)[0]
	if got := b.add("Box", next).UIDs.String(); got != "50" {
		t.Errorf("the next message is %s, want 50", got)
	}
	b.create("Empty", like())
	b.update("Empty", func(tx formats.Tx) error { return tx.Raise(900, 0, 0) })
	b.reopen()
	if got := b.status("Empty").UIDNext; got != 900 {
		t.Errorf("UIDNEXT of an empty mailbox %d, want 900", got)
	}
	ahead := like()
	ahead.UIDNext, ahead.HighestModSeq = 70, 800
	b.create("Ahead", ahead)
	b.reopen()
	if st := b.status("Ahead"); st.UIDNext != 70 || !b.limits.NoModSeq && st.HighestModSeq != 800 {
		t.Errorf("created ahead: %+v", st)
	}
	testFirstRecent(t, b)
}

func testFirstRecent(t *testing.T, b *bench) {
	if b.limits.NoRecent {
		return
	}
	b.create("Recent", like())
	b.add("Recent", few(1, 2, 3, 4)...)
	b.update("Recent", func(tx formats.Tx) error { return tx.Raise(0, 0, 3) })
	b.reopen()
	if st := b.status("Recent"); st.Recent != 2 || st.FirstRecent != 3 {
		t.Errorf("recent from UID 3 of 4: %+v", st)
	}
	for _, m := range list(t, b.box("Recent"), 0) {
		if recent := m.Flags&formats.Recent != 0; recent != (m.UID >= 3) {
			t.Errorf("uid %d: recent is %v", m.UID, recent)
		}
	}
}

// testHighUIDs: 2^32-1 is no UID of Dovecot's, and UIDNEXT must fit behind the last one.
func testHighUIDs(t *testing.T, b *bench) {
	b.create("Box", like())
	const last = ^formats.UID(0) - 2
	high := few(1, int(last)-1, int(last))
	b.add("Box", high...)
	b.reopen()
	sameMails(t, "high UIDs", b.limits, b.box("Box"), high)
	if got := b.status("Box").UIDNext; got != last+1 {
		t.Errorf("UIDNEXT %d, want %d", got, last+1)
	}
	box := b.box("Box")
	_, err := box.Update(t.Context(), func(tx formats.Tx) error {
		return appendAll(t.Context(), tx, []Mail{few(0)[0], few(0)[0], few(0)[0]})
	})
	if err == nil {
		t.Errorf("three messages found a UID behind %d", last)
	}
	if got, want := b.uids("Box"), formats.RangesOf(1, last-1, last).String(); got != want && err != nil {
		t.Errorf("UIDs %s after the refusal, want %s", got, want)
	}
}

func testListingDuringUpdate(t *testing.T, b *bench) {
	b.create("Box", like())
	b.add("Box", few(numbers(1, 40)...)...)
	box := b.box("Box")
	var seen []formats.UID
	for m, err := range box.Messages(t.Context(), formats.Query{}) {
		b.ok("list", err)
		seen = append(seen, m.UID)
		if m.UID == 5 {
			b.update("Box", func(tx formats.Tx) error {
				if err := appendAll(t.Context(), tx, few(41, 42)); err != nil {
					return err
				}
				if err := tx.SetFlags(formats.Ranges{{First: 1, Last: 42}}, formats.FlagChange{Flags: formats.Seen}); err != nil {
					return err
				}
				return tx.Expunge(formats.RangesOf(3, 30))
			})
		}
	}
	if len(seen) != 40 || !slices.IsSorted(seen) {
		t.Errorf("listed %d, want the 40 there were: %v", len(seen), seen)
	}
	if got := b.uids("Box"); got != "1:2,4:29,31:42" {
		t.Errorf("afterwards %s", got)
	}
	for range box.Messages(t.Context(), formats.Query{}) {
		break // leaving a listing early must leave nothing behind
	}
}

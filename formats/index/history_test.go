package index

import (
	"testing"

	"dovetail/formats"
)

func TestExpungedMessagesAreRememberedAsFarAsTheLogReaches(t *testing.T) {
	n := New{UIDValidity: 1, HighestModSeq: 50}
	for uid := range formats.UID(9) {
		n.Messages = append(n.Messages, Message{UID: uid + 1, ModSeq: 50})
	}
	x, err := Create(t.Context(), testDir(t, nil), Prefix, n)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	expunge := func(uid formats.UID) formats.ModSeq {
		t.Helper()
		if err := x.Update(t.Context(), func(tx *Tx) error { tx.Expunge(uid, formats.GUID{1}); return nil }); err != nil {
			t.Fatal(err)
		}
		return x.Snapshot().HighestModSeq()
	}
	begin := x.Snapshot().HighestModSeq()
	second := expunge(3)
	expunge(7)
	if err := x.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	third := expunge(8)
	for _, c := range []struct {
		when     string
		since    formats.ModSeq
		want     string
		complete bool
	}{
		{"before the mailbox was carried over", 10, "3,7:8", false},
		{"from its beginning here", begin, "3,7:8", true},
		{"after the first", second, "7:8", true},
		{"after all", third, "", true},
	} {
		uids, complete, err := Expunged(x.dir, Prefix, c.since)
		if err != nil || uids.String() != c.want || complete != c.complete {
			t.Errorf("%s, since %d: %s, complete %v, %v; want %s, %v", c.when, c.since, uids, complete, err, c.want, c.complete)
		}
	}
}

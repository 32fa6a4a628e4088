package index

import (
	"reflect"
	"testing"

	"dovetail/formats"
)

// described is all that a state tells of its messages.
func described(s *State) (all []Message) {
	for _, m := range s.All() {
		all = append(all, m)
	}
	return all
}

func TestStatesThatShareRecordsStayAsTheyWere(t *testing.T) {
	const n = 2*pageRecords + 100
	create := New{UIDValidity: 1}
	for uid := range formats.UID(n) {
		create.Messages = append(create.Messages, Message{UID: uid + 1, Flags: formats.Seen})
	}
	x, err := Create(t.Context(), testDir(t, nil), Prefix, create)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	at := func(uid formats.UID) formats.Ranges { return formats.RangesOf(uid) }
	var states []*State
	var told [][]Message
	for _, step := range []struct {
		name           string
		do             func(tx *Tx)
		length, unseen int
	}{
		{"a flag in the first page", func(tx *Tx) { tx.UpdateFlags(at(3), formats.Draft, formats.Seen) }, n, 1},
		{"modseqs from now on", func(tx *Tx) { tx.KeepModSeqs() }, n, 1},
		{"a keyword that makes records longer", func(tx *Tx) { tx.AddKeyword("word", at(pageRecords+1)) }, n, 1},
		{"a message behind all others", func(tx *Tx) { tx.Append(Message{Flags: formats.Flagged}) }, n + 1, 2},
		{"expunged at the borders of pages", func(tx *Tx) {
			for _, uid := range []formats.UID{pageRecords, pageRecords + 1, n} {
				tx.Expunge(uid, formats.GUID{})
			}
		}, n - 2, 2},
		{"a flag for all", func(tx *Tx) { tx.UpdateFlags(all(), formats.Answered, formats.Seen) }, n - 2, n - 2},
	} {
		states, told = append(states, x.Snapshot()), append(told, described(x.Snapshot()))
		if err := x.Update(t.Context(), func(tx *Tx) error { step.do(tx); return nil }); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		is := x.Snapshot()
		if is.Len() != step.length || is.Unseen() != step.unseen {
			t.Errorf("%s: %d messages, %d of them unseen; want %d and %d", step.name, is.Len(), is.Unseen(), step.length, step.unseen)
		}
		for i := range is.Len() {
			next := formats.UID(n + 100)
			if i+1 < is.Len() {
				next = is.UID(i + 1)
			}
			if at, ok := is.Find(is.UID(i)); at != i || !ok {
				t.Fatalf("%s: message %d is found at %d, %v", step.name, i, at, ok)
			}
			if at, ok := is.Find(is.UID(i) + 1); at != i+1 || ok != (next == is.UID(i)+1) {
				t.Fatalf("%s: what follows message %d is found at %d, %v", step.name, i, at, ok)
			}
		}
		for i, s := range states {
			if !reflect.DeepEqual(described(s), told[i]) {
				t.Fatalf("%s: state %d is another one now", step.name, i)
			}
		}
		again, err := Read(x.dir, Prefix)
		if err != nil || !reflect.DeepEqual(described(again), described(is)) || again.Unseen() != is.Unseen() {
			t.Fatalf("%s: who reads the files sees something else: %v", step.name, err)
		}
	}
}

func TestStatesAreComparedAcrossPages(t *testing.T) {
	const n = 2 * pageRecords
	create := New{UIDValidity: 1}
	for uid := range formats.UID(n) {
		create.Messages = append(create.Messages, Message{UID: uid + 1})
	}
	x, err := Create(t.Context(), testDir(t, nil), Prefix, create)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	was := x.Snapshot()
	if err := x.Update(t.Context(), func(tx *Tx) error {
		tx.Expunge(10, formats.GUID{})
		tx.UpdateFlags(formats.RangesOf(pageRecords+5), formats.Flagged, 0)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	is := x.Snapshot()
	for _, c := range []struct {
		name    string
		i, j, n int
		same    bool
	}{
		{"none", 0, 0, 0, true},
		{"in front of the one that is gone", 0, 0, 9, true},
		{"behind it, other places", 9, 10, pageRecords - 6, true},
		{"with the one that was changed", 9, 10, pageRecords, false},
		{"behind that", pageRecords + 4, pageRecords + 5, pageRecords - 5, true},
		{"more than there are", 9, 10, n, false},
	} {
		if got := is.Same(c.i, was, c.j, c.n); got != c.same {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

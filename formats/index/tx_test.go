package index

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/index/translog"
)

// txIndex is an index with messages 1 to 10; odd ones are Seen, the first two have keyword a, the rest has b.
func txIndex(t *testing.T) *Index {
	t.Helper()
	n := New{UIDValidity: 1}
	for uid := range formats.UID(10) {
		m := Message{UID: uid + 1, Keywords: []string{"b"}}
		if uid%2 == 0 {
			m.Flags = formats.Seen
		}
		if uid < 2 {
			m.Keywords = []string{"a"}
		}
		n.Messages = append(n.Messages, m)
	}
	x, err := Create(t.Context(), testDir(t, nil), Prefix, n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

// logged prints the records that a transaction adds, without offsets.
func logged(t *testing.T, x *Index, do func(tx *Tx)) string {
	t.Helper()
	from := x.Snapshot().Head
	if err := x.Update(t.Context(), func(tx *Tx) error { do(tx); return nil }); err != nil {
		t.Fatal(err)
	}
	b := readFile(t, x.dir, "dovecot.index.log")
	b = slices.Concat(b[:translog.HeaderSize], b[from:])
	var out bytes.Buffer
	if err := translog.Dump(&out, bytes.NewReader(b), int64(len(b))); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(out.String()) {
		name, rest, _ := strings.Cut(line[10:], " ")
		if name == "boundary" {
			continue
		}
		_, rest, _ = strings.Cut(rest, ": ")
		lines = append(lines, strings.TrimSpace(name+" "+rest))
	}
	return strings.Join(lines[1:], "\n")
}

func all() formats.Ranges { return formats.Ranges{{First: 1, Last: 1 << 31}} }

func TestWhatIsLogged(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(tx *Tx)
		want string
	}{
		{"nothing for a change that changes nothing", func(tx *Tx) {
			tx.UpdateFlags(formats.RangesOf(1, 3, 99), formats.Seen, 0)
			tx.AddKeyword("A", formats.RangesOf(1, 2))
			tx.RemoveKeyword("none", all())
			tx.Expunge(77, formats.GUID{})
			tx.RaiseNextUID(5)
			tx.SetUIDValidity(1)
			tx.SetFirstRecent(11)
			tx.RaiseModSeq(1)
		}, ""},
		{"one range where all messages change", func(tx *Tx) {
			tx.UpdateFlags(all(), formats.Flagged, 0)
		}, `flag-update 1:10(+\Flagged -)`},
		{"several ranges in one record", func(tx *Tx) {
			tx.UpdateFlags(all(), 0, formats.Seen)
		}, `flag-update 1:1(+ -\Seen) 3:3(+ -\Seen) 5:5(+ -\Seen) 7:7(+ -\Seen) 9:9(+ -\Seen)`},
		{"different flags in one record while UIDs ascend", func(tx *Tx) {
			tx.UpdateFlags(formats.RangesOf(1), formats.Draft, 0)
			tx.UpdateFlags(formats.RangesOf(2), formats.Deleted, 0)
			tx.UpdateFlags(formats.RangesOf(1), formats.Answered, 0)
		}, "flag-update 1:1(+\\Draft -) 2:2(+\\Deleted -)\nflag-update 1:1(+\\Answered -)"},
		{"keywords in the order of calls", func(tx *Tx) {
			tx.ClearKeywords(formats.RangesOf(2, 3))
			tx.AddKeyword("a", formats.RangesOf(2))
			tx.AddKeyword("A", formats.RangesOf(3))
		}, "keyword-reset 2:3\nkeyword-update +\"a\" 2:2 3:3"},
		{"appends with their keywords, then expunges", func(tx *Tx) {
			tx.Expunge(3, formats.GUID{0xab})
			tx.Append(Message{Flags: formats.Seen | formats.Recent, Keywords: []string{"x", "B"}})
			tx.Append(Message{UID: 20, Keywords: []string{"b"}})
			tx.RaiseNextUID(30)
			tx.SetFirstRecent(1000)
		}, "append 11(\\Seen) 20()\nkeyword-update +\"x\" 11:11\nkeyword-update +\"B\" 11:11 20:20\n" +
			"expunge-guid 3(ab000000000000000000000000000000)\nheader-update 28=1e000000\nheader-update 48=1e000000"},
		{"data of an extension with its introduction", func(tx *Tx) {
			tx.Introduce(Extension{Name: "ref", Size: 2, Align: 2})
			tx.SetData("ref", 4, []byte{1, 0})
			tx.Increment("ref", 4, 7)
		}, "ext-intro name=\"ref\" reset=0 header=0 record=2 align=2\next-intro name=\"ref\" reset=0 header=0 record=2 align=2\n" +
			"ext-rec-update 4=0100\next-intro name=\"ref\" reset=0 header=0 record=2 align=2\next-atomic-inc 4+7"},
		{"the tail outside the transaction", func(tx *Tx) {
			tx.UpdateFlags(formats.RangesOf(1), formats.Draft, 0)
			tx.SyncTail()
		}, `flag-update 1:1(+\Draft -)` + "\nheader-update 64="},
		{"a deletion", func(tx *Tx) { tx.DeleteIndex() }, "index-deleted 00000000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := txIndex(t)
			if got := logged(t, x, c.do); got != c.want && !(strings.HasSuffix(c.want, "=") && strings.HasPrefix(got, c.want)) {
				t.Errorf("logged\n%s\nwant\n%s", got, c.want)
			}
			fresh, err := Read(x.dir, Prefix)
			if err != nil || !slices.Equal(known(fresh), known(x.Snapshot())) || fresh.Deleted != x.Snapshot().Deleted {
				t.Errorf("read anew %q, %v; we know %q", known(fresh), err, known(x.Snapshot()))
			}
		})
	}
}

func TestSyncTail(t *testing.T) {
	x := txIndex(t)
	if err := x.Update(t.Context(), func(tx *Tx) error { tx.SyncTail(); return nil }); err != nil {
		t.Fatal(err)
	}
	if s := x.Snapshot(); s.Tail != s.Head {
		t.Errorf("tail %d, head %d", s.Tail, s.Head)
	}
}

func TestExtensionData(t *testing.T) {
	x := txIndex(t)
	update := func(do func(tx *Tx)) {
		t.Helper()
		if err := x.Update(t.Context(), func(tx *Tx) error { do(tx); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	update(func(tx *Tx) {
		tx.Introduce(Extension{Name: "map", Header: []byte("12345678"), Size: 12, Align: 4})
		tx.Introduce(Extension{Name: "guid", Size: 16, Align: 1})
		for uid := range formats.UID(10) {
			tx.SetData("map", uid+1, []byte(fmt.Sprintf("map of %5d", uid+1)))
		}
	})
	update(func(tx *Tx) {
		for i := range 40 { // the bitmap grows and moves the others
			tx.AddKeyword(fmt.Sprint("k", i), formats.RangesOf(formats.UID(i%10+1)))
		}
		tx.SetHeader("map", 2, []byte("xx"))
		tx.Introduce(Extension{Name: "guid", Header: []byte("new"), Size: 20, Align: 1})
		tx.SetData("guid", 5, []byte("guid of the fifth..."))
		tx.Expunge(2, formats.GUID{})
	})
	s, err := Read(x.dir, Prefix)
	if err != nil {
		t.Fatal(err)
	}
	m, g := s.Ext("map"), s.Ext("guid")
	if string(m.Header) != "12xx5678" || string(g.Header) != "new" || s.Ext("none") != nil {
		t.Errorf("headers %q and %q", m.Header, g.Header)
	}
	for i := range s.Len() {
		if got, want := string(s.Data(i, m)), fmt.Sprintf("map of %5d", s.UID(i)); got != want {
			t.Errorf("uid %d has %q", s.UID(i), got)
		}
	}
	if i, _ := s.Find(5); string(s.Data(i, g)) != "guid of the fifth..." {
		t.Errorf("guid of uid 5 is %q", s.Data(i, g))
	}
	update(func(tx *Tx) { tx.ResetExt("map", 7) })
	if s := x.Snapshot(); s.Ext("map").ResetID != 7 || !bytes.Equal(s.Data(0, s.Ext("map")), make([]byte, 12)) {
		t.Errorf("after a reset: %+v, %q", s.Ext("map"), s.Data(0, s.Ext("map")))
	}
}

func TestUIDsThatAreTaken(t *testing.T) {
	x := txIndex(t)
	err := x.Update(t.Context(), func(tx *Tx) error {
		if _, err := tx.Append(Message{UID: 20}); err != nil {
			t.Error(err)
		}
		_, err := tx.Append(Message{UID: 15})
		return err
	})
	if !errors.Is(err, formats.ErrUIDTaken) || x.Snapshot().NextUID != 11 {
		t.Errorf("error %v, next UID %d", err, x.Snapshot().NextUID)
	}
}

func TestAnErrorOfTheCallerWritesNothing(t *testing.T) {
	x := txIndex(t)
	before := readFile(t, x.dir, "dovecot.index.log")
	mine := errors.New("mine")
	err := x.Update(t.Context(), func(tx *Tx) error { tx.Append(Message{}); return mine })
	if err != mine || !bytes.Equal(before, readFile(t, x.dir, "dovecot.index.log")) {
		t.Errorf("error %v, log changed", err)
	}
}

func TestChosenModSeqs(t *testing.T) {
	one := formats.RangesOf
	for _, c := range []struct {
		name    string
		do      func(tx *Tx) error
		want    map[formats.UID]formats.ModSeq
		highest formats.ModSeq
	}{
		{"none: the counter's next", func(tx *Tx) error {
			_, err := tx.Append(Message{UID: 12})
			return err
		}, map[formats.UID]formats.ModSeq{12: 10}, 10},
		{"above the counter", func(tx *Tx) error {
			_, err := tx.Append(Message{UID: 12, ModSeq: 33})
			return err
		}, map[formats.UID]formats.ModSeq{7: 5, 12: 33}, 33},
		{"below the counter, as in a mailbox carried over", func(tx *Tx) error {
			tx.Append(Message{UID: 12, ModSeq: 2, Keywords: []string{"x", "y"}})
			_, err := tx.Append(Message{UID: 13, ModSeq: 9})
			return err
		}, map[formats.UID]formats.ModSeq{7: 5, 12: 2, 13: 9}, 9},
		{"just above the highest, with keywords that count", func(tx *Tx) error {
			_, err := tx.Append(Message{UID: 12, ModSeq: 10, Keywords: []string{"x", "y", "z"}})
			return err
		}, map[formats.UID]formats.ModSeq{12: 10}, 10},
		{"for some of the messages only", func(tx *Tx) error {
			tx.Append(Message{UID: 12, ModSeq: 2})
			_, err := tx.Append(Message{UID: 13})
			return err
		}, map[formats.UID]formats.ModSeq{12: 2, 13: 10}, 10},
		{"for a change of flags", func(tx *Tx) error {
			tx.UpdateFlags(one(7), formats.Draft, 0)
			tx.AddKeyword("x", one(7))
			tx.SetModSeq(7, 10)
			return nil
		}, map[formats.UID]formats.ModSeq{7: 10}, 10},
		{"too low for a change of flags: clients must see it", func(tx *Tx) error {
			tx.UpdateFlags(one(7), formats.Draft, 0)
			tx.SetModSeq(7, 8)
			return nil
		}, map[formats.UID]formats.ModSeq{7: 10}, 10},
		{"the mailbox's own", func(tx *Tx) error { tx.RaiseModSeq(99); return nil }, map[formats.UID]formats.ModSeq{7: 5}, 99},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, err := Create(t.Context(), testDir(t, nil), Prefix, goldenNew())
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			if err := x.Update(t.Context(), c.do); err != nil {
				t.Fatal(err)
			}
			fresh, err := Read(x.dir, Prefix)
			if err != nil {
				t.Fatal(err)
			}
			for uid, want := range c.want {
				i, _ := fresh.Find(uid)
				if got := fresh.ModSeq(i); got != want {
					t.Errorf("uid %d has modseq %d, want %d", uid, got, want)
				}
			}
			if fresh.HighestModSeq() != c.highest || !slices.Equal(known(fresh), known(x.Snapshot())) {
				t.Errorf("highest %d, want %d; read anew %q, known %q", fresh.HighestModSeq(), c.highest, known(fresh), known(x.Snapshot()))
			}
		})
	}
}

func TestCreateTakesManyMessages(t *testing.T) {
	n := New{HighestModSeq: 7}
	for uid := range formats.UID(20000) {
		n.Messages = append(n.Messages, Message{UID: uid*3 + 1, ModSeq: formats.ModSeq(uid%7 + 1), Keywords: []string{fmt.Sprint("k", uid%100)}})
	}
	x, err := Create(t.Context(), testDir(t, nil), Prefix, n)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	s, err := Read(x.dir, Prefix)
	if err != nil || s.Len() != 20000 || s.HighestModSeq() != 7 {
		t.Fatalf("%d messages, highest %d, %v", s.Len(), s.HighestModSeq(), err)
	}
	for i, m := range s.All() {
		want := n.Messages[i]
		if m.UID != want.UID || m.ModSeq != want.ModSeq || !slices.Equal(m.Keywords, want.Keywords) {
			t.Fatalf("message %d is %+v, want %+v", i, m, want)
		}
	}
	_, err = Create(t.Context(), x.dir, Prefix, n)
	if err == nil {
		t.Error("created a second time")
	}
}

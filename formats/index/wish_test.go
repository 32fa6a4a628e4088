package index

import (
	"os"
	"reflect"
	"testing"

	"dovetail/formats"
	"dovetail/formats/index/translog"
)

func TestWishesAreToldUntilTheTailIsBehindThem(t *testing.T) {
	n := New{UIDValidity: 1}
	for uid := range formats.UID(5) {
		n.Messages = append(n.Messages, Message{UID: uid + 1})
	}
	x, err := Create(t.Context(), testDir(t, nil), Prefix, n)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	uids := func(first, last uint32) []byte {
		return appendRanges(nil, formats.Ranges{{First: formats.UID(first), Last: formats.UID(last)}})
	}
	var b []byte
	b = translog.AppendRecord(b, translog.FlagUpdate, append(uids(1, 2), byte(formats.Seen), byte(formats.Draft), 0, 0))
	b = translog.AppendRecord(b, translog.FlagUpdate|translog.External, append(uids(3, 3), byte(formats.Seen), 0, 0, 0))
	b = translog.AppendRecord(b, translog.KeywordUpdate, append(translog.AppendKeyword(nil, "work", true), uids(2, 4)...))
	b = translog.AppendRecord(b, translog.KeywordReset, uids(5, 5))
	b = translog.AppendRecord(b, translog.Expunge, uids(4, 5))
	f, err := x.dir.OpenWrite(Prefix+".log", os.O_APPEND)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	want := []Wish{
		{UIDs: formats.Ranges{{First: 1, Last: 2}}, Add: formats.Seen, Remove: formats.Draft},
		{UIDs: formats.Ranges{{First: 2, Last: 4}}, Keyword: "work", RemoveKeyword: true},
		{UIDs: formats.Ranges{{First: 5, Last: 5}}, ClearKeywords: true},
		{UIDs: formats.Ranges{{First: 4, Last: 5}}, Expunge: true},
	}
	err = x.Update(t.Context(), func(tx *Tx) error {
		got, err := tx.Wishes()
		if err != nil || !reflect.DeepEqual(got, want) || !tx.State().HasWishes() {
			t.Errorf("wishes %+v, %v\nwant %+v", got, err, want)
		}
		tx.SyncTail()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := x.Wishes(); len(got) > 0 || err != nil || x.Snapshot().HasWishes() || x.Snapshot().Len() != 5 {
		t.Errorf("afterwards there are wishes %+v, %v, and %d messages", got, err, x.Snapshot().Len())
	}
}

package sync

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"dovetail/formats"
)

func sampleNote() note {
	return note{
		entries: []*entry{
			{key: "k", name: "INBOX", target: "INBOX", srcGUID: formats.GUID{1}, dstGUID: formats.GUID{2}, srcUIDValidity: 5,
				dstUIDValidity: 6, pairs: []run{{1, 1, 3}, {9, 5, 1}, {4, 10, 2}, {0, 12, 1}}, planned: []run{{10, 13, 2}}, marks: []uint64{3, 4}, srcPrint: "a", dstPrint: "b"},
			{key: "k", name: "x", target: "y", moving: "z", volatile: true, pairs: []run{{1, 1, 2}}, idents: []uint64{7, 1 << 63}},
		},
		subscribed: map[string][]string{"k": {"INBOX", "y"}, "l": {}},
	}
}

func TestNoteComesBack(t *testing.T) {
	want := sampleNote()
	var got note
	if err := got.unmarshal(want.marshal()); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestNoteOfANewerVersionIsRefused(t *testing.T) {
	n := sampleNote()
	b := bytes.Replace(n.marshal(), []byte(" 1\n"), []byte(" 2\n"), 1)
	if err := n.unmarshal(b); !errors.Is(err, errNewerNote) {
		t.Errorf("error %v", err)
	}
}

func FuzzNote(f *testing.F) {
	n := sampleNote()
	f.Add(n.marshal()[len(noteMagic):])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		sealed := sealNote(append([]byte(noteMagic), b...))
		var n, again note
		if n.unmarshal(sealed) != nil {
			return // refused; it must only not panic
		}
		if err := again.unmarshal(n.marshal()); err != nil || !reflect.DeepEqual(n, again) {
			t.Fatalf("%q gave %+v, written and read again %+v, %v", b, n, again, err)
		}
	})
}

func TestPlacesGivesEachPlaceOfAHashOnceInOrder(t *testing.T) {
	p := placesOf([]uint64{5, 7, 5, 0, 7, 5}, []bool{false, true, false, false, false, false})
	for _, c := range []struct {
		hash uint64
		at   int
		ok   bool
	}{{5, 0, true}, {7, 4, true}, {5, 2, true}, {7, 0, false}, {6, 0, false}, {5, 5, true}, {5, 0, false}, {0, 3, true}} {
		if at, ok := p.take(c.hash); at != c.at || ok != c.ok {
			t.Errorf("take(%d) gave %d, %v, want %d, %v", c.hash, at, ok, c.at, c.ok)
		}
	}
}

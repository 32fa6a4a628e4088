package courier

import (
	"bytes"
	"reflect"
	"testing"
)

func sampleNote() *note {
	return &note{
		version: 5, begun: true, to: ToCourier, names: ToDovecot,
		pairs:   []move{{".R&D", ".R&-D"}, {".Gr\xfcn \"x\"\n", ".Gr&APw-n"}},
		moves:   []move{{".R&D", ".R&-D"}},
		writes:  []string{"", ".R&-D"},
		folders: map[string]states{"": {"a 1", "b"}, ".R&-D": {"", "c"}},
		files:   map[string]states{"subscriptions": {"x", "y"}},
	}
}

func TestNoteIsReadAsItWasWritten(t *testing.T) {
	want := sampleNote()
	var got note
	if err := got.unmarshal(want.marshal()); err != nil || !reflect.DeepEqual(&got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestDamagedNotesAreRefused(t *testing.T) {
	whole := sampleNote().marshal()
	for cut := range len(whole) - 1 {
		if new(note).unmarshal(whole[:cut]) == nil {
			t.Errorf("accepted when cut off after %d bytes", cut)
		}
	}
	for name, text := range map[string]string{
		"a folder elsewhere":  "dovetail courier 1\nmove \".a\" \"../b\"\nend\n",
		"the folder above":    "dovetail courier 1\nmove \".a\" \"..\"\nend\n",
		"a file below":        "dovetail courier 1\nwrite \"cur\"\nend\n",
		"an unknown word":     "dovetail courier 1\nremove \".a\"\nend\n",
		"another version":     "dovetail courier 2\nend\n",
		"lines after the end": "dovetail courier 1\nend\nend\n",
	} {
		if new(note).unmarshal([]byte(text)) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func FuzzNote(f *testing.F) {
	f.Add(sampleNote().marshal())
	f.Fuzz(func(t *testing.T, text []byte) {
		var n, again note
		if n.unmarshal(text) != nil {
			return
		}
		out := n.marshal()
		if err := again.unmarshal(out); err != nil || !bytes.Equal(again.marshal(), out) {
			t.Fatalf("%q gave %q, read again: %v", text, out, err)
		}
	})
}

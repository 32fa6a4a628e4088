package tree

import (
	"encoding/binary"
	"maps"
	"slices"
	"testing"
)

func FuzzListNames(f *testing.F) {
	f.Add([]byte("\x00\x01\x00\x00\x00Gr&APYA3w-e\x00\x02\x00\x00\x00R&-D\x00\x00\x00\x00\x00"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		names, err := parseListNames(b)
		if err != nil {
			return // refused; it must only not panic
		}
		out := []byte{0}
		for _, id := range slices.Sorted(maps.Keys(names)) {
			out = append(binary.LittleEndian.AppendUint32(out, id), names[id]...)
			out = append(out, 0)
		}
		again, err := parseListNames(append(out, 0, 0, 0, 0))
		if err != nil || !maps.Equal(again, names) {
			t.Fatalf("%q gave %v, written and read again %v, %v", b, names, again, err)
		}
	})
}

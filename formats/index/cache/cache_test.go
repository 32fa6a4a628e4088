package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"testing"

	"dovetail/formats"
)

// sample is a cache with two fields and a record that has both.
func sample() []byte {
	le := binary.LittleEndian
	b := []byte{1, 8, 1, 0}
	for _, v := range []uint32{7, 9, 0, 1, 0, 0} {
		b = le.AppendUint32(b, v)
	}
	b = append(b, 0x80, 0x80, 0x80, 0x88) // the fields are at 32
	b = append(b, 0, 0, 0, 0)
	for _, v := range []uint32{12 + 20 + 8, 2, 5, 6, 4, Variable} {
		b = le.AppendUint32(b, v)
	}
	b = append(b, 0, 2, 1, 0x82)
	b = append(b, "one\x00two\x00"...)
	for _, v := range []uint32{0, 8 + 8 + 8 + 4, 0, 0xabcd, 1, 3} {
		b = le.AppendUint32(b, v)
	}
	return append(b, 'x', 'y', 'z', 0)
}

func TestReadsFieldsAndRecords(t *testing.T) {
	b := sample()
	r, size := bytes.NewReader(b), int64(len(b))
	h, err := ReadHeader(r)
	if err != nil || h.IndexID != 7 || h.Seq != 9 || h.Fields != 32 {
		t.Fatalf("header %+v, %v", h, err)
	}
	fields, at, err := ReadFields(r, int64(h.Fields), size)
	want := []Field{{Name: "one", LastUsed: 5, Size: 4, Decision: 1}, {Name: "two", LastUsed: 6, Size: Variable, Type: 2, Decision: 0x82}}
	if err != nil || at != 32 || !reflect.DeepEqual(fields, want) {
		t.Fatalf("fields at %d %+v, %v; want %+v", at, fields, err, want)
	}
	values, older, err := ReadRecord(r, 72, size, fields)
	if err != nil || older != 0 || len(values) != 2 || string(values[1].Data) != "xyz" {
		t.Errorf("record %+v, %d, %v", values, older, err)
	}
}

func TestRefusesDamage(t *testing.T) {
	for _, c := range []struct {
		name string
		at   int
		b    byte
	}{
		{"another version", 0, 2},
		{"a field header larger than the file", 36 + 1, 9},
		{"more fields than there is room for", 40, 90},
		{"a record larger than the file", 76, 200},
		{"an older record that is newer", 72, 73},
		{"a value that is larger than its record", 88 + 4, 100},
		{"a field that does not exist", 88, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := sample()
			b[c.at] = c.b
			if err := Dump(io.Discard, bytes.NewReader(b), int64(len(b))); !errors.Is(err, formats.ErrCorrupt) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func FuzzCache(f *testing.F) {
	f.Add(sample())
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := Dump(io.Discard, bytes.NewReader(b), int64(len(b))); err != nil && !errors.Is(err, formats.ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

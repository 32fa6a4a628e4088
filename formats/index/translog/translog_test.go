package translog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
)

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		name string
		n    uint32
		want []byte
	}{
		{"the smallest record", 12, []byte{0x80, 0x80, 0x80, 0x83}},
		{"a size that needs two groups", 4 * 200, []byte{0x80, 0x80, 0x81, 0xc8}},
		{"the largest", 1<<30 - 4, []byte{0xff, 0xff, 0xff, 0xff}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b [4]byte
			putSize(b[:], c.n)
			if !bytes.Equal(b[:], c.want) || DecodeSize(b[:]) != c.n {
				t.Errorf("%d is % x, read as %d, want % x", c.n, b, DecodeSize(b[:]), c.want)
			}
		})
	}
	for i := range 4 {
		b := []byte{0x81, 0x82, 0x83, 0x84}
		b[i] &= 0x7f
		if n := DecodeSize(b); n != 0 {
			t.Errorf("% x is half written, but read as %d", b, n)
		}
	}
}

// log gives a header and what is put behind it.
func log(parts ...[]byte) []byte {
	b, _ := NewHeader(7, 2, 1700000000, 1).AppendBinary(nil)
	return slices.Concat(append([][]byte{b}, parts...)...)
}

func record(t Type, payload ...byte) []byte { return AppendRecord(nil, t, payload) }

func u32(v ...uint32) []byte {
	var b []byte
	for _, n := range v {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

// read gives the types of all records, and where reading stopped.
func read(b []byte) (types []Type, end int64, err error) {
	r := NewReader(bytes.NewReader(b), int64(len(b)))
	for rec, e := range r.Records(HeaderSize) {
		if e != nil {
			err = e
			break
		}
		types = append(types, rec.Type)
	}
	return types, r.End(), err
}

func transaction(records ...[]byte) []byte {
	all := slices.Concat(records...)
	return append(record(Boundary|External, u32(uint32(len(all)+12))...), all...)
}

func TestTransactions(t *testing.T) {
	one := record(Append|External, u32(1, 0)...)
	two := transaction(one, record(KeywordReset, u32(1, 1)...))
	whole := int64(HeaderSize + len(one) + len(two))
	for _, c := range []struct {
		name string
		b    []byte
		want []Type
		end  int64
	}{
		{"a log without records", log(), nil, HeaderSize},
		{"a single record and a transaction", log(one, two), []Type{Append, Boundary, Append, KeywordReset}, whole},
		{"a record head that is cut off", log(one, two, one[:7]), []Type{Append, Boundary, Append, KeywordReset}, whole},
		{"a record that is cut off", log(one, one[:12]), []Type{Append}, HeaderSize + 16},
		{"a transaction that is cut off between records", log(one, two[:28]), []Type{Append}, HeaderSize + 16},
		{"a transaction that is cut off in its last byte", log(one, two[:len(two)-1]), []Type{Append}, HeaderSize + 16},
		{"zeros behind the end", log(one, make([]byte, 100)), []Type{Append}, HeaderSize + 16},
		{"a transaction with zeros for its second half", log(one, two[:28], make([]byte, len(two)-28)), []Type{Append}, HeaderSize + 16},
	} {
		t.Run(c.name, func(t *testing.T) {
			types, end, err := read(c.b)
			if err != nil || !slices.Equal(types, c.want) || end != c.end {
				t.Errorf("% x: %v up to %d, %v; want %v up to %d", c.b, types, end, err, c.want, c.end)
			}
		})
	}
}

func TestDamage(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"a record smaller than its head", append([]byte{0x80, 0x80, 0x80, 0x81}, make([]byte, 8)...), "record of 4 bytes"},
		{"an empty record", record(Append), "empty append"},
		{"an unknown type", record(0x10, u32(1)...), "unknown record type 0x10"},
		{"an expunge without its protection bits", record(1, u32(1, 1)...), "unknown record type 0x1"},
		{"two types in one", record(Append|FlagUpdate, u32(1, 1, 1)...), "unknown record type 0x6"},
		{"a UID range that runs backwards", record(Expunge, u32(5, 4)...), "UID range 5:4"},
		{"UID 0", record(KeywordReset, u32(0, 4)...), "UID range 0:4"},
		{"overlapping UID ranges", record(KeywordReset, u32(1, 4, 4, 5)...), "UID range 4:5 after 4"},
		{"half a UID range", record(KeywordReset, u32(1, 4, 5)...), "12 bytes of UID ranges"},
		{"half an append", record(Append, u32(1)...), "multiple of 8"},
		{"a keyword without a name", record(KeywordUpdate, u32(0, 1, 1)...), "without a name"},
		{"a keyword without messages", record(KeywordUpdate, 0, 0, 1, 0, 'a', 0, 0, 0), "0 bytes of UID ranges"},
		{"a keyword longer than the record", record(KeywordUpdate, 0, 0, 200, 0), "name of 200 bytes"},
		{"a header update longer than the record", record(HeaderUpdate, 0, 0, 5, 0, 1, 2, 3, 4), "5 bytes of data"},
		{"an extension name longer than the record", record(ExtIntro, append(u32(1, 1, 1, 1), 0, 0, 9, 0)...), "name longer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := log(c.b)
			_, end, err := read(b)
			bad, ok := errors.AsType[*formats.Error](err)
			if !ok || !errors.Is(err, formats.ErrCorrupt) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("% x: error %v, want %q", c.b, err, c.want)
			}
			if bad.Offset != HeaderSize || end != HeaderSize {
				t.Errorf("damage at %d, read up to %d; want both %d", bad.Offset, end, HeaderSize)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	good, _ := NewHeader(7, 2, 3, 4).AppendBinary(nil)
	for _, c := range []struct {
		name  string
		spoil func(b []byte) []byte
		want  string // "": accepted
	}{
		{"ours", func(b []byte) []byte { return b }, ""},
		{"an old one of 24 bytes", func(b []byte) []byte { b[1], b[2] = 0, 24; return b[:24] }, ""},
		{"one cut off", func(b []byte) []byte { return b[:23] }, "cut off"},
		{"another version", func(b []byte) []byte { b[0] = 2; return b }, "version 2.3"},
		{"a log marked as corrupted", func(b []byte) []byte { clear(b[4:8]); return b }, "indexid 0"},
		{"a big-endian machine", func(b []byte) []byte { b[32] = 0; return b }, "big-endian"},
		{"a header size of 20", func(b []byte) []byte { b[2] = 20; return b }, "header size 20"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h Header
			err := h.UnmarshalBinary(c.spoil(slices.Clone(good)))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestModSeqCounter(t *testing.T) {
	flag := func(add, inc byte) []byte { return append(u32(1, 1), add, 0, inc, 0) }
	for _, c := range []struct {
		name   string
		record []byte
		minor  uint8
		want   uint64
	}{
		{"an append counts once for all its messages", record(Append, u32(1, 0, 2, 0)...), 3, 11},
		{"a system flag counts", record(FlagUpdate, flag(8, 0)...), 3, 11},
		{"a flag of the format's own does not", record(FlagUpdate, flag(0x40, 0)...), 3, 10},
		{"unless it says so", record(FlagUpdate, flag(0x40, 1)...), 3, 11},
		{"or the log is old", record(FlagUpdate, flag(0x40, 0)...), 2, 11},
		{"a request to expunge does not count", record(Expunge, u32(1, 1)...), 3, 10},
		{"an expunge does", record(Expunge|External, u32(1, 1)...), 3, 11},
		{"a keyword does", record(KeywordUpdate, append([]byte{0, 0, 1, 0, 'a', 0, 0, 0}, u32(1, 1)...)...), 3, 11},
		{"a modseq update raises", record(ModSeqUpdate, u32(1, 50, 0, 2, 40, 0)...), 3, 50},
		{"a modseq update does not lower", record(ModSeqUpdate, u32(1, 5, 0)...), 3, 10},
		{"a header update does not count", record(HeaderUpdate, 0, 0, 4, 0, 1, 2, 3, 4), 3, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := log(c.record)
			for rec, err := range NewReader(bytes.NewReader(b), int64(len(b))).Records(HeaderSize) {
				if err != nil {
					t.Fatal(err)
				}
				if got := rec.Count(10, c.minor); got != c.want {
					t.Errorf("%d, want %d", got, c.want)
				}
			}
		})
	}
}

func TestBuilder(t *testing.T) {
	var b Builder
	b.Add(Append|External, nil)
	if !b.Empty() || len(b.Bytes()) != 0 {
		t.Error("a record without payload was not left out")
	}
	b.Add(Append|External, u32(1, 0))
	if types, _, err := read(log(b.Bytes())); err != nil || !slices.Equal(types, []Type{Append}) {
		t.Errorf("a single record gave %v, %v", types, err)
	}
	b.Add(Expunge|External, u32(1, 1))
	if types, _, err := read(log(b.Bytes())); err != nil || !slices.Equal(types, []Type{Boundary, Append, Expunge}) {
		t.Errorf("two records gave %v, %v", types, err)
	}
}

// A record larger than the window, one that straddles its end, and small ones in between.
func TestReadsLargeRecords(t *testing.T) {
	var parts [][]byte
	var want []int
	for _, n := range []int{10, 5000, 7000, 9000, 3, 100000, 1} {
		parts = append(parts, record(Append, make([]byte, 8*n)...))
		want = append(want, 8*n)
	}
	b := log(parts...)
	var got []int
	for rec, err := range NewReader(bytes.NewReader(b), int64(len(b))).Records(HeaderSize) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, len(rec.Payload))
	}
	if !slices.Equal(got, want) {
		t.Errorf("payloads of %d bytes, want %d", got, want)
	}
}

// sparse is a log that claims to be huge.
type sparse struct{ head []byte }

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(s.head)) {
		copy(p, s.head[off:])
	}
	return len(p), nil
}

func TestRefusesARecordLargerThanMemory(t *testing.T) {
	head := record(Append, u32(1, 0)...)
	putSize(head, 1<<30-4)
	r := NewReader(sparse{log(head)}, math.MaxInt32)
	for _, err := range r.Records(HeaderSize) {
		if !errors.Is(err, formats.ErrCorrupt) {
			t.Errorf("error %v", err)
		}
	}
}

func FuzzTranslog(f *testing.F) {
	f.Add(log())
	f.Add(log(transaction(record(Append|External, u32(1, 9)...), record(KeywordUpdate, append([]byte{0, 0, 1, 0, 'a', 0, 0, 0}, u32(1, 1)...)...)),
		record(ExtIntro, AppendIntro(nil, Intro{ID: NoExtID, Name: "modseq", HeaderSize: 16, Size: 8, Align: 8})...),
		record(ExtRecUpdate, AppendData(nil, 1, make([]byte, 8))...), record(ModSeqUpdate, AppendModSeq(nil, 1, 7)...)))
	f.Add(log(record(FlagUpdate, u32(1, 2, 8)...), record(ExpungeGUID|External, u32(1, 2, 3, 4, 5)...),
		record(ExtAtomicInc, u32(1, 1)...), record(HeaderUpdate, AppendPatch(nil, 24, u32(9))...), record(AttributeUpdate, []byte("+pkey\x00\x00\x00\x00\x00\x00\x00")...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := Dump(io.Discard, bytes.NewReader(b), int64(len(b))); err != nil && !errors.Is(err, formats.ErrCorrupt) {
			t.Fatalf("dump: %v", err)
		}
		h, err := ReadHeader(bytes.NewReader(b))
		if err != nil {
			return
		}
		out, err := h.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		var again Header
		if err := again.UnmarshalBinary(out); err != nil || again != h {
			t.Fatalf("header %+v written and read again is %+v, %v", h, again, err)
		}
		var first []Record
		for rec, err := range NewReader(bytes.NewReader(b), int64(len(b))).Records(int64(h.Size)) {
			if err != nil {
				break
			}
			rec.Payload = slices.Clone(rec.Payload)
			first = append(first, rec)
			flags := Type(0)
			if rec.External {
				flags |= External
			}
			if rec.Sync {
				flags |= Sync
			}
			out = AppendRecord(out, rec.Type|flags, rec.Payload)
		}
		i := 0
		for rec, err := range NewReader(bytes.NewReader(out), int64(len(out))).Records(int64(h.Size)) {
			if err != nil || i >= len(first) || !reflect.DeepEqual(rec, first[i]) {
				t.Fatalf("record %d is %+v, %v", i, rec, err)
			}
			i++
		}
	})
}

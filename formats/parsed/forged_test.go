package parsed

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/message"
)

// fileHeader is that of a file of the mailbox with UIDVALIDITY 7.
func fileHeader() []byte {
	return Open(nil, 0, 7).appendHeader(nil, 1)
}

// forge writes a file with any payloads, under right checksums.
func forge(t testing.TB, payloads ...[]byte) *Cache {
	t.Helper()
	dir := t.TempDir()
	b := fileHeader()
	for _, p := range payloads {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p)))
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(p, castagnoli))
		b = append(b, p...)
	}
	if err := os.WriteFile(filepath.Join(dir, FileName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := (*disk.FS)(nil).OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := Open(d, 0o600, 7)
	t.Cleanup(func() { c.Close(nil) })
	return c
}

func payload(uid formats.UID, d *Data) []byte { return appendRecord(nil, uid, d)[recordStart:] }

func TestAForgedRecordIsNotTaken(t *testing.T) {
	size := func(n int64) message.Size { return message.Size{Stored: n, Virtual: n} }
	maze := message.Tree{{Header: size(10), Body: size(900), Flags: message.Multipart}}
	for i := int32(1); i < 60; i++ {
		maze = append(maze, message.Part{Offset: 10, Header: size(1), Body: size(1), Parent: i - 1, Child: i + 1, Next: i + 1})
	}
	maze[0].Child, maze[59].Child, maze[59].Next = 1, 0, 0
	part := func(p message.Part) message.Tree {
		return message.Tree{{Header: size(10), Body: size(900), Child: 1}, p}
	}
	text := func(s string) *Data { return &Data{Size: 1000, VirtualSize: -1, Envelope: []byte(s)} }
	tree := func(t message.Tree) *Data { return &Data{Size: 1000, VirtualSize: -1, Tree: t} }
	for _, tc := range []struct {
		name  string
		d     *Data
		taken bool
	}{
		{"a sound one", text(`("x {3" NIL)`), true},
		{"a literal", text("({3}\r\na\r\n NIL \"{\\\"\")"), true},
		{"a line end outside of a literal", text("(NIL)\r\n* BYE x"), false},
		{"a line feed alone", text("(NIL)\n"), false},
		{"a line end in quotes", text("(\"a\r\nb\")"), false},
		{"a literal that is shorter than it says", text("({30}\r\nabc)"), false},
		{"a literal in quotes", text("(\"{3}\r\nabc\")"), false},
		{"a quote in a literal, and a line end behind it", text("({1}\r\n\" \r\n)"), false},
		{"a quoted quote before a line end", text("(\"\\\"\r\n\")"), false},
		{"a NUL", text("(\x00)"), false},
		{"a body structure with a line end", &Data{Size: 1000, VirtualSize: -1, BodyStructure: []byte("(\r\n)")}, false},
		{"a virtual size that is too small", &Data{Size: 1000, VirtualSize: 999}, false},
		{"a virtual size that is too large", &Data{Size: 1000, VirtualSize: 2001}, false},
		{"a virtual size near the end of numbers", &Data{Size: 1000, VirtualSize: 1<<63 - 1}, false},
		{"a negative size", &Data{Size: -5, VirtualSize: -1}, false},
		{"more fields than anybody asks for", &Data{Size: 1000, VirtualSize: -1, More: slices.Repeat([]string{"X"}, 100)}, false},
		{"a tree in which each part is reached in two ways", tree(maze), false},
		{"a part that is its own child", tree(part(message.Part{Offset: 10, Child: 1})), false},
		{"a part that is its parent's sibling", tree(message.Tree{{Header: size(10), Next: 1}, {Offset: 10}}), false},
		{"a part beyond the end", tree(part(message.Part{Offset: 990, Body: size(11)})), false},
		{"a part before the beginning", tree(part(message.Part{Offset: -1})), false},
		{"a part of negative size", tree(part(message.Part{Offset: 10, Body: size(-1)})), false},
		{"a child that is not there", tree(message.Tree{{Header: size(10), Child: 1}}), false},
	} {
		c := forge(t, payload(5, tc.d), payload(6, text("(good)")))
		r := c.Reader()
		if _, ok := r.Get(5, 1000); ok != tc.taken {
			t.Errorf("%s: taken is %v", tc.name, ok)
		}
		if d, ok := r.Get(6, 1000); !ok || string(d.Envelope) != "(good)" {
			t.Errorf("%s: the message behind it is not known", tc.name)
		}
	}
}

func TestARecordOfOneMessageIsNeverThatOfAnother(t *testing.T) {
	d := func(n int) *Data { return &Data{Size: 1000, VirtualSize: -1, Envelope: fmt.Appendf(nil, "(%d)", n)} }
	c := forge(t, payload(1, d(1)), payload(2, d(2)), payload(3, d(3)))
	r := c.Reader()
	r.Get(1, 1000)
	path := filepath.Join(c.dir.Path(), FileName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The records change places behind the reader's back.
	first, second, third := bytes.Index(b, payload(1, d(1)))-recordStart, bytes.Index(b, payload(2, d(2)))-recordStart, bytes.Index(b, payload(3, d(3)))-recordStart
	swapped := slices.Concat(b[:first], b[third:], b[second:third], b[first:second])
	if err := os.WriteFile(path, swapped, 0o600); err != nil {
		t.Fatal(err)
	}
	for uid := formats.UID(1); uid <= 3; uid++ {
		for _, reader := range []*Reader{r, c.Reader()} {
			if got, ok := reader.Get(uid, 1000); ok && string(got.Envelope) != fmt.Sprintf("(%d)", uid) {
				t.Errorf("UID %d: %s", uid, got.Envelope)
			}
		}
	}
}

func TestAFileOfManyMessagesThatAreNotThereTakesLittleMemory(t *testing.T) {
	var payloads [][]byte
	for n := range 100000 {
		payloads = append(payloads, payload(formats.UID(64*n+1), &Data{Size: 1, VirtualSize: -1}))
	}
	c := forge(t, payloads...)
	c.Known = func(uid formats.UID) bool { return uid > 6399000 }
	payloads = nil
	held := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := held()
	if _, ok := c.Reader().Get(6399937, -1); !ok {
		t.Error("a message that is there is not known")
	}
	if after := held(); after > before+8<<20 {
		t.Errorf("%d bytes are held", after-before)
	}
	runtime.KeepAlive(c)
}

// FuzzForgedRecord reads any record under a right checksum: what it tells is never more than what is checked, and the record
// of another message is as it was.
func FuzzForgedRecord(f *testing.F) {
	good := &Data{Size: 100, VirtualSize: 110, Envelope: []byte("(x)"), HasHeader: true, Header: []byte("A: b\n")}
	f.Add(payload(5, good))
	f.Add(payload(6, &Data{Size: 100, VirtualSize: -1, Tree: message.Tree{{Child: 1}, {Offset: 5}}}))
	f.Fuzz(func(t *testing.T, forged []byte) {
		c := forge(t, payload(6, good), forged)
		r := c.Reader()
		for uid := formats.UID(1); uid < 10; uid++ {
			got, ok := r.Get(uid, -1)
			if ok && (!sound(got.Envelope) || !sound(got.BodyStructure) || !soundTree(got.Tree)) {
				t.Fatalf("UID %d: %+v", uid, got)
			}
		}
		other, _ := uidOf(forged)
		if got, ok := r.Get(6, 100); other != 6 && (!ok || string(got.Envelope) != "(x)") {
			t.Fatalf("the other message is %+v", got)
		}
	})
}

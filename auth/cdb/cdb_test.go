package cdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
)

// real are files that vpopmail and qmail made.
var real = []string{
	"../vpopmail/testdata/site/home/vpopmail/domains/example.com/vpasswd.cdb",
	"../vpopmail/testdata/site/home/vpopmail/domains/example.net/vpasswd.cdb",
	"../vpopmail/testdata/site/var/qmail/users/cdb",
}

func open(t testing.TB, b []byte) *DB {
	t.Helper()
	db, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func records(t testing.TB, db *DB) (list []Record) {
	t.Helper()
	for r, err := range db.Records() {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

func TestRealFilesAreWrittenAgainByteForByte(t *testing.T) {
	for _, path := range real {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		db := open(t, b)
		list := records(t, db)
		if len(list) < 3 {
			t.Errorf("%s: %d records", path, len(list))
		}
		for _, r := range list {
			if data, err := db.Get(r.Key); err != nil || !bytes.Equal(data, r.Data) {
				t.Errorf("%s: %q gives %q, %v", path, r.Key, data, err)
			}
		}
		if data, err := db.Get([]byte("nobody")); data != nil || err != nil {
			t.Errorf("%s: nobody gives %q, %v", path, data, err)
		}
		if again, err := Append(nil, list); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s: written again it differs, %v", path, err)
		}
	}
}

// many are records whose keys meet in tables and slots, with a key that is there twice, an empty one and empty data.
func many() []Record {
	list := []Record{{[]byte("twice"), []byte("first")}, {[]byte("twice"), []byte("second")}, {[]byte{}, []byte("-")}, {[]byte("empty"), []byte{}}}
	for i := range 5000 {
		list = append(list, Record{fmt.Appendf(nil, "user%d", i), fmt.Appendf(nil, "data %d\nof\x00it", i)})
	}
	return list
}

func TestTheFirstRecordOfAKeyIsFound(t *testing.T) {
	list := many()
	b, err := Append([]byte("before"), list)
	if err != nil {
		t.Fatal(err)
	}
	db := open(t, b[len("before"):])
	if got := records(t, db); !reflect.DeepEqual(got, list) {
		t.Errorf("%d records came back of %d", len(got), len(list))
	}
	for _, r := range append(list[2:], list[0]) {
		if data, err := db.Get(r.Key); err != nil || data == nil || !bytes.Equal(data, r.Data) {
			t.Fatalf("%q gives %q, %v", r.Key, data, err)
		}
	}
}

func TestDamageIsToldWithItsPlace(t *testing.T) {
	good, err := Append(nil, []Record{{[]byte("a"), []byte("1")}, {[]byte("b"), []byte("2")}})
	if err != nil {
		t.Fatal(err)
	}
	put := func(at int, value uint32) []byte {
		b := bytes.Clone(good)
		binary.LittleEndian.PutUint32(b[at:], value)
		return b
	}
	for name, b := range map[string][]byte{
		"an empty file":                         {},
		"half a head":                           good[:1000],
		"records that end behind the file":      put(0, 1<<31),
		"records that end in the head":          put(0, 7),
		"a key longer than the file":            put(2048, 1<<31),
		"data longer than the file":             put(2052, 0xffffffff),
		"a table cut off":                       good[:len(good)-9],
		"tables of the first key behind all":    put(int(8*(hash([]byte("a"))%256)), 0xfffffff0),
		"more slots than the file has":          put(int(8*(hash([]byte("a"))%256)+4), 0xffffffff),
		"a slot that points outside the record": put(len(good)-12, 2047),
	} {
		err := readAll(b)
		if name == "a slot that points outside the record" && err == nil {
			continue // it may be an empty one
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// readAll reads all there is, with lookups of keys that are there and of some that are not.
func readAll(b []byte) error {
	db, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	keys := [][]byte{[]byte("a"), []byte("b"), {}}
	for r, err := range db.Records() {
		if err != nil {
			return err
		}
		keys = append(keys, r.Key)
	}
	for _, k := range keys {
		if _, err := db.Get(k); err != nil {
			return err
		}
	}
	return nil
}

func TestARecordTooLongIsRefused(t *testing.T) {
	if _, err := Append(nil, []Record{{Data: make([]byte, maxRecord+1)}}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

// The tools of tinycdb read what we write, and write what we write.
func TestTinycdbAgrees(t *testing.T) {
	if _, err := exec.LookPath("cdb"); err != nil {
		t.Skip("the program cdb is not installed: apt-get install tinycdb")
	}
	var input bytes.Buffer
	list := many()
	for _, r := range list {
		fmt.Fprintf(&input, "+%d,%d:%s->%s\n", len(r.Key), len(r.Data), r.Key, r.Data)
	}
	input.WriteString("\n")
	text := bytes.Clone(input.Bytes())
	ours, err := Append(nil, list)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	theirs := filepath.Join(dir, "theirs")
	make := exec.Command("cdb", "-c", theirs)
	make.Stdin = &input
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if got := records(t, open(t, b)); !reflect.DeepEqual(got, list) {
		t.Error("what tinycdb wrote reads otherwise")
	}
	if !bytes.Equal(b, ours) {
		t.Errorf("tinycdb writes %d bytes, we %d others", len(b), len(ours))
	}
	path := filepath.Join(dir, "ours")
	if err := os.WriteFile(path, ours, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cdb", "-d", path).Output(); err != nil || !bytes.Equal(out, text) {
		t.Errorf("tinycdb dumps our file as something else, %v", err)
	}
	if out, err := exec.Command("cdb", "-q", path, "user4711").Output(); err != nil || string(out) != "data 4711\nof\x00it" {
		t.Errorf("tinycdb finds %q, %v", out, err)
	}
}

func FuzzCDB(f *testing.F) {
	for _, path := range real {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		db, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		var list []Record
		for r, err := range db.Records() {
			if err != nil {
				return // it must only not panic
			}
			list = append(list, r)
			db.Get(r.Key)
		}
		out, err := Append(nil, list)
		if err != nil {
			t.Fatal(err)
		}
		if got := records(t, open(t, out)); !reflect.DeepEqual(got, list) {
			t.Fatalf("%d records written and read again are %d others", len(list), len(got))
		}
	})
}

package parsed_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/message"
	"dovetail/formats/parsed"
)

func open(t testing.TB, dir string, validity formats.UIDValidity) *parsed.Cache {
	t.Helper()
	return openOn(t, nil, dir, validity)
}

func openOn(t testing.TB, fsys *disk.FS, dir string, validity formats.UIDValidity) *parsed.Cache {
	t.Helper()
	d, err := fsys.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Open(d, 0o600, validity)
}

func sample(n int) *parsed.Data {
	return &parsed.Data{
		Size: int64(1000 + n), VirtualSize: int64(1020 + n), Sent: int64(n) * 86400, SentZone: -330,
		Internal: int64(n), HasInternal: true,
		Envelope:      fmt.Appendf(nil, `(NIL "subject %d" NIL)`, n),
		BodyStructure: []byte(`("text" "plain" NIL NIL NIL "7bit" 1 1 NIL NIL NIL NIL)`),
		Tree: message.Tree{
			{Header: message.Size{Stored: 100, Virtual: 104, Lines: 4}, Body: message.Size{Stored: int64(900 + n), Virtual: int64(916 + n), Lines: 16}, Child: 1, Flags: message.Multipart | message.MIME},
			{Offset: 150, Header: message.Size{Stored: 10, Virtual: 11, Lines: 1}, Body: message.Size{Stored: 20, Virtual: 20}, Flags: message.TextPart},
		},
		HasHeader: true, Header: fmt.Appendf(nil, "Subject: subject %d\n", n), More: []string{"X-SPAM"}, Preview: []byte("text"),
	}
}

func wantData(t *testing.T, r *parsed.Reader, n int) {
	t.Helper()
	got, ok := r.Get(formats.UID(n), int64(1000+n))
	if !ok {
		t.Fatalf("UID %d is not known", n)
	}
	if want := sample(n); !reflect.DeepEqual(got, want) {
		t.Fatalf("UID %d: got\n%+v, want\n%+v", n, got, want)
	}
}

func TestWhatWasPutIsThereTheNextTime(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, 7)
	for n := 1; n <= 3000; n++ {
		c.Put(formats.UID(n), sample(n))
	}
	r := c.Reader()
	for _, n := range []int{1, 2999, 3000} { // in the file, and waiting to be written
		wantData(t, r, n)
	}
	c.Close(nil)
	c = open(t, dir, 7)
	defer c.Close(nil)
	r = c.Reader()
	for n := 3000; n >= 1; n-- {
		wantData(t, r, n)
	}
	if _, ok := r.Get(4000, -1); ok {
		t.Error("a message is known that was never put")
	}
}

func TestWhatDoesNotFitTheMailboxIsNotGiven(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, 7)
	c.Put(1, sample(1))
	c.Put(2, sample(2))
	c.Close(nil)
	t.Run("a message of another size", func(t *testing.T) {
		c := open(t, dir, 7)
		defer c.Close(nil)
		r := c.Reader()
		if _, ok := r.Get(1, 55); ok {
			t.Error("it is given")
		}
		if _, ok := r.Get(1, -1); ok {
			t.Error("it is given after it was found wrong")
		}
		wantData(t, r, 2)
	})
	t.Run("another UIDVALIDITY, whose file takes the place", func(t *testing.T) {
		c := open(t, dir, 8)
		if _, ok := c.Reader().Get(1, -1); ok {
			t.Error("it is given")
		}
		c.Put(3, sample(3))
		c.Close(nil)
		c = open(t, dir, 8)
		defer c.Close(nil)
		wantData(t, c.Reader(), 3)
		if _, ok := c.Reader().Get(2, -1); ok {
			t.Error("what was there of the old one is still there")
		}
	})
}

func TestADamagedFileLosesOnlyWhatIsDamaged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, parsed.FileName)
	c := open(t, dir, 7)
	for n := 1; n <= 100; n++ {
		c.Put(formats.UID(n), sample(n))
	}
	c.Close(nil)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut < len(whole); cut += 97 {
		for _, flip := range []bool{false, true} {
			b := append([]byte(nil), whole[:cut]...)
			if flip {
				b = append([]byte(nil), whole...)
				b[cut] ^= 0x20
			}
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			c := open(t, dir, 7)
			r := c.Reader()
			for n := 1; n <= 100; n++ {
				if _, ok := r.Get(formats.UID(n), -1); ok {
					wantData(t, r, n)
				}
			}
			c.Put(200, sample(200)) // what comes behind the damage is kept again
			c.Close(nil)
			c = open(t, dir, 7)
			wantData(t, c.Reader(), 200)
			c.Close(nil)
		}
	}
}

func TestSeveralProcessesAppend(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for k := range 4 {
		all.Go(func() {
			for round := range 20 {
				c := open(t, dir, 7)
				for n := range 25 {
					n := 1 + k*500 + round*25 + n
					c.Put(formats.UID(n), sample(n))
				}
				c.Flush()
				c.Close(nil)
			}
		})
	}
	all.Wait()
	c := open(t, dir, 7)
	defer c.Close(nil)
	r, known := c.Reader(), 0
	for n := 1; n <= 2000; n++ {
		if _, ok := r.Get(formats.UID(n), -1); ok {
			wantData(t, r, n)
			known++
		}
	}
	if known < 500 {
		t.Errorf("only %d of 2000 are known", known)
	}
	one, two := open(t, dir, 7), open(t, dir, 7)
	defer one.Close(nil)
	defer two.Close(nil)
	r = two.Reader()
	r.Get(3000, -1)
	one.Put(3000, sample(3000))
	one.Flush()
	wantData(t, r, 3000)
}

func TestAFileThatIsMostlyStaleIsWrittenAnew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, parsed.FileName)
	c := open(t, dir, 7)
	for n := 1; n <= 4000; n++ {
		c.Put(formats.UID(n), sample(n))
	}
	other := open(t, dir, 7)
	c.Flush()
	wantData(t, other.Reader(), 1)
	before, _ := os.Stat(path)
	c.Close(func(uid formats.UID) bool { return uid%4 == 0 })
	after, _ := os.Stat(path)
	if after.Size() > before.Size()/3 {
		t.Errorf("the file had %d bytes and has %d", before.Size(), after.Size())
	}
	other.Put(5000, sample(5000)) // who had the old file open goes over to the new one
	other.Close(nil)
	c = open(t, dir, 7)
	defer c.Close(nil)
	r := c.Reader()
	for n := 4; n <= 4000; n += 4 {
		wantData(t, r, n)
	}
	wantData(t, r, 5000)
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("the folder has %v", names)
	}
}

func TestWithoutRoomNothingIsKeptAndNothingFails(t *testing.T) {
	for _, c := range []struct {
		name string
		fs   *disk.FS
	}{
		{"read-only", &disk.FS{ReadOnly: true}},
		{"nothing can be written", &disk.FS{Fault: func(op disk.Op, _ string) error {
			if op == disk.OpWrite {
				return errors.New("no space left on device")
			}
			return nil
		}}},
		{"nothing can be made", &disk.FS{Fault: func(op disk.Op, _ string) error { return errors.New("no") }}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			k := openOn(t, c.fs, dir, 7)
			for n := 1; n <= 2000; n++ {
				k.Put(formats.UID(n), sample(n))
			}
			k.Flush()
			k.Reader().Get(1, -1)
			k.Close(nil)
			if names, _ := os.ReadDir(dir); len(names) != 0 {
				t.Errorf("the folder has %v", names)
			}
		})
	}
	var none *parsed.Cache
	none.Put(1, sample(1))
	none.Flush()
	if _, ok := none.Reader().Get(1, -1); ok {
		t.Error("nothing knows something")
	}
	none.Close(nil)
}

func FuzzFile(f *testing.F) {
	dir := f.TempDir()
	c := open(f, dir, 7)
	for n := 1; n <= 3; n++ {
		c.Put(formats.UID(n), sample(n))
	}
	c.Close(nil)
	whole, err := os.ReadFile(filepath.Join(dir, parsed.FileName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, parsed.FileName), b, 0o600); err != nil {
			t.Fatal(err)
		}
		c := open(t, dir, 7)
		r := c.Reader()
		for n := range formats.UID(5) {
			r.Get(n, -1)
		}
		c.Put(9, sample(9))
		c.Close(nil)
		c = open(t, dir, 7)
		wantData(t, c.Reader(), 9)
		c.Close(nil)
	})
}

func BenchmarkGet(b *testing.B) {
	dir := b.TempDir()
	c := open(b, dir, 7)
	for n := 1; n <= 100_000; n++ {
		c.Put(formats.UID(n), sample(n))
	}
	c.Close(nil)
	b.Run("open and read all of 100,000", func(b *testing.B) {
		for b.Loop() {
			c := open(b, dir, 7)
			r := c.Reader()
			for n := 1; n <= 100_000; n++ {
				if _, ok := r.Get(formats.UID(n), -1); !ok {
					b.Fatal(n)
				}
			}
			c.Close(nil)
		}
	})
}

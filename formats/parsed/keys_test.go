package parsed_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"dovetail/formats"
	"dovetail/formats/parsed"
)

var allKeys = []parsed.Key{parsed.StoredSize, parsed.VirtualSize, parsed.SentDate, parsed.InternalDate, parsed.BySubject,
	parsed.ByFrom, parsed.ByTo, parsed.ByCc, parsed.ByDisplayFrom, parsed.ByDisplayTo, parsed.ByReferences}

// keyed is what is known of message n.
func keyed(n int) *parsed.Data {
	d := sample(n)
	d.Header = fmt.Appendf(nil, "Subject: Re: subject %d\nFrom: Per Son <p%d@x.org>\nTo: to%d@x\nMessage-ID: <%d@x>\nReferences: <%d@x> <%d@x>\n", n, n, n, n, n-2, n-1)
	return d
}

// text is all of the keys of a message.
func text(k *parsed.Keys) string {
	s := ""
	for _, key := range allKeys[:4] {
		s += fmt.Sprint(k.Number(key), " ")
	}
	for _, key := range allKeys[4:10] {
		s += string(k.Text(key)) + " "
	}
	return s + fmt.Sprint(k.Reply, k.IDs)
}

func putKeys(c *parsed.Cache, from, to, step int) {
	r := c.Keys()
	var k parsed.Keys
	for n := from; n <= to; n += step {
		k.Take(keyed(n))
		r.Put(formats.UID(n), &k)
	}
	r.Flush()
}

func wantKeys(t *testing.T, r *parsed.KeyReader, n int) {
	t.Helper()
	got, ok := r.Get(formats.UID(n))
	if !ok {
		t.Fatalf("keys of UID %d are not known", n)
	}
	var want parsed.Keys
	want.Take(keyed(n))
	if text(got) != text(&want) {
		t.Fatalf("UID %d: got\n%s, want\n%s", n, text(got), text(&want))
	}
}

func TestKeysAreThereTheNextTime(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, 7)
	putKeys(c, 2, 6000, 2)
	putKeys(c, 5, 401, 6) // some of what is missing
	for range 2 {
		r := c.Keys(allKeys...)
		for n := 2; n <= 6000; n++ {
			if n%2 == 0 || n%6 == 5 && n < 402 {
				wantKeys(t, r, n)
			} else if _, ok := r.Get(formats.UID(n)); ok {
				t.Fatalf("keys of UID %d are known and were never put", n)
			}
		}
		for _, n := range []int{4000, 2, 3000, 6000, 5, 4} { // in no order
			wantKeys(t, r, n)
		}
		if got, ok := c.Keys(parsed.ByTo).Get(10); !ok || string(got.Text(parsed.ByTo)) != "TO10" {
			t.Errorf("one key alone: %v", ok)
		}
		c.Close(nil)
		c = open(t, dir, 7)
	}
	c.Close(nil)
}

func TestKeysThatAreNotAllKnownAreNotGiven(t *testing.T) {
	c := open(t, t.TempDir(), 7)
	defer c.Close(nil)
	d := keyed(5)
	d.VirtualSize = -1
	var k parsed.Keys
	k.Take(d)
	w := c.Keys()
	w.Put(5, &k)
	w.Flush()
	if _, ok := c.Keys(parsed.VirtualSize).Get(5); ok {
		t.Error("a size is known that was not put")
	}
	if _, ok := c.Keys(parsed.BySubject).Get(5); !ok {
		t.Error("the subject is not known")
	}
	putKeys(c, 5, 5, 1)
	wantKeys(t, c.Keys(allKeys...), 5)
}

func TestKeysOfAMessageOfAnotherSizeAreForgotten(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, 7)
	for n := 1; n <= 3; n++ {
		c.Put(formats.UID(n), keyed(n))
	}
	putKeys(c, 1, 3, 1)
	if _, ok := c.Reader().Get(2, 5); ok {
		t.Error("a message of another size is known")
	}
	c.Forget(3)
	for range 2 {
		r := c.Keys(parsed.BySubject)
		for n, want := range []bool{1: true, 2: false, 3: false} {
			if _, ok := r.Get(formats.UID(n)); n > 0 && ok != want {
				t.Errorf("keys of UID %d: %v", n, ok)
			}
		}
		c.Close(nil)
		c = open(t, dir, 7)
	}
	c.Close(nil)
}

func TestADamagedFileOfKeysGivesNothingWrong(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, parsed.SortFileName)
	c := open(t, dir, 7)
	putKeys(c, 1, 50, 1)
	putKeys(c, 51, 100, 1)
	c.Close(nil)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut < len(whole); cut += 61 {
		for _, flip := range []bool{false, true} {
			b := slices.Clone(whole[:cut])
			if flip {
				b = slices.Clone(whole)
				b[cut] ^= 0x20
			}
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			c := open(t, dir, 7)
			r := c.Keys(allKeys...)
			for n := 1; n <= 100; n++ {
				if _, ok := r.Get(formats.UID(n)); ok {
					wantKeys(t, r, n)
				}
			}
			putKeys(c, 200, 210, 1)
			c.Close(nil)
			c = open(t, dir, 7)
			wantKeys(t, c.Keys(allKeys...), 205)
			c.Close(nil)
		}
	}
}

func TestTheFileOfKeysIsWrittenAnew(t *testing.T) {
	size := func(dir string) int64 {
		info, err := os.Stat(filepath.Join(dir, parsed.SortFileName))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	t.Run("when most messages are gone", func(t *testing.T) {
		dir := t.TempDir()
		c := open(t, dir, 7)
		putKeys(c, 1, 9000, 1)
		before := size(dir)
		c.Close(func(uid formats.UID) bool { return uid%9 == 0 })
		if after := size(dir); after > before/5 {
			t.Errorf("the file had %d bytes and has %d", before, after)
		}
		c = open(t, dir, 7)
		defer c.Close(nil)
		r := c.Keys(allKeys...)
		for n := 9; n <= 9000; n += 9 {
			wantKeys(t, r, n)
		}
	})
	t.Run("when each message came alone", func(t *testing.T) {
		dir := t.TempDir()
		c, other := open(t, dir, 7), open(t, dir, 7)
		for n := 1; n <= 1000; n++ {
			putKeys(c, n, n, 1)
			if n == 30 {
				wantKeys(t, other.Keys(allKeys...), 30)
			}
		}
		putKeys(other, 1001, 1001, 1) // who had the old file open goes over to the new one
		c.Close(nil)
		other.Close(nil)
		if names, _ := os.ReadDir(dir); len(names) != 1 {
			t.Errorf("the folder has %v", names)
		}
		if got := size(dir); got > 350_000 {
			t.Errorf("the file has %d bytes", got)
		}
		c = open(t, dir, 7)
		defer c.Close(nil)
		r := c.Keys(allKeys...)
		for n := 1; n <= 1001; n++ {
			wantKeys(t, r, n)
		}
	})
}

func TestSeveralProcessesAppendKeys(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for k := range 4 {
		all.Go(func() {
			for round := range 20 {
				c := open(t, dir, 7)
				putKeys(c, 1+k*500+round*25, k*500+round*25+25, 1)
				c.Close(nil)
			}
		})
	}
	all.Wait()
	c := open(t, dir, 7)
	defer c.Close(nil)
	r, known := c.Keys(allKeys...), 0
	for n := 1; n <= 2000; n++ {
		if _, ok := r.Get(formats.UID(n)); ok {
			wantKeys(t, r, n)
			known++
		}
	}
	if known < 500 {
		t.Errorf("only %d of 2000 are known", known)
	}
}

func FuzzKeyFile(f *testing.F) {
	dir := f.TempDir()
	c := open(f, dir, 7)
	putKeys(c, 1, 3, 1)
	c.Close(nil)
	whole, err := os.ReadFile(filepath.Join(dir, parsed.SortFileName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, parsed.SortFileName), b, 0o600); err != nil {
			t.Fatal(err)
		}
		c := open(t, dir, 7)
		r := c.Keys(allKeys...)
		for n := range formats.UID(5) {
			r.Get(n)
		}
		putKeys(c, 9, 9, 1)
		c.Close(nil)
		c = open(t, dir, 7)
		wantKeys(t, c.Keys(allKeys...), 9)
		c.Close(nil)
	})
}

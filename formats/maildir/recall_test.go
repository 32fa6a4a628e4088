package maildir

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"dovetail/formats"
)

// large is a mailbox that is worth a file of names, with all that can stand in one.
func large(t testing.TB, root string) *Store {
	s := openStore(t, Options{Root: root, Create: true})
	if err := s.Create(t.Context(), "INBOX", formats.Status{}); err != nil {
		t.Fatal(err)
	}
	update(t, openBox(t, s, "INBOX"), func(tx formats.Tx) error {
		for i := range fewNames + 20 {
			m := formats.Message{Flags: formats.Seen, Keywords: []string{fmt.Sprint("word", i%40)}}
			if i%7 == 0 {
				m.GUID = fmt.Sprint("guid", i)
			}
			if err := tx.Append(t.Context(), m, newBody("a: b\n\nx\n")); err != nil {
				return err
			}
		}
		return nil
	})
	return s
}

// remembered is a mailbox that has written its names, in the state that it has now; no change can hide behind its stamps.
func remembered(t testing.TB, s *Store) []string {
	box := openBox(t, s, "INBOX").(*Mailbox)
	if _, err := box.View(t.Context()); err != nil {
		t.Fatal(err)
	}
	box.mu.Lock()
	box.seen.stamps.at, box.seen.unsure = time.Now().Add(time.Hour), false
	box.mu.Unlock()
	box.Remember(t.Context())
	if box.kept == (kept{}) {
		t.Fatal("nothing was written")
	}
	return spell(box.seen)
}

func TestAnUnchangedMailboxIsOpenedWithoutAListOrAFolder(t *testing.T) {
	root := t.TempDir()
	s := large(t, root)
	want := remembered(t, s)
	box := openBox(t, s, "INBOX").(*Mailbox)
	v, err := box.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	records := make([]formats.Record, v.Len())
	v.Records(records, 0, func([]string) uint32 { return 1 })
	if box.seen.names != nil || box.seen.text.lazy == nil || box.seen.text.lazy.blocks != nil {
		t.Error("names were read")
	}
	if records[7].VirtualSize != int64(len("a: b\r\n\r\nx\r\n")) {
		t.Errorf("size %d", records[7].VirtualSize)
	}
	if got := spell(box.seen); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("another mailbox:\n%v\n%v", got, want)
	}
	before := treeSum(t, root)
	box.Remember(t.Context())
	if treeSum(t, root) != before {
		t.Error("the same was written again")
	}
}

func TestWhatChangedBehindTheFileOfNamesIsFound(t *testing.T) {
	root := t.TempDir()
	s := large(t, root)
	m := &meddler{root: root, rnd: rand.New(rand.NewPCG(5, 6))}
	recalled := 0
	for step := range 120 {
		before := openBox(t, s, "INBOX").(*Mailbox)
		if _, err := before.state(t.Context()); err != nil {
			t.Fatal(err)
		}
		if step%3 > 0 {
			before.Remember(t.Context()) // else the file is of an earlier step
		}
		if step%5 == 0 {
			ours(t, before, step)
		}
		before.Close()
		did := m.meddle(t)
		box := openBox(t, s, "INBOX").(*Mailbox)
		box.mu.Lock()
		if box.recallOnce(); box.seen != nil {
			recalled++
			box.seen.readAt = time.Time{} // the kernel's clock may not have ticked since our change
		}
		box.mu.Unlock()
		sameAsAScan(t, box, fmt.Sprintf("step %d, %s", step, did))
	}
	if recalled < 100 {
		t.Errorf("only %d of 120 times was there a file that could be used", recalled)
	}
}

func TestADamagedFileOfNamesIsNone(t *testing.T) {
	root := t.TempDir()
	s := large(t, root)
	want := remembered(t, s)
	path := filepath.Join(root, namesFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		do   func(b []byte) []byte
	}{
		{"empty", func([]byte) []byte { return nil }},
		{"of the head alone", func(b []byte) []byte { return b[:namesHead] }},
		{"torn in front of the names", func(b []byte) []byte { return b[:len(b)/3] }},
		{"torn in the names", func(b []byte) []byte { return b[:len(b)-10] }},
		{"of another version", func(b []byte) []byte { b[len(namesMagic)-1]++; return b }},
		{"other entries", func(b []byte) []byte { b[len(b)/2]++; return b }},
		{"other names", func(b []byte) []byte { b[len(b)-3]++; return b }},
		{"names from beyond the end", func(b []byte) []byte { b[len(namesMagic)+15] = 0x7f; return b }},
	} {
		if err := os.WriteFile(path, c.do(bytes.Clone(whole)), 0o600); err != nil {
			t.Fatal(err)
		}
		box := openBox(t, s, "INBOX").(*Mailbox)
		list, bodies := messages(t, box)
		if len(list) != fewNames+20 || len(bodies) != len(list) {
			t.Errorf("%s: %d messages", c.name, len(list))
		}
		sameAsAScan(t, box, c.name)
		if got := spell(box.seen); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: another mailbox", c.name)
		}
	}
}

func TestNamesAreNotWrittenForFewOrForASource(t *testing.T) {
	root := t.TempDir()
	s := openStore(t, Options{Root: root, Create: true})
	if err := s.Create(t.Context(), "INBOX", formats.Status{}); err != nil {
		t.Fatal(err)
	}
	box := openBox(t, s, "INBOX").(*Mailbox)
	box.Remember(t.Context()) // before anything was read
	if _, err := box.View(t.Context()); err != nil {
		t.Fatal(err)
	}
	box.Remember(t.Context())
	if _, err := os.Stat(filepath.Join(root, namesFile)); !os.IsNotExist(err) {
		t.Errorf("there is a file: %v", err)
	}
}

func FuzzRecall(f *testing.F) {
	root := f.TempDir()
	remembered(f, large(f, root))
	whole, err := os.ReadFile(filepath.Join(root, namesFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole[namesHead:len(whole)/2], int64(1000))
	f.Add(whole[namesHead:], int64(1<<20))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		v := &view{hasList: true, recalled: true, setOf: map[setKey]uint32{}}
		v.text.lazy = &lazyText{size: size}
		v.text.lazy.once.Do(func() { v.text.lazy.failed.Store(true) })
		if _, ok := v.take(b); !ok {
			return
		}
		spell(v)
		v.Records(make([]formats.Record, v.Len()), 0, func([]string) uint32 { return 1 })
		v.nameAll()
	})
}

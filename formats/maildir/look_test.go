package maildir

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
)

// spell says everything that a view knows.
func spell(v *view) []string {
	list := []string{fmt.Sprintf("%+v, header %+v, tail %+v, unlisted %d, dead %d", v.count(), v.header, v.tail, v.unlisted, v.dead)}
	for i := range v.entries {
		e := &v.entries[i]
		list = append(list, fmt.Sprintf("%d %s in %d %v %q %q %v", e.uid, v.name(e), e.where, e.flags, v.sets[e.set], v.ext(e), e.listed))
	}
	return list
}

// meddler changes the files of a Maildir as delivery agents, other servers and people with a shell do.
type meddler struct {
	root  string
	rnd   *rand.Rand
	count int
}

func (m *meddler) any(t *testing.T, sub string) string {
	entries, err := os.ReadDir(filepath.Join(m.root, sub))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		return ""
	}
	return entries[m.rnd.IntN(len(entries))].Name()
}

func (m *meddler) meddle(t *testing.T) string {
	path := func(sub, name string) string { return filepath.Join(m.root, sub, name) }
	name := m.any(t, "cur")
	switch op := m.rnd.IntN(6); {
	case op <= 1 || name == "":
		m.count++
		to := fmt.Sprintf("%d.M%dP1.host", 1700000000+m.count, m.count)
		if err := os.WriteFile(path("tmp", to), []byte("a: b\n\nx\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		sub := []string{"new", "cur"}[op%2]
		if sub == "cur" {
			to += ":2,S"
		}
		if err := os.Rename(path("tmp", strings.TrimSuffix(to, ":2,S")), path(sub, to)); err != nil {
			t.Fatal(err)
		}
		return "delivery of " + to
	case op == 2:
		if fresh := m.any(t, "new"); fresh != "" {
			if err := os.Rename(path("new", fresh), path("cur", fresh+":2,")); err != nil {
				t.Fatal(err)
			}
			return "seen: " + fresh
		}
		fallthrough
	case op == 3:
		base, _, _ := strings.Cut(name, ":")
		to := base + ":2," + []string{"", "F", "FS", "Sab", "T"}[m.rnd.IntN(5)]
		if err := os.Rename(path("cur", name), path("cur", to)); err != nil {
			t.Fatal(err)
		}
		return "flags: " + to
	case op == 4:
		if err := os.Remove(path("cur", name)); err != nil {
			t.Fatal(err)
		}
		return "removal of " + name
	}
	return "nothing"
}

func TestALookFindsWhatAScanFinds(t *testing.T) {
	root := t.TempDir()
	s := openStore(t, Options{Root: root, Create: true})
	if err := s.Create(t.Context(), "INBOX", formats.Status{}); err != nil {
		t.Fatal(err)
	}
	box := openBox(t, s, "INBOX").(*Mailbox)
	m := &meddler{root: root, rnd: rand.New(rand.NewPCG(3, 4))}
	update(t, box, func(tx formats.Tx) error {
		for range 50 {
			if err := tx.Append(t.Context(), formats.Message{Keywords: []string{"one"}}, newBody("a: b\n\nx\n")); err != nil {
				return err
			}
		}
		return nil
	})
	if _, err := box.state(t.Context()); err != nil {
		t.Fatal(err)
	}
	looks := 0
	for step := range 300 {
		if step%5 == 0 {
			ours(t, box, step)
			sameAsAScan(t, box, fmt.Sprintf("step %d, ours", step))
		}
		did := m.meddle(t)
		box.mu.Lock()
		box.seen.readAt = time.Time{} // the kernel's clock may not have ticked since our change
		box.mu.Unlock()
		sameAsAScan(t, box, fmt.Sprintf("step %d, %s", step, did))
		if box.seen.looked > 0 {
			looks++
		}
	}
	if looks < 150 {
		t.Errorf("only %d of 300 changes were found without a scan", looks)
	}
}

// ours is a change through the mailbox itself.
func ours(t *testing.T, box *Mailbox, n int) {
	update(t, box, func(tx formats.Tx) error {
		switch n / 5 % 4 {
		case 0:
			return tx.Expunge(formats.RangesOf(box.seen.entries[n%len(box.seen.entries)].uid))
		case 1:
			m := formats.Message{Flags: formats.Seen, Keywords: []string{fmt.Sprint("word", n%30)}, Detail: formats.Detail{GUID: fmt.Sprint("guid", n)}}
			return tx.Append(t.Context(), m, newBody("a: b\n\nx\n"))
		}
		return tx.SetFlags(formats.Ranges{{First: 10, Last: 20}}, formats.FlagChange{Op: formats.FlagOp(n / 5 % 2), Flags: formats.Draft, Keywords: []string{"two"}})
	})
}

func sameAsAScan(t *testing.T, box *Mailbox, when string) {
	t.Helper()
	now, err := box.state(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	box.mu.Lock()
	scanned, err := box.scan(t.Context())
	box.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	got, want := spell(now), spell(scanned)
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("%s: a look has %d lines and a scan %d, from line %d on\n%s\n%s", when, len(got), len(want), i,
				got[min(i, len(got)-1)], want[min(i, len(want)-1)])
		}
	}
}

func TestNothingIsReadWhenNothingChanged(t *testing.T) {
	root := t.TempDir()
	s := openStore(t, Options{Root: root, Create: true})
	if err := s.Create(t.Context(), "INBOX", formats.Status{}); err != nil {
		t.Fatal(err)
	}
	box := openBox(t, s, "INBOX").(*Mailbox)
	update(t, box, func(tx formats.Tx) error {
		return tx.Append(t.Context(), formats.Message{}, newBody("a: b\n\nx\n"))
	})
	first, err := box.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if again, err := box.View(t.Context()); err != nil || again != first {
			t.Errorf("another view, %v", err)
		}
	}
	if got := slices.Collect(box.seen.placesOf(formats.Ranges{{First: 1, Last: 9}})); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

// Two changes within one tick of the kernel's clock leave the same times on a folder. A message that somebody moved to cur/
// right after a change of ours is still there.
func TestAMessageThatLeavesNewWithinATickOfTheClockIsStillThere(t *testing.T) {
	root := t.TempDir()
	s := openStore(t, Options{Root: root, Create: true})
	if err := s.Create(t.Context(), "INBOX", formats.Status{}); err != nil {
		t.Fatal(err)
	}
	box := openBox(t, s, "INBOX").(*Mailbox)
	update(t, box, func(tx formats.Tx) error {
		return errors.Join(tx.Append(t.Context(), formats.Message{Flags: formats.Seen}, newBody("a: b\n\nx\n")),
			tx.Append(t.Context(), formats.Message{Flags: formats.Recent}, newBody("a: b\n\ny\n")))
	})
	if _, err := box.state(t.Context()); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(root, "new", "*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("in new/ are %q, %v", names, err)
	}
	if err := os.Rename(names[0], filepath.Join(root, "cur", filepath.Base(names[0])+":2,")); err != nil {
		t.Fatal(err)
	}
	box.mu.Lock()
	now, err := box.stamp()
	if err == nil {
		box.seen.stamps.cur, box.seen.unsure, box.seen.readAt = now.cur, true, now.at
	}
	v, err2 := box.catchUp(t.Context())
	box.mu.Unlock()
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if len(v.entries) != 2 || v.unlisted != 0 || v.entries[1].where != inCur {
		t.Errorf("found are %+v", v.entries)
	}
}

// A message that a look has missed keeps its UID when it is found again: its record is in the list all the time.
func TestAMessageThatWasMissedKeepsItsRecord(t *testing.T) {
	root := t.TempDir()
	s := openStore(t, Options{Root: root, Create: true})
	if err := s.Create(t.Context(), "INBOX", formats.Status{}); err != nil {
		t.Fatal(err)
	}
	box := openBox(t, s, "INBOX").(*Mailbox)
	update(t, box, func(tx formats.Tx) error {
		return errors.Join(tx.Append(t.Context(), formats.Message{Flags: formats.Seen}, newBody("a: b\n\nx\n")),
			tx.Append(t.Context(), formats.Message{Flags: formats.Seen}, newBody("a: b\n\ny\n")))
	})
	look := func() *view {
		box.mu.Lock()
		defer box.mu.Unlock()
		if box.seen != nil {
			box.seen.readAt = time.Time{}
		}
		v, err := box.catchUp(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	v := look()
	name := filepath.Join(root, "cur", string(v.name(&v.entries[1])))
	away := filepath.Join(root, "away")
	if err := os.Rename(name, away); err != nil {
		t.Fatal(err)
	}
	if v := look(); len(v.entries) != 1 {
		t.Fatalf("found are %+v", v.entries)
	}
	if err := os.Rename(away, name); err != nil {
		t.Fatal(err)
	}
	if v := look(); len(v.entries) != 2 || v.unlisted != 0 || v.entries[1].uid != 2 {
		t.Errorf("found are %+v, %d without a record", v.entries, v.unlisted)
	}
}

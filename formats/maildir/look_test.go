package maildir

import (
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

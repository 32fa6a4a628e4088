package watch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
)

// reread is a mailbox as Status and Messages give it through handles of their own, spelled as model does.
func reread(t *testing.T, store formats.Store) []string {
	t.Helper()
	m, err := store.Open(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	st, err := m.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list := []string{fmt.Sprint(st)}
	for m, err := range m.Messages(t.Context(), formats.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if !st.KeepsModSeqs {
			m.ModSeq = 0
		}
		slices.Sort(m.Keywords)
		list = append(list, fmt.Sprint(m.UID, m.Flags&formats.SystemFlags, m.Keywords, m.ModSeq))
	}
	return list
}

// shown is the same of a snapshot.
func shown(s *Snapshot) []string {
	list := []string{fmt.Sprint(s.Status)}
	s.Each(1, s.Len(), func(_ uint32, r Record) bool {
		keywords := slices.Sorted(slices.Values(s.Keywords(r)))
		list = append(list, fmt.Sprint(r.UID, r.Flags(), keywords, r.ModSeq))
		return true
	})
	return list
}

// actors change a mailbox, each in its own way.
type actors struct {
	box     *Box
	other   formats.Mailbox
	session *dovecot.Session
	rnd     *rand.Rand
}

func (a *actors) act(t *testing.T) string {
	s := a.box.Snapshot()
	if s.Len() < 20 {
		fill(t, a.box, 300)
		return "fill"
	}
	switch who := a.rnd.IntN(4); who {
	case 0, 1:
		update := a.box.Update
		if who == 1 {
			update = a.other.Update
		}
		if _, err := update(t.Context(), func(tx formats.Tx) error { return fewChanges(t.Context(), tx, s, a.rnd) }); err != nil {
			t.Fatal(err)
		}
		return []string{"own", "other"}[who]
	}
	return a.dovecot(s)
}

func (a *actors) dovecot(s *Snapshot) string {
	first := s.At(1 + a.rnd.Uint32N(s.Len())).UID
	set := fmt.Sprintf("%d:%d", first, int(first)+a.rnd.IntN(30))
	var cmd string
	switch a.rnd.IntN(5) {
	case 0:
		cmd = "UID STORE " + set + ` +FLAGS.SILENT (\Answered work)`
	case 1:
		cmd = "UID STORE " + set + fmt.Sprintf(` FLAGS.SILENT (\Seen k%d)`, a.rnd.IntN(4))
	case 2:
		a.session.Cmd("UID STORE " + set + ` +FLAGS.SILENT (\Deleted)`)
		cmd = "EXPUNGE"
	case 3:
		a.session.Append("INBOX", `\Flagged`, "", "Subject: new\r\n\r\nx\r\n")
		cmd = "NOOP"
	default:
		cmd = "FETCH 1 (MODSEQ)" // from now on modseqs are kept
	}
	a.session.Cmd(cmd)
	a.session.Cmd("CHECK")
	return "Dovecot: " + cmd
}

// fewChanges is change for mailboxes on disk.
func fewChanges(ctx context.Context, tx formats.Tx, s *Snapshot, rnd *rand.Rand) error {
	return changeUpTo(ctx, tx, s, rnd, 20, 10)
}

func TestWhatIsTakenOverIsWhatAReadingGives(t *testing.T) {
	for _, kind := range []string{"sdbox", "mdbox", "maildir", "mbox"} {
		t.Run(kind, func(t *testing.T) {
			where := dovecot.Location(kind, filepath.Join(dovecot.TempDir(t), "mail"))
			judge := dovecot.New(t, where)
			session := judge.IMAP()
			session.Append("INBOX", "", "", "Subject: one\r\n\r\nx\r\n")
			session.Select("INBOX")
			box := open(t, NewHub(0), openLive(t, where))
			a := actors{box: box, session: session, rnd: rand.New(rand.NewPCG(7, 8))}
			other, err := openLive(t, where).Open(t.Context(), "INBOX")
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			fill(t, box, 1200)
			a.other = other
			for n := range 60 {
				did := a.act(t)
				was := box.Snapshot()
				is, err := box.Refresh(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if diff := difference(reread(t, openLive(t, where)), shown(is)); diff != "" && kind == "maildir" {
					// What Dovecot does within one tick of the kernel's clock after us is found a little later.
					is = box.attended(func(s *Snapshot) bool { return difference(reread(t, openLive(t, where)), shown(s)) == "" })
				} else if diff != "" {
					t.Fatalf("step %d, %s: %s", n, did, diff)
				}
				c := Diff(was, is)
				if got, want := apply(model(was), c, is), model(is); !slices.Equal(got, want) {
					t.Fatalf("step %d, %s: changes do not lead to the new state", n, did)
				}
			}
			session.Close()
		})
	}
}

// difference says where a snapshot is not as a reading.
func difference(want, got []string) string {
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			return fmt.Sprintf("line %d of %d is not as in a reading of %d:\n%s\n%s", i, len(got), len(want), got[min(i, len(got)-1)], want[min(i, len(want)-1)])
		}
	}
	return ""
}

// attended waits for a snapshot that is as it should be.
func (b *Box) attended(done func(*Snapshot) bool) *Snapshot {
	defer b.Attend()()
	until(b, done)
	return b.Snapshot()
}

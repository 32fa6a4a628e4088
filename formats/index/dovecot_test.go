package index

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
)

// sdbox gives a Dovecot on an sdbox tree and the folder of its inbox, which does not exist on disk if fresh.
func sdbox(t *testing.T, fresh bool) (*dovecot.Judge, *disk.Dir) {
	t.Helper()
	root := dovecot.TempDir(t)
	judge := dovecot.New(t, "sdbox:"+root)
	box := filepath.Join(root, "mailboxes", "INBOX", "dbox-Mails")
	if !fresh {
		judge.IMAP().Select("INBOX")
	}
	d, err := dovecot.FS().MakeRoot(box, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	dovecot.Own(t, root)
	return judge, d
}

// saveMessage writes the file that a record needs to be opened.
func saveMessage(t *testing.T, d *disk.Dir, uid formats.UID) {
	t.Helper()
	body := "Subject: v\n\nhi\n"
	text := fmt.Sprintf("2 M1e C6553f101\n\x01\x02N          %016x\n%s\n\x01\x03\nR5f5e1000\nV12\nG%032x\n\n", len(body), body, uid)
	name := filepath.Join(d.Path(), fmt.Sprintf("u.%d", uid))
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Error(err)
	}
	if os.Getuid() == 0 {
		uid, gid := dovecot.IDs()
		if err := os.Chown(name, uid, gid); err != nil {
			t.Error(err)
		}
	}
}

var fetchLine = regexp.MustCompile(`FETCH \(UID (\d+) FLAGS \(([^)]*)\) MODSEQ \((\d+)\)\)`)

// shown is what a session sees of the selected mailbox, one text for each message.
func shown(t *testing.T, s *dovecot.Session) []string {
	t.Helper()
	var out []string
	for _, line := range s.Cmd("UID FETCH 1:* (UID FLAGS MODSEQ)") {
		m := fetchLine.FindStringSubmatch(line)
		if m == nil {
			continue // of other changes
		}
		flags := slices.DeleteFunc(strings.Fields(m[2]), func(f string) bool { return f == `\Recent` })
		slices.Sort(flags)
		out = append(out, fmt.Sprintf("%s %q %s", m[1], flags, m[3]))
	}
	return out
}

// known is the same from a state.
func known(s *State) []string {
	var out []string
	for _, m := range s.All() {
		flags := append((m.Flags & formats.SystemFlags).Names(), m.Keywords...)
		slices.Sort(flags)
		out = append(out, fmt.Sprintf("%d %q %d", m.UID, flags, m.ModSeq))
	}
	return out
}

func same(t *testing.T, when string, session *dovecot.Session, s *State) {
	t.Helper()
	want, got := shown(t, session), known(s)
	if slices.Equal(want, got) {
		return
	}
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			t.Fatalf("%s: Dovecot shows %d messages, we know %d; from the %d-th on: Dovecot %q, we %q", when, len(want),
				len(got), i, slices.Concat(want[min(i, len(want)):])[:min(3, len(want)-min(i, len(want)))],
				got[min(i, len(got)):][:min(3, len(got)-min(i, len(got)))])
		}
	}
}

func TestDovecotShowsWhatWeCreate(t *testing.T) {
	for _, without := range []string{"", "dovecot.index", "dovecot.index.log"} {
		t.Run("without "+without, func(t *testing.T) {
			judge, d := sdbox(t, true)
			x, err := Create(t.Context(), d, Prefix, goldenNew())
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			saveMessage(t, d, 7)
			if without != "" {
				os.Remove(filepath.Join(d.Path(), without))
			}
			s := judge.IMAP()
			s.Cmd("ENABLE CONDSTORE")
			s.Select("INBOX")
			same(t, "created", s, x.Snapshot())
			st := judge.Status("INBOX")
			if st.UIDNext != 12 || st.UIDValidity != 1700000000 || st.HighestModSeq != 9 || st.GUID != formats.GUID(goldenGUID) {
				t.Errorf("status is %+v", st)
			}
			judge.MustBeClean()
		})
	}
}

// Dovecot's records name extensions by number. The log alone must give the same numbers as the snapshot did.
func TestLogIsEnoughAfterDovecotChangedIt(t *testing.T) {
	judge, d := sdbox(t, true)
	x, err := Create(t.Context(), d, Prefix, goldenNew())
	if err != nil {
		t.Fatal(err)
	}
	x.Close()
	saveMessage(t, d, 7)
	s := judge.IMAP()
	s.Cmd("ENABLE CONDSTORE")
	s.Select("INBOX")
	s.Cmd("UID STORE 7 +FLAGS (more)")
	s.Cmd("UID FETCH 7 (BODY.PEEK[HEADER.FIELDS (SUBJECT)])") // adds cache offsets, an extension of Dovecot's own
	s.Cmd("UID STORE 7 (UNCHANGEDSINCE 100) +FLAGS (\\Answered)")
	want := shown(t, s)
	s.Close()
	os.Remove(filepath.Join(d.Path(), "dovecot.index"))
	again := judge.IMAP()
	again.Select("INBOX")
	if got := shown(t, again); len(got) != 1 || !strings.HasPrefix(got[0], want[0][:len(want[0])-1]) {
		t.Errorf("shown %q, without the snapshot %q", want, got)
	}
	judge.MustBeClean()
}

func TestWeReadWhatDovecotWrites(t *testing.T) {
	judge, d := sdbox(t, false)
	x, err := Open(d, Prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	s := judge.IMAP()
	s.Select("INBOX")
	for i := range 12 {
		s.Append("INBOX", `\Seen`, "", fmt.Sprintf("Subject: %d\r\n\r\nx\r\n", i))
	}
	s.Cmd("NOOP")
	for i, cmd := range []string{
		`UID STORE 1:3 +FLAGS (\Flagged)`,
		`FETCH 1 (MODSEQ)`,
		`UID STORE 2,5:7 +FLAGS (one two)`,
		`UID STORE 5 FLAGS (two Three four five six seven eight nine)`,
		`UID STORE 6 -FLAGS (two)`,
		`UID STORE 3,9 +FLAGS (\Deleted)`,
		`EXPUNGE`,
		`UID COPY 1 INBOX`,
		`UID STORE 10 +FLAGS (ten eleven twelve)`,
		`CHECK`,
	} {
		s.Cmd(cmd)
		if _, err := x.Refresh(); err != nil {
			t.Fatal(err)
		}
		fresh, err := Read(d, Prefix)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(known(fresh), known(x.Snapshot())) {
			t.Errorf("after %s: read anew %q, refreshed %q", cmd, known(fresh), known(x.Snapshot()))
		}
		if i > 0 {
			same(t, "after "+cmd, s, fresh)
			x.Refresh()
		}
	}
	judge.MustBeClean()
}

func TestDovecotShowsWhatWeUpdate(t *testing.T) {
	judge, d := sdbox(t, false)
	s := judge.IMAP()
	s.Cmd("ENABLE CONDSTORE")
	s.Select("INBOX")
	x, err := Open(d, Prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	for _, step := range []struct {
		name string
		do   func(tx *Tx) error
	}{
		{"append", func(tx *Tx) error {
			for i := range 9 {
				saveMessage(t, d, tx.NextUID())
				if _, err := tx.Append(Message{Flags: formats.Seen, Keywords: []string{"a", "B"}[:i%3%2+i%2]}); err != nil {
					return err
				}
			}
			return nil
		}},
		{"append with a gap and modseqs", func(tx *Tx) error {
			for _, uid := range []formats.UID{20, 21, 30} {
				saveMessage(t, d, uid)
				if _, err := tx.Append(Message{UID: uid, ModSeq: 100 + formats.ModSeq(uid), Keywords: []string{"c"}}); err != nil {
					return err
				}
			}
			return nil
		}},
		{"flags", func(tx *Tx) error {
			tx.UpdateFlags(formats.Ranges{{First: 2, Last: 25}}, formats.Flagged|formats.Answered, formats.Seen)
			tx.UpdateFlags(formats.RangesOf(1), formats.Draft, 0)
			return nil
		}},
		{"keywords", func(tx *Tx) error {
			tx.ClearKeywords(formats.RangesOf(2, 3, 4))
			for i := range 12 {
				tx.AddKeyword(fmt.Sprintf("k%d", i), formats.RangesOf(3, formats.UID(i)))
			}
			tx.RemoveKeyword("A", formats.RangesOf(1, 5, 6))
			return nil
		}},
		{"expunge", func(tx *Tx) error {
			tx.Expunge(5, formats.GUID{1})
			tx.Expunge(20, formats.GUID{})
			return nil
		}},
		{"raise", func(tx *Tx) error {
			tx.RaiseNextUID(50)
			tx.RaiseModSeq(500)
			tx.SetFirstRecent(50)
			return nil
		}},
		{"append with low modseqs", func(tx *Tx) error {
			saveMessage(t, d, 60)
			_, err := tx.Append(Message{UID: 60, ModSeq: 77, Keywords: []string{"k1", "new"}})
			return err
		}},
	} {
		if err := x.Update(t.Context(), step.do); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		s.Cmd("NOOP")
		if step.name != "append with low modseqs" { // an open session has its own count
			same(t, step.name, s, x.Snapshot())
			x.Refresh()
		}
		fresh := judge.IMAP()
		fresh.Cmd("EXAMINE INBOX")
		same(t, step.name+", seen by a new session", fresh, x.Snapshot())
		fresh.Close()
	}
	if st := judge.Status("INBOX"); st.UIDNext != 61 || st.HighestModSeq != 500 {
		t.Errorf("status %+v", st)
	}
	judge.MustBeClean()
}

// Both sides change a mailbox in turn, so much that the log is rotated several times by either of them.
func TestSharesAMailboxWithDovecot(t *testing.T) {
	judge, d := sdbox(t, true)
	n := goldenNew()
	n.Messages, n.NextUID, n.HighestModSeq = nil, 0, 0
	for uid := range formats.UID(20000) {
		n.Messages = append(n.Messages, Message{UID: uid + 1})
	}
	x, err := Create(t.Context(), d, Prefix, n)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	s := judge.IMAP()
	s.Cmd("ENABLE CONDSTORE")
	s.Select("INBOX")
	for round := range 16 {
		s.Cmd(fmt.Sprintf(`UID STORE %d:%d +FLAGS.SILENT (d%d \Flagged)`, round*50+1, round*500+100, round%3))
		s.Append("INBOX", "", "", "Subject: theirs\r\n\r\nx\r\n")
		err := x.Update(t.Context(), func(tx *Tx) error {
			var odd formats.Ranges
			for uid := formats.UID(1 + round%2); uid < 19000; uid += 2 {
				odd.Add(uid)
			}
			if round%4 < 2 {
				tx.UpdateFlags(odd, formats.Answered, formats.Flagged)
			} else {
				tx.UpdateFlags(odd, formats.Flagged, formats.Answered)
			}
			tx.AddKeyword(fmt.Sprintf("o%d", round), formats.RangesOf(3, 5))
			saveMessage(t, d, tx.NextUID())
			_, err := tx.Append(Message{Keywords: []string{"ours"}})
			tx.Expunge(formats.UID(100+round), formats.GUID{})
			return err
		})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		s.Cmd("NOOP")
		if _, err := x.Refresh(); err != nil {
			t.Fatal(err)
		}
		if round%3 == 0 {
			same(t, fmt.Sprintf("round %d", round), s, x.Snapshot())
		}
	}
	fresh, err := Read(d, Prefix)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "at the end", s, fresh)
	if fresh.LogSeq < 4 { // 2 is the first; Dovecot and we rotated once each
		t.Errorf("the log's sequence is %d", fresh.LogSeq)
	}
	judge.MustBeClean()
}

// Dovecot and we change the mailbox at the same time, each as fast as it can.
func TestWorksBesideABusyDovecot(t *testing.T) {
	judge, d := sdbox(t, false)
	x, err := Open(d, Prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	s := judge.IMAP()
	s.Cmd("ENABLE CONDSTORE")
	s.Select("INBOX")
	const rounds = 60
	done := make(chan error, 1)
	go func() {
		for i := range rounds {
			err := x.Update(t.Context(), func(tx *Tx) error {
				saveMessage(t, d, tx.NextUID())
				_, err := tx.Append(Message{Keywords: []string{"ours"}})
				tx.UpdateFlags(formats.Ranges{{First: 1, Last: formats.UID(i)}}, formats.Flagged, 0)
				return err
			})
			if err == nil && i%15 == 7 {
				err = rotateNow(x)
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for i := range rounds {
		s.Append("INBOX", "theirs", "", "Subject: theirs\r\n\r\nx\r\n")
		s.Cmd(fmt.Sprintf(`UID STORE %d:%d +FLAGS.SILENT (\Answered)`, i+1, i+5))
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.Cmd("NOOP")
	fresh, err := Read(d, Prefix)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "at the end", s, fresh)
	count := map[string]int{}
	for _, m := range fresh.All() {
		count[m.Keywords[0]]++
	}
	if count["ours"] != rounds || count["theirs"] != rounds {
		t.Errorf("of %d messages each, %v are left", rounds, count)
	}
	judge.MustBeClean()
}

package mdbox_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/mdbox"
)

func text(s string) formats.Body {
	b := new(disk.Spool)
	b.Write([]byte(s))
	return b
}

func writable(t *testing.T, o mdbox.Options) *mdbox.Store {
	t.Helper()
	o.FS, o.Create = dovecot.FS(), true
	s, err := mdbox.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// few changes a mailbox at random.
func few(s formats.Store, b formats.Mailbox, rnd *rand.Rand) error {
	st, err := b.Status(ctx)
	if err != nil {
		return err
	}
	uid := formats.UID(1 + rnd.Uint32N(uint32(st.UIDNext)))
	uids := formats.RangesOf(uid)
	uids.AddRange(uid, uid+2)
	copies, err := s.Open(ctx, "Copies")
	if err != nil {
		return err
	}
	defer copies.Close()
	kind := rnd.IntN(6)
	_, err = b.Update(ctx, func(tx formats.Tx) error {
		switch kind {
		case 0:
			return tx.Expunge(uids)
		case 1:
			return tx.SetFlags(uids, formats.FlagChange{Flags: formats.Flagged, Keywords: []string{fmt.Sprint("k", rnd.IntN(3))}})
		case 2, 3:
			for range rnd.IntN(4) {
				m := formats.Message{Flags: formats.Seen, Keywords: []string{"new"}}
				if err := tx.Append(ctx, m, text("Subject: ours\n\n"+strings.Repeat("x", rnd.IntN(900))+"\n")); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil || kind < 4 {
		return err
	}
	from, to := b, copies
	if kind == 5 {
		from, to = copies, b
	}
	_, err = to.Update(ctx, func(tx formats.Tx) error {
		for m, err := range from.Messages(ctx, formats.Query{}) {
			if err != nil || rnd.IntN(4) != 0 {
				continue
			}
			if err := formats.Copy(ctx, tx, formats.Message{Flags: m.Flags, Keywords: m.Keywords}, from, m.UID); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// TestBesideDovecotNothingIsLost has Dovecot and us append, copy, flag, expunge and purge in turn, in the same files.
func TestBesideDovecotNothingIsLost(t *testing.T) {
	for name, more := range map[string]string{"one root": "", "an index root": ":INDEX=%s-index"} {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(dovecot.TempDir(t), "mail")
			o := mdbox.Options{Root: root, Rotation: mdbox.Rotation{Size: 3 << 10}}
			if more != "" {
				more, o.Index = fmt.Sprintf(more, root), root+"-index"
			}
			j := dovecot.New(t, "mdbox:"+root+more, "mdbox_rotate_size = 3k")
			s := writable(t, o)
			for _, name := range []string{"INBOX", "Copies"} {
				if err := s.Create(ctx, name, formats.Status{}); err != nil {
					t.Fatal(err)
				}
			}
			b, err := s.Open(ctx, "INBOX")
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			rnd := rand.New(rand.NewPCG(3, 4))
			session := j.IMAP() // stays open: it must follow what we do
			for round := range 40 {
				if err := few(s, b, rnd); err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
				theirs(session, rnd)
				if round%8 == 7 {
					j.Doveadm("purge")
				}
				if round%4 == 3 {
					compareMailbox(t, j, s, "INBOX")
					compareMailbox(t, j, s, "Copies")
				}
			}
			session.Close()
			if err := s.Delete(ctx, "Copies"); err != nil {
				t.Fatal(err)
			}
			j.Doveadm("purge")
			compareMailbox(t, j, s, "INBOX")
			j.MustBeClean()
		})
	}
}

func theirs(session *dovecot.Session, rnd *rand.Rand) {
	session.Select([]string{"INBOX", "Copies"}[rnd.IntN(2)])
	n := 1 + rnd.IntN(30)
	switch rnd.IntN(6) {
	case 0, 1:
		session.Append("INBOX", `\Answered`, "", "Subject: theirs\r\n\r\n"+strings.Repeat("y", rnd.IntN(900))+"\r\n")
	case 2:
		session.Cmd(fmt.Sprintf(`UID STORE %d:%d +FLAGS (\Deleted theirs)`, n, n+1))
		session.Cmd("EXPUNGE")
	case 3:
		session.Cmd(fmt.Sprintf(`UID STORE %d:%d FLAGS.SILENT (\Seen)`, n, n+5))
	case 4:
		session.Cmd(fmt.Sprintf("UID COPY %d:%d Copies", n, n+3))
	case 5:
		session.Cmd(fmt.Sprintf("UID COPY %d:%d INBOX", n, n+3))
	}
	session.Cmd("CHECK")
}

// TestAMessageThatWasMovedByAPurgeIsFound reads with a map that was read before.
func TestAMessageThatWasMovedByAPurgeIsFound(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	j := dovecot.New(t, "mdbox:"+root)
	s := writable(t, mdbox.Options{Root: root})
	if err := s.Create(ctx, "INBOX", formats.Status{}); err != nil {
		t.Fatal(err)
	}
	b, err := s.Open(ctx, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for n := range 3 {
		if _, err := b.Update(ctx, func(tx formats.Tx) error {
			return tx.Append(ctx, formats.Message{}, text(fmt.Sprintf("Subject: %d\n\nx\n", n)))
		}); err != nil {
			t.Fatal(err)
		}
	}
	old := formats.Message{UID: 1}
	if _, err := b.Body(ctx, &old); err != nil {
		t.Fatal(err)
	}
	session := j.IMAP()
	session.Select("INBOX")
	session.Cmd(`STORE 1 +FLAGS (\Deleted)`)
	session.Cmd("EXPUNGE")
	session.Close()
	j.Doveadm("purge")
	body, err := b.Body(ctx, &formats.Message{UID: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	var out strings.Builder
	if _, err := body.WriteTo(&out); err != nil || out.String() != "Subject: 2\n\nx\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	compareMailbox(t, j, s, "INBOX")
	j.MustBeClean()
}

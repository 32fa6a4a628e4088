package mdbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/mdbox"
)

// broken is a store with two mailboxes that is to be damaged: INBOX has the messages 1 to 12 but 4, all flagged, 2 and 3
// are in Copies, too, and 4 is expunged but not purged.
type broken struct {
	t    *testing.T
	root string
	j    *dovecot.Judge
	s    *mdbox.Store
	b    formats.Mailbox
	told []string
}

func newBroken(t *testing.T) *broken {
	k := &broken{t: t, root: filepath.Join(dovecot.TempDir(t), "mail")}
	k.j = dovecot.New(t, "mdbox:"+k.root, "mdbox_rotate_size = 2k")
	k.s, k.b = k.open()
	copies := box(t, k.s, "Copies")
	fill(t, k.b, 12)
	update(t, k.b, func(tx formats.Tx) error {
		return tx.SetFlags(formats.Ranges{{First: 1, Last: 12}}, formats.FlagChange{Flags: formats.Flagged, Keywords: []string{"kept"}})
	})
	update(t, copies, func(tx formats.Tx) error {
		return errors.Join(formats.Copy(ctx, tx, formats.Message{}, k.b, 2), formats.Copy(ctx, tx, formats.Message{}, k.b, 3))
	})
	update(t, k.b, func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(4)) })
	return k
}

func (k *broken) open() (*mdbox.Store, formats.Mailbox) {
	k.t.Helper()
	s := writable(k.t, mdbox.Options{Root: k.root, Rotation: mdbox.Rotation{Size: 2 << 10},
		Mended: func(text string) { k.told = append(k.told, text) }})
	return s, box(k.t, s, "INBOX")
}

// readable gives the subjects of the messages that can be read, in the order of UIDs, each with a ! if it has its flags.
func (k *broken) readable(b formats.Mailbox) string {
	k.t.Helper()
	var subjects []string
	for m, err := range b.Messages(ctx, formats.Query{}) {
		if err != nil {
			k.t.Fatal(err)
		}
		body, err := b.Body(ctx, &m)
		if err != nil {
			if _, damaged := formats.Damaged(err); !damaged && !errors.Is(err, formats.ErrNoMessage) {
				k.t.Fatal(err)
			}
			continue
		}
		head := make([]byte, 12)
		body.ReadAt(head, 0)
		body.Close()
		subject, _, _ := strings.Cut(strings.TrimPrefix(string(head), "Subject: "), "\n")
		if m.Flags&formats.Flagged != 0 && len(m.Keywords) == 1 {
			subject += "!"
		}
		subjects = append(subjects, subject)
	}
	return strings.Join(subjects, " ")
}

const whole = "0! 1! 2! 4! 5! 6! 7! 8! 9! 10! 11!"

// without gives whole without some.
func without(subjects ...string) string {
	rest := " " + whole
	for _, s := range subjects {
		rest = strings.Replace(rest, " "+s+"!", "", 1)
	}
	return rest[1:]
}

// TestDamageIsMended as Dovecot mends it: what is there can be read, what is gone is expunged, messages can be added.
func TestDamageIsMended(t *testing.T) {
	edit := func(name string, change func([]byte) []byte) func(*broken) {
		return func(k *broken) {
			b, err := os.ReadFile(k.root + name)
			if err != nil {
				k.t.Fatal(err)
			}
			if err := os.WriteFile(k.root+name, change(b), 0o600); err != nil {
				k.t.Fatal(err)
			}
		}
	}
	remove := func(pattern string) func(*broken) {
		return func(k *broken) {
			names, _ := filepath.Glob(k.root + pattern)
			if len(names) == 0 {
				k.t.Fatal("nothing to remove")
			}
			for _, name := range names {
				os.Remove(name)
			}
		}
	}
	cut := func(b []byte) []byte { return b[:len(b)-200] }
	for _, test := range []struct {
		name        string
		damage      func(*broken)
		fresh, live string // what INBOX has for who comes behind the damage, and for who has it open
		bits        string // of what is told
	}{
		{"a message file is gone", remove("/storage/m.2"), without("4", "5", "6", "7"), "", "4 lost"},
		{"a message file is cut", edit("/storage/m.2", cut), without("7"), "", "1 damaged files"},
		{"a header of a message is overwritten", edit("/storage/m.2", func(b []byte) []byte {
			i := bytes.LastIndex(b, []byte("\x01\x02N"))
			return append(append(b[:i:i], "xxxxx"...), b[i+5:]...)
		}), without("7"), "", "1 damaged files"},
		{"a file is empty", edit("/storage/m.2", func([]byte) []byte { return nil }), without("4", "5", "6", "7"), "", "4 lost"},
		{"the map is gone", remove("/storage/dovecot.map.*"), whole + " 3", whole, "12 messages found"},
		{"the map's log is cut", edit("/storage/dovecot.map.index.log", cut), whole + " 3", whole, "12 messages found"},
		{"the map's log is nothing but zeros", edit("/storage/dovecot.map.index.log", func(b []byte) []byte { clear(b); return b }), whole + " 3", whole, "12 messages found"},
		{"the index of a mailbox is gone", remove("/mailboxes/INBOX/dbox-Mails/dovecot.*"), "0 4 5 6 7 8 9 10 11", whole, "messages found"},
		{"the log of a mailbox is cut", edit("/mailboxes/INBOX/dbox-Mails/dovecot.index.log", cut), "", whole, "messages found"},
	} {
		for _, who := range []string{"for who comes then", "for who has it open"} {
			t.Run(test.name+" "+who, func(t *testing.T) {
				k := newBroken(t)
				if got := k.readable(k.b); got != whole {
					t.Fatalf("before: %s", got)
				}
				test.damage(k)
				s, b, want := k.s, k.b, test.live
				if who == "for who comes then" || want == "" {
					want = test.fresh
				}
				if who == "for who comes then" {
					s, b = k.open()
				}
				k.readable(b)
				if _, err := b.Update(ctx, func(tx formats.Tx) error { // as a client marks what it has read
					return tx.SetFlags(formats.RangesOf(1), formats.FlagChange{Flags: formats.Seen})
				}); err != nil {
					t.Fatal(err)
				}
				copies := box(t, s, "Copies")
				update(t, copies, func(tx formats.Tx) error {
					return tx.SetFlags(formats.RangesOf(1), formats.FlagChange{Flags: formats.Seen})
				})
				got := k.readable(b)
				if want != "" && got != want {
					t.Errorf("%s, not %s; told %q", got, want, k.told)
				}
				fill(t, b, 1)
				if len(k.told) != 1 || !strings.Contains(k.told[0], test.bits) {
					t.Errorf("told %q", k.told)
				}
				if now := k.readable(b); now != got+" 0" {
					t.Errorf("after a message was added: %s", now)
				}
				if n := len(strings.Fields(k.readable(box(t, s, "Copies")))); n != 2 {
					t.Errorf("Copies has %d messages", n)
				}
				if done, err := s.Purge(ctx); err != nil {
					t.Errorf("purge: %+v, %v", done, err)
				}
				compareMailbox(t, k.j, s, "INBOX")
				forceResync(t, k.j)
				compareMailbox(t, k.j, s, "INBOX")
				compareMailbox(t, k.j, s, "Copies")
			})
		}
	}
}

// TestWithoutAnyFileNothingIsExpunged: their disk may be missing. Messages can be added all the same.
func TestWithoutAnyFileNothingIsExpunged(t *testing.T) {
	k := newBroken(t)
	away := k.root + "-away"
	os.Mkdir(away, 0o700)
	names, _ := filepath.Glob(k.root + "/storage/m.*")
	for _, name := range names {
		os.Rename(name, filepath.Join(away, filepath.Base(name)))
	}
	s, b := k.open()
	if got := k.readable(b); got != "" {
		t.Errorf("%s can be read", got)
	}
	fill(t, b, 1)
	if st, err := b.Status(ctx); err != nil || st.Messages != 12 {
		t.Errorf("%+v, %v", st, err)
	}
	for _, name := range names {
		os.Rename(filepath.Join(away, filepath.Base(name)), name)
	}
	if got := k.readable(b); got != whole+" 0" {
		t.Errorf("when they are back: %s", got)
	}
	compareMailbox(t, k.j, s, "INBOX")
	k.j.MustBeClean()
}

// TestRepairBuildsTheStoreAnew for who does not have it done by itself.
func TestRepairBuildsTheStoreAnew(t *testing.T) {
	k := newBroken(t)
	os.Remove(k.root + "/storage/m.2")
	s := writable(t, mdbox.Options{Root: k.root})
	b := box(t, s, "INBOX")
	var problems []string
	refuse := func(p formats.Problem) bool {
		problems = append(problems, fmt.Sprint(p.UID, p.Mend != ""))
		return false
	}
	if err := b.(formats.Checker).Repair(ctx, refuse); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(problems, " "); got != "5 true 6 true 7 true 8 true" {
		t.Error(got)
	}
	if st, _ := b.Status(ctx); st.Messages != 11 {
		t.Errorf("%+v although nothing was agreed to", st)
	}
	if err := b.(formats.Checker).Repair(ctx, func(formats.Problem) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if got := k.readable(b); got != without("4", "5", "6", "7") {
		t.Error(got)
	}
	compareMailbox(t, k.j, s, "INBOX")
	forceResync(t, k.j)
}

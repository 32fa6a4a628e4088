package formats

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

var ctx = context.Background()

// filled has INBOX with three messages and a mailbox A/B.
func filled(t *testing.T) *Memory {
	t.Helper()
	s := NewMemory()
	must(t, s.Create(ctx, "A/B", Status{UIDValidity: 7, UIDNext: 5}))
	must(t, SetSubscriptions(ctx, s, []string{"A/B"}))
	appendThree(t, s, "INBOX")
	return s
}

func appendThree(t *testing.T, s Store, mailbox string) Committed {
	t.Helper()
	box, err := s.Open(ctx, mailbox)
	must(t, err)
	defer box.Close()
	done, err := box.Update(ctx, func(tx Tx) error {
		for _, uid := range []UID{3, 9, 10} {
			if err := tx.Append(ctx, Message{UID: uid, Keywords: []string{"k"}}, BytesBody([]byte("Subject: x\n\nhi\r\n"))); err != nil {
				return err
			}
		}
		return tx.SetFlags(RangesOf(9), FlagChange{Op: AddFlags, Flags: Seen})
	})
	must(t, err)
	return done
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, s Store) string {
	t.Helper()
	infos, err := s.Mailboxes(ctx)
	must(t, err)
	var all []string
	for _, i := range infos {
		name := i.Name
		if i.NoSelect {
			name = "(" + name + ")"
		}
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

func TestMemoryHoldsWhatItWasGiven(t *testing.T) {
	s := filled(t)
	if got := names(t, s); got != "INBOX (A) A/B" {
		t.Errorf("mailboxes %s", got)
	}
	box, err := s.Open(ctx, "INBOX")
	must(t, err)
	st, err := box.Status(ctx)
	must(t, err)
	if st.UIDNext != 11 || st.Messages != 3 || st.Unseen != 2 {
		t.Errorf("status %+v", st)
	}
	for m, err := range box.Messages(ctx, Query{Want: WantAll}) {
		must(t, err)
		if m.Size != 16 || m.VirtualSize != 18 {
			t.Errorf("uid %d: sizes %d, %d", m.UID, m.Size, m.VirtualSize)
		}
	}
	_, err = box.Update(ctx, func(tx Tx) error { return tx.Append(ctx, Message{UID: 4}, BytesBody(nil)) })
	if !errors.Is(err, ErrUIDTaken) {
		t.Errorf("a UID below UIDNEXT: %v", err)
	}
}

func TestReadOnlyRefusesEveryChange(t *testing.T) {
	s := ReadOnly(filled(t))
	box, err := s.Open(ctx, "INBOX")
	must(t, err)
	_, update := box.Update(ctx, func(Tx) error { return nil })
	for what, err := range map[string]error{
		"create": s.Create(ctx, "x", Status{}), "rename": s.Rename(ctx, "A/B", "x"), "delete": s.Delete(ctx, "A/B"), "update": update,
		"subscribe": SetSubscriptions(ctx, s.(Subscriber), nil), "note": s.(Noter).WriteNote(ctx, "n", nil),
	} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if subs, err := s.(Subscriber).Subscriptions(ctx); err != nil || !slices.Equal(subs, []string{"A/B"}) {
		t.Errorf("subscriptions %q, %v", subs, err)
	}
}

func TestADryRunSeesItsOwnChangesAndMakesNone(t *testing.T) {
	real := filled(t)
	var told []string
	s := DryRun(real, func(verb, mailbox, detail string) {
		told = append(told, strings.TrimSpace(verb+" "+mailbox+" "+detail))
	})
	must(t, s.Create(ctx, "New", Status{UIDValidity: 99, UIDNext: 3}))
	if err := s.Create(ctx, "New", Status{}); !errors.Is(err, ErrExists) {
		t.Errorf("created twice: %v", err)
	}
	if done := appendThree(t, s, "New"); done.UIDs.String() != "3,9:10" {
		t.Errorf("UIDs %s", done.UIDs)
	}
	box, err := s.Open(ctx, "New")
	must(t, err)
	if st, err := box.Status(ctx); err != nil || st.UIDValidity != 99 || st.UIDNext != 3 {
		t.Errorf("status %+v, %v", st, err)
	}
	must(t, s.Rename(ctx, "A", "Z"))
	must(t, s.Delete(ctx, "INBOX"))
	must(t, SetSubscriptions(ctx, s.(Subscriber), []string{"Z/B"}))
	must(t, s.(Noter).WriteNote(ctx, "n", []byte("x")))
	if got := names(t, s); got != "New Z/B" && got != "(A) New Z/B" {
		t.Errorf("mailboxes of the view: %s", got)
	}
	if got := names(t, real); got != "INBOX (A) A/B" {
		t.Errorf("mailboxes below: %s", got)
	}
	if _, err := real.ReadNote(ctx, "n"); err == nil {
		t.Error("the note was written")
	}
	want := []string{"create New", "append New 3 messages", "set flags New 1 messages", "rename A Z", "delete INBOX", "subscribe  Z/B"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q\nwant %q", told, want)
	}
}

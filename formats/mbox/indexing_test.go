package mbox_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/mbox"
)

const delivered = "From a@b Mon Jan  1 00:00:00 2024\nSubject: %s\n\nbody\n\n"

// deliver adds messages as an MTA does.
func deliver(t *testing.T, path string, subjects ...string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, s := range subjects {
		fmt.Fprintf(f, delivered, s)
	}
	dovecot.Own(t, path)
}

func status(t *testing.T, b formats.Mailbox) formats.Status {
	t.Helper()
	st, err := b.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func claim(t *testing.T, b formats.Mailbox) {
	t.Helper()
	next := status(t, b).UIDNext
	update(t, b, func(tx formats.Tx) error { return tx.Raise(0, 0, next) })
}

// told is what IMAP shows of each message: UID, flags, modification sequence.
func told(t *testing.T, b formats.Mailbox) string {
	var all strings.Builder
	for _, m := range list(t, b) {
		fmt.Fprintf(&all, "%d %v %v %d\n", m.UID, m.Flags&^formats.Recent, m.Keywords, m.ModSeq)
	}
	return all.String()
}

func TestDeliveredMailHasAnIdentityThatStays(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	inbox := root + "-inbox"
	deliver(t, inbox, "one", "two")
	st := status(t, mailbox(t, open(t, mbox.Options{Root: root, Inbox: inbox}), "INBOX"))
	if st.UIDValidity == 0 || st.Volatile || st.Recent != 2 {
		t.Errorf("at first: %+v", st)
	}
	b := mailbox(t, open(t, mbox.Options{Root: root, Inbox: inbox}), "INBOX")
	if again := status(t, b); again.UIDValidity != st.UIDValidity || again.Recent != 2 {
		t.Errorf("then: %+v, before %+v", again, st)
	}
	claim(t, b)
	deliver(t, inbox, "three")
	b = mailbox(t, open(t, mbox.Options{Root: root, Inbox: inbox}), "INBOX")
	if again := status(t, b); again.UIDValidity != st.UIDValidity || again.Recent != 1 || again.FirstRecent != 3 || again.UIDNext != 4 {
		t.Errorf("after a third: %+v", again)
	}
	claim(t, b)
	j := dovecot.New(t, dovecot.Location("mbox", root))
	if theirs := j.Status("INBOX"); theirs.UIDValidity != st.UIDValidity || theirs.UIDNext != 4 || theirs.Messages != 3 {
		t.Errorf("Dovecot sees %+v", theirs)
	}
	if msgs := j.Fetch("INBOX"); len(msgs) != 3 || msgs[2].UID != 3 {
		t.Errorf("Dovecot sees %+v", msgs)
	}
	j.MustBeClean()
}

func TestWithoutAnIndexTheFileIsNumbered(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	inbox := root + "-inbox"
	deliver(t, inbox, "one", "two")
	o := mbox.Options{Root: root, Inbox: inbox, Index: "MEMORY"}
	st := status(t, mailbox(t, open(t, o), "INBOX"))
	again := status(t, mailbox(t, open(t, o), "INBOX"))
	if st.UIDValidity == 0 || st.Volatile || again.UIDValidity != st.UIDValidity {
		t.Errorf("%+v, then %+v", st, again)
	}
}

func TestModSeqsBesideDovecot(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	inbox := root + "-inbox"
	deliver(t, inbox, "one", "two", "three")
	b := mailbox(t, open(t, mbox.Options{Root: root, Inbox: inbox}), "INBOX")
	update(t, b, func(tx formats.Tx) error { tx.(formats.ModSeqKeeper).KeepModSeqs(); return nil })
	first := status(t, b)
	if !first.KeepsModSeqs {
		t.Fatalf("%+v", first)
	}
	done := update(t, b, func(tx formats.Tx) error {
		return tx.SetFlags(formats.RangesOf(2), formats.FlagChange{Op: formats.AddFlags, Flags: formats.Seen, Keywords: []string{"work"}})
	})
	if done.HighestModSeq <= first.HighestModSeq {
		t.Errorf("a change is no news: %+v after %+v", done, first)
	}
	update(t, b, func(tx formats.Tx) error {
		return tx.Append(t.Context(), formats.Message{Flags: formats.Flagged | formats.Recent}, body("Subject: four\n\nx\n"))
	})
	update(t, b, func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(1)) })
	ours := told(t, b)

	j := dovecot.New(t, dovecot.Location("mbox", root))
	s := j.IMAP()
	s.Select("INBOX")
	theirs := strings.Join(s.Cmd("FETCH 1:* (UID FLAGS MODSEQ)"), "\n")
	for _, m := range list(t, b) {
		if !strings.Contains(theirs, fmt.Sprintf("UID %d FLAGS", m.UID)) || !strings.Contains(theirs, fmt.Sprintf("MODSEQ (%d)", m.ModSeq)) {
			t.Errorf("message %d: Dovecot says %s\nwe say %s", m.UID, theirs, ours)
		}
	}
	s.Cmd(`UID STORE 3 +FLAGS (\Draft)`)
	theirs = strings.Join(s.Cmd("UID FETCH 3 (UID MODSEQ)"), "\n")
	s.Close()
	j.MustBeClean()
	for _, m := range list(t, b) {
		if m.UID == 3 && (m.Flags&formats.Draft == 0 || !strings.Contains(theirs, fmt.Sprintf("MODSEQ (%d)", m.ModSeq))) {
			t.Errorf("Dovecot's change: %+v, there %s", m.Message, theirs)
		}
	}
}

func TestWhatNobodyHasSeenIsRecent(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	s := open(t, mbox.Options{Root: root})
	b := create(t, s, "box", formats.Status{})
	for _, flags := range []formats.Flags{formats.Seen, formats.Recent | formats.Seen, formats.Recent} {
		update(t, b, func(tx formats.Tx) error {
			return tx.Append(t.Context(), formats.Message{Flags: flags}, body("Subject: x\n\nx\n"))
		})
	}
	if st := status(t, b); st.FirstRecent != 2 || st.Recent != 2 {
		t.Errorf("%+v", st)
	}
	update(t, b, func(tx formats.Tx) error { // written anew
		return tx.SetFlags(formats.RangesOf(1, 2, 3), formats.FlagChange{Flags: formats.Flagged})
	})
	if st := status(t, b); st.FirstRecent != 2 {
		t.Errorf("after flags: %+v", st)
	}
	for _, want := range []string{"2:3", ""} {
		done := update(t, b, func(tx formats.Tx) error { tx.(formats.RecentClaimer).ClaimRecent(); return nil })
		if got := done.Recent.String(); got != want {
			t.Errorf("claimed %q, want %q", got, want)
		}
	}
	if st := status(t, mailbox(t, s, "box")); st.FirstRecent != 4 || st.Recent != 0 {
		t.Errorf("after a session: %+v", st)
	}
	j := dovecot.New(t, dovecot.Location("mbox", root))
	if msgs := j.Fetch("box"); len(msgs) != 3 {
		t.Errorf("Dovecot sees %+v", msgs)
	}
	j.MustBeClean()
}

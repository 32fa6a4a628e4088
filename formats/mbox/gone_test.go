package mbox_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/mbox"
)

// TestAnOpenBodyNeverGivesAnotherMessage reads on in a message that others move, and then expunge.
func TestAnOpenBodyNeverGivesAnotherMessage(t *testing.T) {
	root := t.TempDir()
	b := create(t, open(t, mbox.Options{Root: root}), "box", formats.Status{UIDValidity: 9, UIDNext: 1})
	update(t, b, appendAll(numbered(odd[:6])))
	m := list(t, b)[3].Message
	body, err := b.Body(t.Context(), &m)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	first, moved := make([]byte, 10), make([]byte, 10)
	if _, err := body.ReadAt(first, 0); err != nil {
		t.Fatal(err)
	}
	other := mailbox(t, open(t, mbox.Options{Root: root}), "box")
	update(t, other, func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(list(t, other)[0].UID)) })
	if _, err := body.ReadAt(moved, 0); err != nil || string(moved) != string(first) {
		t.Errorf("%q, %v after it was moved, %q before", moved, err, first)
	}
	update(t, other, func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(m.UID)) })
	for range 2 {
		if n, err := body.ReadAt(moved, 0); !errors.Is(err, formats.ErrNoMessage) {
			t.Errorf("%q, %v after it was expunged", moved[:n], err)
		}
	}
}

// TestAChangeThatLeavesSizeAndTimeIsSeen has another program put the modification time back, as Dovecot does when it cuts it
// to whole seconds, behind a change that leaves the size.
func TestAChangeThatLeavesSizeAndTimeIsSeen(t *testing.T) {
	root := dovecot.TempDir(t)
	b := create(t, open(t, mbox.Options{Root: root}), "box", formats.Status{})
	update(t, b, func(tx formats.Tx) error {
		return tx.Append(t.Context(), formats.Message{Flags: formats.Draft}, body("Subject: x\n\nx\n"))
	})
	path := filepath.Join(root, "box")
	second := time.Unix(1_700_000_000, 0)
	rewrite := func(from, to string) {
		t.Helper()
		f, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for was := changed(t, path); changed(t, path) == was; { // some clocks of file systems are slow
			if err := os.WriteFile(path, bytes.Replace(f, []byte(from), []byte(to), 1), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, second, second); err != nil {
				t.Fatal(err)
			}
		}
	}
	rewrite("X-Status: T", "X-Status: F")
	first := list(t, b)
	rewrite("X-Status: F", "X-Status: A")
	if then := list(t, b); first[0].Flags&^formats.Recent != formats.Flagged || then[0].Flags&^formats.Recent != formats.Answered {
		t.Errorf("%v, then %v", first[0].Flags, then[0].Flags)
	}
}

// changed is when the inode of a file last changed.
func changed(t *testing.T, path string) syscall.Timespec {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.Sys().(*syscall.Stat_t).Ctim
}

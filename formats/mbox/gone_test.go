package mbox_test

import (
	"errors"
	"testing"

	"dovetail/formats"
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

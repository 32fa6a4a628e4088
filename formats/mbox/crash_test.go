package mbox_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/mbox"
)

var errDead = errors.New("the process died here")

// mortal is a file system on which the process dies before the n-th change: everything afterwards fails as well.
func mortal(n int, seen *int) *disk.FS {
	return &disk.FS{Fault: func(op disk.Op, path string) error {
		*seen++
		if n > 0 && *seen >= n {
			return errDead
		}
		return nil
	}}
}

// TestDeathAtEveryBoundary stops each kind of change at every one of its writes. Afterwards the mailbox has its old
// messages or its new ones, and the same change done again completes.
func TestDeathAtEveryBoundary(t *testing.T) {
	first := numbered(odd[:6])
	more := numbered(odd)[6:12]
	for _, tc := range []struct {
		name string
		do   func(formats.Tx) error
		with []message // in the mailbox before
	}{
		{"fill an empty mailbox", appendAll(first), nil},
		{"append in place", appendAll(more), first},
		{"one flag in place", func(tx formats.Tx) error {
			return tx.SetFlags(formats.RangesOf(first[1].UID), formats.FlagChange{Op: formats.AddFlags, Flags: formats.Flagged})
		}, first},
		{"flags of many", func(tx formats.Tx) error {
			return tx.SetFlags(formats.Ranges{{First: 1, Last: 9999}}, formats.FlagChange{Op: formats.AddFlags, Flags: formats.Flagged, Keywords: []string{"new"}})
		}, first},
		{"expunge", func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(first[0].UID, first[2].UID)) }, first},
		{"expunge all", func(tx formats.Tx) error { return tx.Expunge(formats.Ranges{{First: 1, Last: 9999}}) }, first},
		{"append, flags and expunge", func(tx formats.Tx) error {
			tx.SetFlags(formats.RangesOf(more[0].UID), formats.FlagChange{Op: formats.ReplaceFlags, Keywords: []string{"new"}})
			tx.Expunge(formats.RangesOf(first[0].UID))
			return appendAll(more)(tx)
		}, first},
	} {
		t.Run(tc.name, func(t *testing.T) {
			old, fresh, boundaries := dieAt(t, 0, tc.with, tc.do)
			if reflect.DeepEqual(old, fresh) {
				t.Fatal("the change changes nothing")
			}
			for n := 1; n <= boundaries; n++ {
				dieAt(t, n, tc.with, tc.do)
			}
			t.Logf("%d boundaries", boundaries)
		})
	}
}

func dieAt(t *testing.T, n int, with []message, do func(formats.Tx) error) (old, fresh []string, seen int) {
	root := t.TempDir()
	reach := func(fs *disk.FS) *mbox.Store { return open(t, mbox.Options{Root: root, FS: fs}) }
	s := reach(&disk.FS{})
	b := create(t, s, "box", formats.Status{UIDValidity: 9, UIDNext: 1})
	if with != nil {
		update(t, b, appendAll(with))
	}
	old = states(t, b)
	dying := mailbox(t, reach(mortal(n, &seen)), "box")
	_, err := dying.Update(t.Context(), do)
	if n == 0 && err != nil {
		t.Fatal(err)
	}
	survivor := mailbox(t, reach(&disk.FS{}), "box")
	after := states(t, survivor)
	if n == 0 {
		return old, after, seen
	}
	if !reflect.DeepEqual(after, old) {
		if _, fresh, _ := dieAt(t, 0, with, do); !reflect.DeepEqual(after, fresh) {
			t.Fatalf("death %d: neither old nor new: %.300q", n, after)
		}
		return
	}
	os.Remove(root + "/box.lock") // package disk breaks locks of dead processes; this one names a living one
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := survivor.Update(ctx, do); err != nil {
		t.Fatalf("death %d: again: %v", n, err)
	}
	if _, fresh, _ := dieAt(t, 0, with, do); !reflect.DeepEqual(states(t, survivor), fresh) {
		t.Fatalf("death %d: again: %d messages, want %d", n, len(states(t, survivor)), len(fresh))
	}
	names, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range names {
		if e.Name() != "box" && e.Name() != ".imap" {
			t.Errorf("death %d: left behind %s", n, e.Name())
		}
	}
	return
}

func states(t *testing.T, b formats.Mailbox) []string {
	t.Helper()
	var all []string
	for _, m := range list(t, b) {
		all = append(all, fmt.Sprint(m.UID, m.Flags, m.Keywords, m.InternalDate, m.text))
	}
	return all
}

// Package formatstest is the suite that every mail format passes.
//
// A format joins with a few lines in its test:
//
//	func TestSuite(t *testing.T) { formatstest.Run(t, factory) }
//	func TestCrash(t *testing.T) { formatstest.Crash(t, factory) }
//
// The suite asks a store only for what its Limits say it can hold, and holds it to everything else that the contracts
// in package formats promise. Run looks at values, Crash at every write boundary (disk.FS.Fault).
package formatstest

import (
	"context"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// Factory opens the store whose files are all below root, an existing folder of the test. create makes what is missing.
// A store that is not on disk may ignore fsys, except that it refuses changes when fsys.ReadOnly is set.
type Factory func(ctx context.Context, root string, fsys *disk.FS, create bool) (formats.Store, error)

// Run runs the suite.
func Run(t *testing.T, open Factory) {
	for _, tc := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"identity survives a round trip", testIdentity},
		{"what a mailbox chooses itself is complete and stays", testChosen},
		{"every message needs no more than what is wanted of it", testWant},
		{"bodies are kept byte by byte", testBodies},
		{"flags of many messages change at once", testBulkFlags},
		{"keywords come and go", testKeywords},
		{"expunged messages are gone and their UIDs stay used", testExpunge},
		{"flags and expunges of UIDs that are gone are no error", testGone},
		{"a transaction does its appends, then flags, then expunges", testOrder},
		{"a UID below UIDNEXT is refused and nothing is done", testUIDTaken},
		{"messages can be appended from several goroutines", testConcurrentAppends},
		{"a failed append leaves the others alone", testFailedAppend},
		{"an error in a transaction undoes all of it", testRollback},
		{"UIDNEXT and HIGHESTMODSEQ can be raised and never sink", testRaise},
		{"the last UIDs there are can be used", testHighUIDs},
		{"messages are listed as they were when the listing began", testListingDuringUpdate},
		{"two handles and two stores see each other's changes", testTwoHandles},
		{"updates of several handles do not lose messages", testConcurrentUpdates},
		{"names of mailboxes", testNames},
		{"names that cannot be held are refused and have a safe one", testRefusedNames},
		{"the list of mailboxes has INBOX first and parents before children", testList},
		{"a mailbox is not made twice and not opened when it is not there", testCreateTwice},
		{"renaming takes the children along", testRename},
		{"deleting leaves the children", testDelete},
		{"a mailbox that is deleted and made again is another one", testCreateAgain},
		{"who has a deleted mailbox open is told", testDeletedWhileOpen},
		{"subscriptions", testSubscriptions},
		{"notes", testNotes},
		{"the place of a store", testPlace},
		{"the fingerprint differs after every change", testFingerprint},
		{"each recent message is claimed once, whoever else claims", testClaims},
		{"a conditional change is judged when it is made", testConditional},
		{"a mailbox with modseqs remembers what was expunged", testHistory},
		{"a cancelled context ends every operation", testCancelled},
		{"a read-only store refuses every change and can be read", testReadOnly},
		{"a store that is not there is not opened", testMissing},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.run(t, newBench(t, open)) })
	}
}

// bench is one store below a folder of its own, opened as often as a test likes.
type bench struct {
	t      testing.TB
	open   Factory
	root   string
	fs     *disk.FS
	store  formats.Store
	limits formats.Limits
}

func newBench(t testing.TB, open Factory) *bench {
	t.Helper()
	b := &bench{t: t, open: open, root: t.TempDir(), fs: &disk.FS{}}
	b.store = b.another(b.fs, true)
	b.limits = b.store.Limits()
	b.limits.NoPOP3 = b.limits.NoPOP3 || b.limits.POP3InboxOnly // the mailboxes here are others
	return b
}

// another gives a further store on the same files.
func (b *bench) another(fsys *disk.FS, create bool) formats.Store {
	b.t.Helper()
	s, err := b.open(context.Background(), b.root, fsys, create)
	if err != nil {
		b.t.Fatalf("open the store: %v", err)
	}
	b.t.Cleanup(func() { s.Close() })
	return s
}

// reopen forgets everything that is only in memory.
func (b *bench) reopen() {
	b.t.Helper()
	b.ok("close the store", b.store.Close())
	b.store = b.another(b.fs, false)
}

func (b *bench) ok(what string, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// create makes a mailbox.
func (b *bench) create(name string, like formats.Status) {
	b.t.Helper()
	b.ok("create "+name, b.store.Create(b.t.Context(), name, like))
}

// box opens a mailbox until the test ends.
func (b *bench) box(name string) formats.Mailbox {
	b.t.Helper()
	return openBox(b.t, b.store, name)
}

func openBox(t testing.TB, s formats.Store, name string) formats.Mailbox {
	t.Helper()
	m, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatalf("open mailbox %s: %v", name, err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// update changes a mailbox.
func (b *bench) update(name string, fn func(formats.Tx) error) formats.Committed {
	b.t.Helper()
	m, err := b.store.Open(b.t.Context(), name)
	b.ok("open mailbox "+name, err)
	defer m.Close()
	done, err := m.Update(b.t.Context(), fn)
	b.ok("update "+name, err)
	return done
}

// add appends messages with their UIDs.
func (b *bench) add(name string, mails ...Mail) formats.Committed {
	b.t.Helper()
	return b.update(name, func(tx formats.Tx) error { return appendAll(b.t.Context(), tx, mails) })
}

func appendAll(ctx context.Context, tx formats.Tx, mails []Mail) error {
	for _, m := range mails {
		if err := tx.Append(ctx, m.Message, formats.BytesBody(m.Content)); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) status(name string) formats.Status {
	b.t.Helper()
	st, err := b.box(name).Status(b.t.Context())
	b.ok("status of "+name, err)
	return st
}

// uids lists what is in a mailbox.
func (b *bench) uids(name string) string {
	b.t.Helper()
	var uids formats.Ranges
	for _, m := range list(b.t, b.box(name), 0) {
		uids.Add(m.UID)
	}
	return uids.String()
}

// list gives all messages and fails on any error.
func list(t testing.TB, box formats.Mailbox, want formats.Want) []formats.Message {
	t.Helper()
	var all []formats.Message
	for m, err := range box.Messages(t.Context(), formats.Query{Want: want}) {
		if err != nil {
			t.Fatalf("list %s: %v", box.Name(), err)
		}
		if n := len(all); n > 0 && all[n-1].UID >= m.UID {
			t.Fatalf("list %s: uid %d after %d", box.Name(), m.UID, all[n-1].UID)
		}
		all = append(all, m)
	}
	return all
}

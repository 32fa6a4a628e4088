package formatstest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// Crash runs each operation that changes a store once, counting the changes it makes to the disk, and then once for each
// of them with the process dead from there on: that change and all later ones fail. Afterwards a new process must find
// the old state or the new one, and doing the operation again must end in the new one. The number of boundaries is logged.
//
// A death between two changes is what this simulates, not the loss of what was written but not synced.
func Crash(t *testing.T, open Factory) { crash(t, open, false) }

// CrashPerMessage is Crash for a format that keeps flags and existence of each message in a place of its own, as Maildir
// does in file names: there each single message must be in its old or its new state, and appended messages must be there
// all or none.
func CrashPerMessage(t *testing.T, open Factory) { crash(t, open, true) }

func crash(t *testing.T, open Factory, perMessage bool) {
	total := 0
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			n := crasher{open, op, perMessage}.all(t)
			t.Logf("%s: %d boundaries", op.name, n)
			total += n
		})
	}
	t.Logf("%d boundaries", total)
}

// operation is one change of a store.
type operation struct {
	name   string
	before func(b *bench)                                   // makes the old state
	do     func(ctx context.Context, s formats.Store) error // changes it
}

func operations() []operation {
	filled := func(b *bench) {
		b.create("Box", like())
		b.add("Box", Samples(1, 2, 3, 5)...)
	}
	return []operation{
		{name: "create", before: func(*bench) {}, do: func(ctx context.Context, s formats.Store) error {
			return s.Create(ctx, "A/Größe", like())
		}},
		{name: "first append", before: func(b *bench) { b.create("Box", like()) }, do: changeBox(func(ctx context.Context, tx formats.Tx) error {
			return appendAll(ctx, tx, Samples(1, 2, 9))
		})},
		{name: "append", before: filled, do: changeBox(func(ctx context.Context, tx formats.Tx) error {
			return appendAll(ctx, tx, Samples(6, 7, 20))
		})},
		{name: "append of many", before: filled, do: changeBox(func(ctx context.Context, tx formats.Tx) error {
			return appendAll(ctx, tx, few(numbers(10, 24)...))
		})},
		{name: "flags", before: filled, do: changeBox(func(_ context.Context, tx formats.Tx) error {
			return tx.SetFlags(formats.RangesOf(1, 2, 3), formats.FlagChange{Op: formats.ReplaceFlags, Flags: formats.Draft | formats.Seen})
		})},
		{name: "keywords", before: filled, do: changeBox(func(_ context.Context, tx formats.Tx) error {
			return tx.SetFlags(formats.RangesOf(1, 3), formats.FlagChange{Keywords: []string{"one", "two"}})
		})},
		{name: "expunge", before: filled, do: changeBox(func(_ context.Context, tx formats.Tx) error {
			return tx.Expunge(formats.RangesOf(2, 5))
		})},
		{name: "append, flags and expunge at once", before: filled, do: changeBox(func(ctx context.Context, tx formats.Tx) error {
			return errors.Join(appendAll(ctx, tx, Samples(6, 7)), tx.Expunge(formats.RangesOf(2)),
				tx.SetFlags(formats.RangesOf(1, 3), formats.FlagChange{Op: formats.ReplaceFlags, Flags: formats.Flagged, Keywords: []string{"new"}}))
		})},
		{name: "raise", before: filled, do: changeBox(func(_ context.Context, tx formats.Tx) error { return tx.Raise(500, 90000, 0) })},
		{name: "rename", before: func(b *bench) { b.create("Old", like()); b.add("Old", Samples(1, 2)...) }, do: func(ctx context.Context, s formats.Store) error {
			return s.Rename(ctx, "Old", "New")
		}},
		{name: "delete", before: filled, do: func(ctx context.Context, s formats.Store) error { return s.Delete(ctx, "Box") }},
		{name: "subscribe", before: subscribed, do: func(ctx context.Context, s formats.Store) error {
			return formats.SetSubscriptions(ctx, s.(formats.Subscriber), []string{"Größe", "INBOX"})
		}},
		{name: "note", before: noted, do: func(ctx context.Context, s formats.Store) error {
			return s.(formats.Noter).WriteNote(ctx, "journal", []byte("new"))
		}},
	}
}

func subscribed(b *bench) {
	if s, ok := b.store.(formats.Subscriber); ok {
		b.ok("subscribe", formats.SetSubscriptions(b.t.Context(), s, []string{"INBOX"}))
		return
	}
	b.t.Skip("the format has no subscriptions")
}

func noted(b *bench) {
	if n, ok := b.store.(formats.Noter); ok {
		b.ok("write", n.WriteNote(b.t.Context(), "journal", []byte("old")))
		return
	}
	b.t.Skip("the format has no room for notes")
}

// changeBox makes an operation of a transaction on the mailbox Box.
func changeBox(fn func(context.Context, formats.Tx) error) func(context.Context, formats.Store) error {
	return func(ctx context.Context, s formats.Store) error {
		box, err := s.Open(ctx, "Box")
		if err != nil {
			return err
		}
		_, err = box.Update(ctx, func(tx formats.Tx) error { return fn(ctx, tx) })
		return errors.Join(err, box.Close())
	}
}

var errDead = errors.New("the process is dead")

// faults counts changes and lets all from the n-th on fail; n < 0: none.
type faults struct {
	n, seen int
	at      string // the first that failed
}

func (f *faults) fs() *disk.FS {
	return &disk.FS{Fault: func(op disk.Op, path string) error {
		f.seen++
		if f.n < 0 || f.seen <= f.n {
			return nil
		}
		if f.at == "" {
			f.at = fmt.Sprintf("%s %s", op, path)
		}
		return errDead
	}}
}

type crasher struct {
	open       Factory
	op         operation
	perMessage bool
}

func (c crasher) all(t *testing.T) int {
	count := &faults{n: -1}
	old, after := c.once(t, count, "", "")
	if old == after {
		t.Fatalf("the operation changes nothing that can be seen:\n%s", old)
	}
	for n := range count.seen {
		f := &faults{n: n}
		if c.once(t, f, old, after); t.Failed() {
			t.Fatalf("died at boundary %d of %d: %s", n+1, count.seen, f.at)
		}
	}
	return count.seen
}

// once makes the old state, does the operation with the faults, and looks at what a new process finds: before and after
// are the states it may be, "" in the first run.
func (c crasher) once(t *testing.T, f *faults, before, after string) (old, final string) {
	t.Helper()
	b := newBench(t, c.open)
	c.op.before(b)
	old = snapshot(b)
	b.ok("close", b.store.Close())
	s, err := b.open(t.Context(), b.root, f.fs(), false)
	if err == nil {
		err = c.op.do(t.Context(), s)
		s.Close()
	}
	b.ownerDies()
	b.store = b.another(b.fs, false)
	found := snapshot(b)
	if f.n < 0 {
		b.ok("the operation", err)
		return old, found
	}
	between := found != before && found != after
	if between && (!c.perMessage || !mixed(found, before, after)) {
		t.Errorf("neither old nor new (%v). Got\n%s\nold\n%s\nnew\n%s", err, found, before, after)
	}
	if err == nil && found != after {
		t.Errorf("no error, but not done. Got\n%s\nwant\n%s", found, after)
	}
	return old, c.redo(b, found, after)
}

// redo does the operation again where it was not done, and gives what is then found.
func (c crasher) redo(b *bench, found, after string) (final string) {
	b.t.Helper()
	if found != after {
		err := c.op.do(b.t.Context(), b.store)
		if c.perMessage && errors.Is(err, formats.ErrUIDTaken) {
			return after // the appends were committed, flags or expunges not: who wants them must look first
		}
		if err != nil {
			b.t.Errorf("done again: %v. Before that there was\n%s", err, found)
		}
	}
	b.reopen()
	if final = snapshot(b); final != after {
		b.t.Errorf("done again: got\n%s\nwant\n%s", final, after)
	}
	return final
}

// mixed tells whether each message of found is as in before or as in after, and none is missing from both.
func mixed(found, before, after string) bool {
	old, now := messageLines(before), messageLines(after)
	seen := messageLines(found)
	appended := 0
	for uid, line := range seen {
		if line != old[uid] && line != now[uid] {
			return false
		}
		if old[uid] == "" {
			appended++
		}
	}
	news := 0
	for uid := range now {
		switch {
		case old[uid] == "":
			news++
		case seen[uid] == "":
			return false
		}
	}
	return appended == 0 || appended == news
}

// messageLines gives the lines of messages in a snapshot by mailbox and UID.
func messageLines(snapshot string) map[string]string {
	lines := map[string]string{}
	mailbox := ""
	for line := range strings.Lines(snapshot) {
		if !strings.HasPrefix(line, "  ") {
			mailbox, _, _ = strings.Cut(line, ":")
			continue
		}
		lines[mailbox+strings.Fields(line)[0]] = line
	}
	return lines
}

// ownerDies turns the dotlocks that the dead process left into ones of a process that does not run, because this one
// does. An empty one, whose owner died before he wrote his name, is only overridden after its stale time; the suite does
// not wait for that.
func (b *bench) ownerDies() {
	b.t.Helper()
	host, _ := os.Hostname()
	mine := fmt.Sprintf("%d:%s", os.Getpid(), host)
	const never = 1<<22 + 1 // above the highest process id of Linux
	b.ok("walk", filepath.WalkDir(b.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.HasSuffix(path, ".lock") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil || len(content) > 0 && string(content) != mine {
			return err
		}
		return os.WriteFile(path, fmt.Appendf(nil, "%d:%s", never, host), 0o600)
	}))
}

// snapshot writes down all that can be seen in a store and is the same for the same operations.
func snapshot(b *bench) string {
	b.t.Helper()
	var w strings.Builder
	infos, err := b.store.Mailboxes(b.t.Context())
	b.ok("list", err)
	for _, info := range infos {
		if info.Err != nil {
			fmt.Fprintf(&w, "%s: %v\n", info.Name, info.Err)
		} else if !info.NoSelect { // parents may come and go
			snapshotBox(b, &w, info.Name)
		}
	}
	if s, ok := b.store.(formats.Subscriber); ok {
		names, err := s.Subscriptions(b.t.Context())
		fmt.Fprintf(&w, "subscribed %q %v\n", names, err)
	}
	if n, ok := b.store.(formats.Noter); ok {
		note, err := n.ReadNote(b.t.Context(), "journal")
		fmt.Fprintf(&w, "note %q %v\n", note, err == nil)
	}
	return w.String()
}

func snapshotBox(b *bench, w *strings.Builder, name string) {
	b.t.Helper()
	box, err := b.store.Open(b.t.Context(), name)
	b.ok("open "+name, err)
	defer box.Close()
	st, err := box.Status(b.t.Context())
	b.ok("status of "+name, err)
	if name != "INBOX" { // made at some time by itself
		fmt.Fprintf(w, "%s: uidvalidity %d next %d messages %d unseen %d", name, st.UIDValidity, st.UIDNext, st.Messages, st.Unseen)
	}
	if !b.limits.NoMailboxGUID && name != "INBOX" {
		fmt.Fprintf(w, " guid %s", st.GUID)
	}
	w.WriteByte('\n')
	for _, m := range list(b.t, box, formats.WantAll) {
		keywords := slices.Sorted(slices.Values(m.Keywords))
		fmt.Fprintf(w, "  %d %v %q %s %d", m.UID, m.Flags&formats.SystemFlags, keywords, m.InternalDate.UTC(), m.VirtualSize)
		if !b.limits.NoGUID {
			fmt.Fprintf(w, " %s", m.GUID)
		}
		if !b.limits.NoPOP3 {
			fmt.Fprintf(w, " %q", m.POP3UIDL)
		}
		if !b.limits.NoPOP3 && b.limits.POP3OrderProblem == nil {
			fmt.Fprintf(w, " %d", m.POP3Order)
		}
		body, err := box.Body(b.t.Context(), &m)
		b.ok(fmt.Sprintf("body of uid %d", m.UID), err)
		content := sha256.New()
		_, err = body.WriteTo(content)
		b.ok(fmt.Sprintf("body of uid %d", m.UID), errors.Join(err, body.Close()))
		fmt.Fprintf(w, " %.4x\n", content.Sum(nil))
	}
}

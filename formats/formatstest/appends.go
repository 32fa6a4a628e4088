package formatstest

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"

	"dovetail/formats"
)

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func testUIDTaken(t *testing.T, b *bench) {
	b.create("Box", like())
	b.add("Box", few(1, 7)...)
	for _, tc := range []struct {
		name string
		uids []int
	}{
		{"below UIDNEXT", []int{5}},
		{"the UID of a message", []int{7}},
		{"one good, one below", []int{20, 3}},
		{"the same twice", []int{20, 20}},
	} {
		box := b.box("Box")
		before := b.status("Box")
		_, err := box.Update(t.Context(), func(tx formats.Tx) error {
			if err := tx.SetFlags(formats.RangesOf(1), formats.FlagChange{Flags: formats.Flagged}); err != nil {
				return err
			}
			return appendAll(t.Context(), tx, few(tc.uids...))
		})
		wantErr(t, tc.name, err, formats.ErrUIDTaken)
		b.reopen()
		if got := b.uids("Box"); got != "1,7" {
			t.Errorf("%s: UIDs are now %s", tc.name, got)
		}
		if after := b.status("Box"); after.UIDNext != before.UIDNext || after.Messages != before.Messages {
			t.Errorf("%s: status was %+v, now %+v", tc.name, before, after)
		}
		b.want("Box", func(formats.UID) (formats.Flags, []string) { return 0, nil })
	}
}

func testConcurrentAppends(t *testing.T, b *bench) {
	b.create("Box", like())
	mails := Samples(numbers(1, 60)...)
	done := b.update("Box", func(tx formats.Tx) error {
		var group sync.WaitGroup
		errs := make([]error, 4)
		for worker := range errs {
			group.Go(func() {
				for i := worker; i < len(mails); i += len(errs) {
					if err := tx.Append(t.Context(), mails[i].Message, formats.BytesBody(mails[i].Content)); err != nil {
						errs[worker] = err
					}
				}
			})
		}
		group.Wait()
		return errors.Join(errs...)
	})
	if got := done.UIDs.String(); got != "1:60" {
		t.Errorf("committed %s, want 1:60", got)
	}
	b.reopen()
	sameMails(t, "appended by four goroutines", b.limits, b.box("Box"), mails)
}

var errBody = errors.New("the body cannot be read to its end")

// tornBody fails in the middle.
type tornBody struct{ formats.Body }

func (tornBody) Size() int64 { return 1 << 20 }

func (tornBody) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, "Subject: torn\n\nhalf of a me")
	return int64(n), errors.Join(errBody, err)
}

func (tornBody) ReadAt(p []byte, off int64) (int, error) { return 0, errBody }

func testFailedAppend(t *testing.T, b *bench) {
	b.create("Box", like())
	mails := few(1, 2, 4)
	b.update("Box", func(tx formats.Tx) error {
		if err := appendAll(t.Context(), tx, mails[:2]); err != nil {
			return err
		}
		err := tx.Append(t.Context(), few(3)[0].Message, tornBody{formats.BytesBody(nil)})
		wantErr(t, "append of a torn body", err, errBody)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := tx.Append(ended, few(3)[0].Message, formats.BytesBody([]byte("x"))); err != nil {
			wantErr(t, "append with a cancelled context", err, context.Canceled)
		} else {
			t.Error("append with a cancelled context was done")
		}
		return appendAll(t.Context(), tx, mails[2:])
	})
	for range 2 {
		sameMails(t, "around a failed append", b.limits, b.box("Box"), mails)
		b.reopen()
	}
}

func testRollback(t *testing.T, b *bench) {
	b.create("Box", like())
	mails := few(1, 2, 3)
	b.add("Box", mails...)
	before := b.status("Box")
	stop := errors.New("stop")
	box := b.box("Box")
	_, err := box.Update(t.Context(), func(tx formats.Tx) error {
		all := formats.Ranges{{First: 1, Last: 9}}
		return errors.Join(appendAll(t.Context(), tx, few(4, 5)), tx.SetFlags(all, formats.FlagChange{Flags: formats.Seen, Keywords: []string{"x"}}),
			tx.Expunge(all), tx.Raise(100, 10000, 2), stop)
	})
	wantErr(t, "update", err, stop)
	for _, when := range []string{"the same handle", "opened again"} {
		if st, err := box.Status(t.Context()); err != nil || st != before {
			t.Errorf("%s: status was %+v, now %+v, %v", when, before, st, err)
		}
		sameMails(t, when, b.limits, box, mails)
		b.reopen()
		box = b.box("Box")
	}
	if got := b.add("Box", few(0)[0]).UIDs.String(); got != "4" {
		t.Errorf("the next message is %s, want 4", got)
	}
}

func testTwoHandles(t *testing.T, b *bench) {
	b.create("Box", like())
	b.add("Box", few(1, 2, 3)...)
	other := b.another(b.fs, false)
	here, there := b.box("Box"), openBox(t, other, "Box")
	check := func(when, want string) {
		t.Helper()
		for _, box := range []formats.Mailbox{here, there} {
			var uids formats.Ranges
			for _, m := range list(t, box, 0) {
				uids.Add(m.UID)
			}
			st, err := box.Status(t.Context())
			if uids.String() != want || err != nil || int(st.Messages) != uids.Len() {
				t.Errorf("%s: %s, status %+v, %v; want %s", when, uids, st, err, want)
			}
		}
	}
	check("at first", "1:3")
	change := func(box formats.Mailbox, fn func(tx formats.Tx) error) {
		t.Helper()
		_, err := box.Update(t.Context(), fn)
		b.ok("update", err)
	}
	change(there, func(tx formats.Tx) error { return appendAll(t.Context(), tx, few(4)) })
	check("after an append", "1:4")
	change(here, func(tx formats.Tx) error { return appendAll(t.Context(), tx, few(0)) })
	check("after another append", "1:5")
	change(there, func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(2)) })
	check("after an expunge", "1,3:5")
	change(here, func(tx formats.Tx) error {
		return tx.SetFlags(formats.RangesOf(1, 2, 3), formats.FlagChange{Flags: formats.Seen, Keywords: []string{"both"}})
	})
	for _, m := range list(t, there, 0) {
		if seen := m.Flags&formats.Seen != 0; seen != (m.UID <= 3) || seen != formats.HasKeyword(m.Keywords, "both") {
			t.Errorf("uid %d seen from the other side: %v %q", m.UID, m.Flags, m.Keywords)
		}
	}
}

func testConcurrentUpdates(t *testing.T, b *bench) {
	b.create("Box", like())
	stores := []formats.Store{b.store, b.another(b.fs, false)}
	var group sync.WaitGroup
	var mu sync.Mutex // guards all and errs
	var all []formats.UID
	var errs []error
	for worker := range 4 {
		group.Go(func() {
			for range 5 {
				uids, err := appendOne(t.Context(), stores[worker%2])
				mu.Lock()
				all, errs = append(all, uids...), append(errs, err)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	b.ok("append", errors.Join(errs...))
	slices.Sort(all)
	if want := numbers(1, 20); len(all) != len(want) || formats.RangesOf(all...).String() != "1:20" {
		t.Errorf("UIDs given: %v", all)
	}
	b.reopen()
	if got := b.uids("Box"); got != "1:20" {
		t.Errorf("UIDs there: %s", got)
	}
}

func appendOne(ctx context.Context, s formats.Store) ([]formats.UID, error) {
	box, err := s.Open(ctx, "Box")
	if err != nil {
		return nil, err
	}
	defer box.Close()
	done, err := box.Update(ctx, func(tx formats.Tx) error { return appendAll(ctx, tx, few(0)) })
	return slices.Collect(done.UIDs.All()), err
}

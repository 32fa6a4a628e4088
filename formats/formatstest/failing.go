package formatstest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// Failing runs each operation that changes a store once, counting the changes it makes to the disk, and then once for each
// of them with that one change failing, as on a full or failing disk, while the process lives on. When the operation
// answers with an error, none of the messages that it was to add may be there; when it answers without one, everything
// must be done. Then the same store must do the operation again at once: no lock may be left behind.
func Failing(t *testing.T, open Factory) {
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		for _, op := range operations() {
			t.Run(fmt.Sprintf("%s, %v", op.name, errno), func(t *testing.T) {
				n := failer{open, op, errno}.all(t)
				t.Logf("%d changes", n)
			})
		}
	}
}

// failer lets one change after the other fail.
type failer struct {
	open  Factory
	op    operation
	errno syscall.Errno
}

func (f failer) all(t *testing.T) int {
	total := 0
	for n := -1; n < total; n++ {
		seen := f.once(t, n)
		if n < 0 {
			total = seen
		}
		if t.Failed() {
			return total
		}
	}
	return total
}

// soonEnough bounds how long an operation may wait for a lock that nobody holds any more.
const soonEnough = 15 * time.Second

// once lets the n-th change fail, none if n < 0, and gives how many there were.
func (f failer) once(t *testing.T, n int) (seen int) {
	t.Helper()
	b := newBench(t, f.open)
	f.op.before(b)
	old := snapshot(b)
	b.ok("close", b.store.Close())
	failed := ""
	faulty := &disk.FS{Fault: func(op disk.Op, path string) error {
		seen++
		if seen-1 != n { // -1: none
			return nil
		}
		failed = fmt.Sprintf("%s %s", op, path)
		return &fs.PathError{Op: string(op), Path: path, Err: f.errno}
	}}
	s, err := b.open(t.Context(), b.root, faulty, false)
	if err != nil {
		return seen // of what opening does nothing is kept that matters
	}
	ctx, cancel := context.WithTimeout(t.Context(), soonEnough)
	defer cancel()
	err = f.op.do(ctx, s)
	b.store = b.another(b.fs, false)
	found := snapshot(b)
	was := messageLines(old)
	for place, line := range messageLines(found) {
		if err != nil && was[place] == "" && f.op.name != "rename" {
			t.Errorf("%s failed, the answer was %v, and yet there is\n%s", failed, err, line)
		}
	}
	if err == nil {
		s.Close()
		return seen
	}
	if again := f.op.do(ctx, s); again != nil && !doneAlready(again) {
		t.Errorf("%s failed (%v); when it is asked again the same store says %v", failed, err, again)
	}
	s.Close()
	b.reopen()
	snapshot(b)
	return seen
}

// doneAlready tells whether an operation cannot be done again because of what the first time left: a name is gone or
// taken, or a UID used up.
func doneAlready(err error) bool {
	return errors.Is(err, formats.ErrExists) || errors.Is(err, formats.ErrNoMailbox) || errors.Is(err, formats.ErrUIDTaken)
}

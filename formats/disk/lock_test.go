package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// queued returns when somebody waits in the kernel for the lock of a file, or nobody does any more.
func queued(t *testing.T, f *File, want bool) {
	t.Helper()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	inode := fmt.Sprintf(":%d ", st.Ino)
	for t.Context().Err() == nil {
		locks, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Skipf("who waits for a lock is not known: %v", err)
		}
		found := false
		for line := range strings.Lines(string(locks)) {
			found = found || strings.Contains(line, "-> ") && strings.Contains(line, inode)
		}
		if found == want {
			return
		}
		runtime.Gosched()
	}
}

// lockedTwice gives a file opened twice, locked through the first.
func lockedTwice(t *testing.T) (holder, waiter *File) {
	d := open(t, nil, t.TempDir())
	holder, err := d.Create("x", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if waiter, err = d.OpenWrite("x", 0); err != nil {
		t.Fatal(err)
	}
	if err := holder.Lock(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	return holder, waiter
}

func TestWhoWaitsForALockQueuesForIt(t *testing.T) {
	holder, waiter := lockedTwice(t)
	defer holder.Close()
	defer waiter.Close()
	got := make(chan error)
	go func() { got <- waiter.Lock(t.Context(), true) }()
	queued(t, waiter, true)
	if err := holder.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	if ok, err := holder.TryLock(false); ok || err != nil {
		t.Errorf("the lock is free for others: %v, %v", ok, err)
	}
}

func TestALockThatIsGivenUpIsNotHeldLater(t *testing.T) {
	holder, waiter := lockedTwice(t)
	defer holder.Close()
	defer waiter.Close()
	giveUp := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := waiter.Lock(ctx, true); !errors.Is(err, ErrLocked) {
			t.Fatalf("error %v", err)
		}
	}
	giveUp()
	giveUp() // behind the one that is still waiting
	if ok, err := waiter.TryLock(true); ok || err != nil {
		t.Errorf("locked: %v, %v", ok, err)
	}
	if err := holder.Unlock(); err != nil {
		t.Fatal(err)
	}
	queued(t, waiter, false)
	if err := waiter.Lock(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if ok, err := holder.TryLock(false); ok || err != nil {
		t.Errorf("the lock is free for others: %v, %v", ok, err)
	}
}

func TestAFileIsClosedWhileItsLockIsWaitedFor(t *testing.T) {
	holder, waiter := lockedTwice(t)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error)
	go func() { got <- waiter.Lock(ctx, true) }()
	queued(t, holder, true)
	cancel()
	if err := <-got; !errors.Is(err, ErrLocked) {
		t.Errorf("error %v", err)
	}
	if err := waiter.Close(); err != nil {
		t.Error(err)
	}
	if err := holder.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := holder.Lock(t.Context(), true); err != nil { // as soon as the other is gone
		t.Fatal(err)
	}
	if err := holder.Close(); err != nil {
		t.Error(err)
	}
}

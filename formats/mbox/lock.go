package mbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// Locks says how long others may hold theirs.
type Locks struct {
	// Timeout is how long a lock is waited for (Dovecot's mbox_lock_timeout); 0: five minutes. Who has waited in vain gets
	// an error that wraps disk.ErrLocked.
	Timeout time.Duration

	// Stale is after how long a dotlock of another host, or of a process that forgot it, is broken when neither it nor the
	// mailbox changed (Dovecot's mbox_dotlock_change_timeout); 0: two minutes.
	Stale time.Duration
}

// until is when somebody who begins to wait now gives up.
func (l Locks) until() time.Time {
	return time.Now().Add(cmp.Or(l.Timeout, 5*time.Minute))
}

func (l Locks) stale() time.Duration { return cmp.Or(l.Stale, 2*time.Minute) }

// held is a mailbox file locked for writing.
type held struct {
	f    *disk.File
	dot  *disk.Dotlock // nil where the folder may not be written
	info disk.Info
}

// lock takes the lock of the file (fcntl), waiting for it, and then tries the dotlock: if that is taken, the first one
// is given back for a moment. So neither order that Dovecot may be set to (Debian: fcntl, then dotlock; upstream: dotlock,
// then fcntl) can deadlock with ours.
func (b *Mailbox) lock(ctx context.Context, until time.Time) (*held, error) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	var watch dotWatch
	for {
		f, err := b.dir.OpenWrite(b.file, 0)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %w", formats.ErrNoMailbox, err)
		}
		if err != nil {
			return nil, err
		}
		l, err := b.lockFile(ctx, f, &watch)
		if l != nil {
			return l, nil
		}
		f.Close()
		if err == nil {
			err = pause(ctx)
		}
		if err != nil {
			return nil, err
		}
	}
}

// lockFile gives nil, nil when the dotlock is taken or the file was replaced meanwhile.
func (b *Mailbox) lockFile(ctx context.Context, f *disk.File, watch *dotWatch) (*held, error) {
	if err := f.Lock(ctx, true); err != nil {
		return nil, err
	}
	dot, err := b.dotlock(ctx, watch)
	if dot == nil && !forbidden(err) {
		return nil, err
	}
	l := &held{f: f, dot: dot}
	if l.info, err = f.Stat(); err != nil {
		return nil, errors.Join(err, l.release())
	}
	if now, err := b.dir.Stat(b.file); err != nil || now.Ino != l.info.Ino || now.Dev != l.info.Dev {
		l.release()
		return nil, nil
	}
	return l, nil
}

// forbidden tells that dotlocks cannot be made here, as in a spool folder that only a group may write: fcntl remains.
func forbidden(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS)
}

// dotlockWait is how long a dotlock is waited for with the file locked: a Dovecot that is ready unlocks the file first, and
// then removes its dotlock.
const dotlockWait = 10 * time.Millisecond

// dotlock does not wait long; a lock of a dead process of this host is broken at once, any other after Locks.Stale.
func (b *Mailbox) dotlock(ctx context.Context, watch *dotWatch) (*disk.Dotlock, error) {
	stale := b.store.opts.Locks.stale()
	if watch.unchanged(b) {
		stale = 0
	}
	try, cancel := context.WithTimeout(ctx, dotlockWait)
	defer cancel()
	dot, err := b.dir.Dotlock(try, b.file, stale, fileMode)
	if errors.Is(err, disk.ErrLocked) && ctx.Err() == nil {
		return nil, nil
	}
	return dot, err
}

// dotWatch remembers how somebody else's lock looked.
type dotWatch struct {
	seen  [2]disk.ID
	since time.Time
}

func (w *dotWatch) unchanged(b *Mailbox) bool {
	lock, err := b.dir.Stat(b.file + lockSuffix)
	if err != nil {
		w.since = time.Time{}
		return false
	}
	file, _ := b.dir.Stat(b.file) // it is open: it exists, or is about to be found missing
	if now := [2]disk.ID{lock.ID, file.ID}; now != w.seen || w.since.IsZero() {
		w.seen, w.since = now, time.Now()
	}
	return time.Since(w.since) >= b.store.opts.Locks.stale()
}

// pause lets others go on.
func pause(ctx context.Context) error {
	t := time.NewTimer(20*time.Millisecond + rand.N(30*time.Millisecond))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", disk.ErrLocked, ctx.Err())
	case <-t.C:
		return nil
	}
}

func (l *held) release() error {
	var err error
	if l.dot != nil {
		err = l.dot.Unlock()
	}
	return errors.Join(err, l.f.Close())
}

// touched gives a file a modification time that Dovecot takes for a change: it compares whole seconds.
func touched(f *disk.File, before disk.Info) error {
	t := time.Now()
	if old := before.MTime.Sec; t.Unix() <= old {
		t = time.Unix(old+1, 0)
	}
	return f.Chtimes(t)
}

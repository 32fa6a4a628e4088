package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked is returned when a lock is held elsewhere past the deadline of the context.
var ErrLocked = errors.New("locked by another program")

// patience is how long Lock looks again and again whether a lock is free before it queues for it.
const patience = 16 * time.Millisecond

// Lock takes an open file description lock on the whole file, waiting until ctx ends. Such locks conflict with the
// POSIX (fcntl) locks of other programs in both directions, survive the closing of other descriptors, and exclude
// goroutines that opened the file separately. Closing the file releases it. One goroutine at a time may wait for a file.
//
// Who waits long waits in the kernel, as other programs do: of many that want a lock, who only looks now and then whether
// it is free would be the last to get it.
func (f *File) Lock(ctx context.Context, exclusive bool) error {
	for wait := time.Millisecond; wait < patience; wait *= 2 {
		ok, err := f.TryLock(exclusive)
		if ok || err != nil {
			return err
		}
		if err := sleep(ctx, wait); err != nil {
			return f.locked(err)
		}
	}
	return f.queue(ctx, exclusive)
}

func (f *File) locked(err error) error {
	return &fs.PathError{Op: "lock", Path: f.path, Err: fmt.Errorf("%w: %w", ErrLocked, err)}
}

// queue waits for the lock in the kernel. That cannot be ended: when ctx ends before, who waits is left behind, and lets go of
// the lock when it gets it.
func (f *File) queue(ctx context.Context, exclusive bool) error {
	if left := f.left.Load(); left != nil {
		select {
		case <-*left:
		case <-ctx.Done():
			return f.locked(ctx.Err())
		}
	}
	conn, err := f.f.SyscallConn()
	if err != nil {
		return &fs.PathError{Op: "lock", Path: f.path, Err: err}
	}
	got, leave, over := make(chan error), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		err := waitForLock(conn, exclusive)
		select {
		case got <- err:
		case <-leave:
			f.Unlock() // closing would have done so: nothing to do about an error
		}
	}()
	select {
	case err := <-got:
		if err != nil {
			err = &fs.PathError{Op: "lock", Path: f.path, Err: err}
		}
		return err
	case <-ctx.Done():
		f.left.Store(&over)
		close(leave)
		return f.locked(ctx.Err())
	}
}

// waitForLock blocks a thread. The descriptor stays open meanwhile, whoever closes the file.
func waitForLock(conn syscall.RawConn, exclusive bool) (err error) {
	lk := lockOf(exclusive)
	cerr := conn.Control(func(fd uintptr) {
		for err = unix.EINTR; err == unix.EINTR; {
			err = unix.FcntlFlock(fd, unix.F_OFD_SETLKW, &lk)
		}
	})
	return errors.Join(cerr, err)
}

func lockOf(exclusive bool) unix.Flock_t {
	if exclusive {
		return unix.Flock_t{Type: unix.F_WRLCK}
	}
	return unix.Flock_t{Type: unix.F_RDLCK}
}

// TryLock takes the lock if it is free.
func (f *File) TryLock(exclusive bool) (bool, error) {
	if left := f.left.Load(); left != nil {
		select {
		case <-*left:
		default:
			return false, nil
		}
	}
	lk := lockOf(exclusive)
	err := unix.FcntlFlock(f.f.Fd(), unix.F_OFD_SETLK, &lk)
	if err == unix.EAGAIN || err == unix.EACCES {
		return false, nil
	}
	if err != nil {
		return false, &fs.PathError{Op: "lock", Path: f.path, Err: err}
	}
	return true, nil
}

// Unlock releases the lock before the file is closed.
func (f *File) Unlock() error {
	lk := unix.Flock_t{Type: unix.F_UNLCK}
	if err := unix.FcntlFlock(f.f.Fd(), unix.F_OFD_SETLK, &lk); err != nil {
		return &fs.PathError{Op: "unlock", Path: f.path, Err: err}
	}
	return nil
}

// sleep waits with some jitter, so that two waiters do not march in step.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Dotlock is a held NAME.lock file.
type Dotlock struct {
	dir  *Dir
	name string
	info Info
}

// Dotlock creates name+".lock" with "pid:hostname" in it, waiting until ctx ends. A lock of a dead process of this
// host is overridden at once; any other one when neither it nor the protected file changed for stale
// (Dovecot 2.3, src/lib/file-dotlock.c).
func (d *Dir) Dotlock(ctx context.Context, name string, stale time.Duration, mode fs.FileMode) (*Dotlock, error) {
	watch := lockWatch{since: time.Now()}
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		l, err := d.TryDotlock(name, mode)
		if l != nil || err != nil {
			return l, err
		}
		broken, err := watch.breakStale(d, name, stale)
		if err != nil {
			return nil, err
		}
		if broken {
			continue
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, d.err("dotlock", name+".lock", fmt.Errorf("%w: %w", ErrLocked, err))
		}
	}
}

// TryDotlock gives nil, nil when the lock is held by somebody. Everybody may read a lock: a waiting Dovecot watches it,
// and complains if it cannot in the moment before the file is the mail user's.
func (d *Dir) TryDotlock(name string, mode fs.FileMode) (*Dotlock, error) {
	lock := name + ".lock"
	f, err := d.lockAtOnce(lock, mode|0o444)
	if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, ErrReadOnly) {
		f, err = d.lockByName(lock, mode|0o444)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		d.Remove(lock)
		return nil, err
	}
	return &Dotlock{dir: d, name: lock, info: info}, nil
}

// lockAtOnce fills a file that has no name yet, so that a process that dies before its id is in the lock leaves none
// behind: others would wait out the stale time of an empty one.
func (d *Dir) lockAtOnce(lock string, mode fs.FileMode) (*File, error) {
	f, err := d.createUnnamed(lock, mode)
	if err != nil {
		return nil, err
	}
	err = f.writeOwner(os.Getpid())
	if err == nil {
		err = d.linkUnnamed(f, lock)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// lockByName is for file systems without unnamed files (NFS) and for places without /proc. On a full disk the lock stays
// empty: it holds as well as any other, and without it nothing could be removed from the mailbox to make room. Only if its
// holder dies, others wait out the stale time.
func (d *Dir) lockByName(lock string, mode fs.FileMode) (*File, error) {
	f, err := d.Create(lock, mode)
	if err != nil {
		return nil, err
	}
	if err := f.writeOwner(os.Getpid()); err != nil && !Full(err) {
		f.Close()
		d.Remove(lock)
		return nil, err
	}
	return f, nil
}

// writeOwner says who holds a lock.
func (f *File) writeOwner(pid int) error {
	host, _ := os.Hostname() // without a name nobody can tell that we died; the stale time remains
	_, err := fmt.Fprintf(f, "%d:%s", pid, host)
	return err
}

// Touch tells other programs that the holder is alive; a long holder calls it every ten seconds.
func (l *Dotlock) Touch() error { return l.dir.Chtimes(l.name, time.Now()) }

// Unlock removes the lock, unless somebody took it over. A lock that cannot be removed is given to a process that cannot
// be: whoever comes next, or a waiting Dovecot, breaks it at once, and nobody waits for a holder that does not know of it.
func (l *Dotlock) Unlock() error {
	now, err := l.dir.Stat(l.name)
	if err != nil {
		return err
	}
	if now.Ino != l.info.Ino || now.Dev != l.info.Dev {
		return l.dir.err("unlock", l.name, errors.New("taken over by another program"))
	}
	err = l.dir.Remove(l.name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.disown()
	}
	return err
}

// nobody is above all process ids that Linux gives (PID_MAX_LIMIT).
const nobody = 1<<22 + 1

func (l *Dotlock) disown() {
	f, err := l.dir.OpenWrite(l.name, 0)
	if err != nil {
		return // the stale time remains
	}
	defer f.Close()
	if now, err := f.Stat(); err != nil || now.Ino != l.info.Ino || now.Dev != l.info.Dev {
		return
	}
	f.writeOwner(nobody) // best effort: without it the stale time remains
}

// lockWatch remembers how a foreign lock looked, and since when.
type lockWatch struct {
	seen  [2]ID // lock file, protected file
	since time.Time
}

func (w *lockWatch) breakStale(d *Dir, name string, stale time.Duration) (bool, error) {
	lock, err := d.Stat(name + ".lock")
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	file, _ := d.Stat(name) // the protected file need not exist
	if now := [2]ID{lock.ID, file.ID}; now != w.seen {
		w.seen, w.since = now, time.Now()
	}
	if !ownerDead(d, name+".lock") && time.Since(w.since) < stale {
		return false, nil
	}
	again, err := d.Stat(name + ".lock")
	if err != nil || again.ID != lock.ID {
		return false, nil // it changed hands while we looked
	}
	err = d.Remove(name + ".lock")
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err == nil, err
}

// ownerDead is sure only for a lock with this host's name and a process id that no longer runs.
func ownerDead(d *Dir, lock string) bool {
	b, err := d.ReadFile(lock, 1024)
	if err != nil {
		return false
	}
	pid, host, ok := strings.Cut(strings.TrimSpace(string(b)), ":")
	n, err := strconv.Atoi(pid)
	self, herr := os.Hostname()
	if !ok || err != nil || herr != nil || n <= 0 || host != self {
		return false
	}
	return unix.Kill(n, 0) == unix.ESRCH
}

// TryFlock takes the lock of flock(2) if it is free: another kind, which Dovecot takes on the message files of an mdbox.
// Closing the file releases it.
func (f *File) TryFlock() (bool, error) {
	err := unix.Flock(int(f.f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return false, nil
	}
	if err != nil {
		return false, &fs.PathError{Op: "lock", Path: f.path, Err: err}
	}
	return true, nil
}

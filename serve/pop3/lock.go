package pop3

import (
	"context"
	"errors"
	"sync"
	"time"

	"dovetail/formats/disk"
	"dovetail/serve/namespace"
)

// The lock of a session is Dovecot's, so that a Dovecot that serves the same mail respects it, and the other way round:
// a dotlock in the root of the inbox's indexes (2.3.19, src/pop3/pop3-client.c, pop3_lock_session).
const (
	lockName  = "dovecot-pop3-session"
	lockWait  = 10 * time.Second
	lockStale = 5 * time.Minute
	lockTouch = time.Minute // well before it would be stale
)

var errLocked = errors.New("locked by another session")

// sessionLock is held until release.
type sessionLock struct {
	dir    *disk.Dir
	lock   *disk.Dotlock
	stop   func()
	always sync.WaitGroup
}

func lockSession(ctx context.Context, u *namespace.User) (*sessionLock, error) {
	at, err := u.Find(namespace.Inbox)
	if err != nil {
		return nil, err
	}
	dir, err := at.Space.Root(ctx)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	lock, err := dir.Dotlock(within, lockName, lockStale, 0o600)
	if err != nil {
		dir.Close()
		if errors.Is(err, disk.ErrLocked) {
			return nil, errLocked
		}
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &sessionLock{dir: dir, lock: lock, stop: stop}
	l.always.Go(func() { l.keep(ctx) })
	return l, nil
}

// keep tells others that the session goes on.
func (l *sessionLock) keep(ctx context.Context) {
	every := time.NewTicker(lockTouch)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			l.lock.Touch() // who takes it for stale takes it over; the session ends as it would
		case <-ctx.Done():
			return
		}
	}
}

func (l *sessionLock) release() {
	if l == nil {
		return
	}
	l.stop()
	l.always.Wait()
	l.lock.Unlock()
	l.dir.Close()
}

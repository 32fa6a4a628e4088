package maildir

import (
	"context"
	"errors"
	"time"

	"dovetail/formats/disk"
)

const (
	staleLock = 120 * time.Second // when Dovecot, too, overrides dovecot-uidlist.lock
	waitLock  = 122 * time.Second // how long Dovecot waits for it
	touchLock = 10 * time.Second
)

// held is the lock of the list while it is held.
type held struct {
	*disk.Dotlock
	touched time.Time
	also    *disk.Dotlock // nil: no second one
}

func (b *Mailbox) lockList(ctx context.Context) (*held, error) {
	if b.barred != nil {
		return nil, b.barred
	}
	ctx, cancel := context.WithTimeout(ctx, waitLock)
	defer cancel()
	d, name := b.control, uidlistName
	if b.store.opts.Lists.courier() {
		d, name = b.tmp, courierLock
	}
	l, err := d.Dotlock(ctx, name, staleLock, b.mode)
	if err != nil {
		return nil, b.err("lock", 0, name+".lock", err)
	}
	return &held{Dotlock: l, touched: time.Now()}, nil
}

// alive tells other programs that the lock is not stale; it is called often and seldom does anything.
func (h *held) alive() error {
	if time.Since(h.touched) < touchLock {
		return nil
	}
	h.touched = time.Now()
	if h.also != nil {
		return errors.Join(h.Touch(), h.also.Touch())
	}
	return h.Touch()
}

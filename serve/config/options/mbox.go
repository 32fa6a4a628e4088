package options

import "time"

// Mbox is what mail in mbox obeys.
type Mbox struct {
	DotlockChangeTimeout time.Duration `set:"mbox_dotlock_change_timeout"` // age of a stale dotlock; default 2 mins
	LockTimeout          time.Duration `set:"mbox_lock_timeout"`           // longest wait for a lock; default 5 mins
}

package options

import "time"

// Mbox is what mail in mbox obeys.
type Mbox struct {
	DirtySyncs           bool          `set:"mbox_dirty_syncs"`            // do not reread the whole file on change; default yes
	DotlockChangeTimeout time.Duration `set:"mbox_dotlock_change_timeout"` // age of a stale dotlock; default 2 mins
	LazyWrites           bool          `set:"mbox_lazy_writes"`            // delay header writes; default yes
	LockTimeout          time.Duration `set:"mbox_lock_timeout"`           // longest wait for a lock; default 5 mins
	MD5                  string        `set:"mbox_md5"`                    // headers in the message fingerprint (apop3d, all); default apop3d
	MinIndexSize         uint64        `set:"mbox_min_index_size"`         // no index for smaller files, in bytes
	ReadLocks            []string      `set:"mbox_read_locks"`             // lock methods for reading; default fcntl
	VeryDirtySyncs       bool          `set:"mbox_very_dirty_syncs"`       // same also for SELECT, EXPUNGE
	WriteLocks           []string      `set:"mbox_write_locks"`            // lock methods and order for writing; default fcntl dotlock
}

package options

import "time"

// Storage is how mail is stored, in every format.
type Storage struct {
	DotlockUseExcl               bool          `set:"dotlock_use_excl"`                 // create dotlocks with O_EXCL; default yes
	LockMethod                   string        `set:"lock_method"`                      // fcntl, flock, dotlock for index files; default fcntl
	AlwaysCacheFields            []string      `set:"mail_always_cache_fields"`         // fields always cached
	CacheFields                  []string      `set:"mail_cache_fields"`                // fields added to the cache at start; default flags
	Sync                         string        `set:"mail_fsync"`                       // optimized, always, never; default optimized
	MaxKeywordLength             uint32        `set:"mail_max_keyword_length"`          // longest keyword; default 50
	NeverCacheFields             []string      `set:"mail_never_cache_fields"`          // fields never cached; default imap.envelope
	NFSIndex                     bool          `set:"mail_nfs_index"`                   // flush NFS caches for index files
	NFSStorage                   bool          `set:"mail_nfs_storage"`                 // flush NFS caches for mail files
	SaveCRLF                     bool          `set:"mail_save_crlf"`                   // store CRLF line ends
	TempDir                      Template      `set:"mail_temp_dir" place:"storage"`    // temporary files; default /tmp
	MailboxIdleCheckInterval     time.Duration `set:"mailbox_idle_check_interval"`      // poll interval while idling; default 30 secs
	MailboxListIndex             bool          `set:"mailbox_list_index"`               // use the mailbox list index; default yes
	MailboxListIndexIncludeInbox bool          `set:"mailbox_list_index_include_inbox"` // INBOX status in the list index
	MMapDisable                  bool          `set:"mmap_disable"`                     // do not map index files
}

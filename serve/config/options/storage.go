package options

import "time"

// Storage is how mail is stored, in every format.
type Storage struct {
	Sync                     string        `set:"mail_fsync"`                    // optimized, always, never; default optimized
	MaxKeywordLength         uint32        `set:"mail_max_keyword_length"`       // longest keyword; default 50
	SaveCRLF                 bool          `set:"mail_save_crlf"`                // store CRLF line ends
	TempDir                  Template      `set:"mail_temp_dir" place:"storage"` // temporary files; default /tmp
	MailboxIdleCheckInterval time.Duration `set:"mailbox_idle_check_interval"`   // poll interval while idling; default 30 secs
}

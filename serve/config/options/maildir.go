package options

// Maildir is what mail in Maildir obeys.
type Maildir struct {
	BrokenFilenameSizes bool `set:"maildir_broken_filename_sizes"` // do not trust S= in names
	CopyWithHardlinks   bool `set:"maildir_copy_with_hardlinks"`   // copies share the file; default yes
	EmptyNew            bool `set:"maildir_empty_new"`             // move new/ to cur/ at once
	StatDirs            bool `set:"maildir_stat_dirs"`             // check that listed entries are directories
	VeryDirtySyncs      bool `set:"maildir_very_dirty_syncs"`      // rescan cur/ only when needed
}

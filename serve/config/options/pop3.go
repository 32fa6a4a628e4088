package options

// POP3 is what a POP3 session obeys. Read it for the filter of protocol pop3.
type POP3 struct {
	ClientWorkarounds []string `set:"pop3_client_workarounds"`         // outlook-no-nuls, oe-ns-eoh
	DeleteType        string   `set:"pop3_delete_type"`                // expunge or flag on DELE (default, expunge, flag); default default
	DeletedFlag       string   `set:"pop3_deleted_flag"`               // keyword used when flagging
	EnableLast        bool     `set:"pop3_enable_last"`                // LAST command
	FastSizeLookups   bool     `set:"pop3_fast_size_lookups"`          // file size instead of virtual size
	LockSession       bool     `set:"pop3_lock_session"`               // exclusive lock for the session
	LogoutFormat      Template `set:"pop3_logout_format" place:"pop3"` // statistics in the disconnect log line
	NoFlagUpdates     bool     `set:"pop3_no_flag_updates"`            // RETR and TOP do not set \Seen
	ReuseXUIDL        bool     `set:"pop3_reuse_xuidl"`                // use X-UIDL headers
	SaveUIDL          bool     `set:"pop3_save_uidl"`                  // store UIDLs
	UIDLDuplicates    string   `set:"pop3_uidl_duplicates"`            // allow or rename duplicate UIDLs (allow, rename); default allow
	UIDLFormat        Template `set:"pop3_uidl_format" place:"uidl"`   // UIDL template; must match the previous server after a migration; default %08Xu%08Xv
}

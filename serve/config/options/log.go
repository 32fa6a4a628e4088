package options

// Log is where log lines go and how they look.
type Log struct {
	AuthDebug              bool     `set:"auth_debug" v24:"auth_debug"`             // log details of lookups
	AuthVerbose            bool     `set:"auth_verbose"`                            // log failed attempts and reasons
	DebugPath              string   `set:"debug_log_path"`                          // debug messages go here instead of info_log_path
	InfoPath               string   `set:"info_log_path"`                           // info messages go here instead of log_path
	Path                   string   `set:"log_path"`                                // main log: syslog, a file, /dev/stderr; default syslog
	Timestamp              string   `set:"log_timestamp"`                           // strftime prefix of each line in files; empty = none; default %b %d %H:%M:%S
	LoginLogFormat         Template `set:"login_log_format" place:"line"`           // format of login log lines; default %$: %s
	LoginLogFormatElements Template `set:"login_log_format_elements" place:"login"` // elements of login log lines; empty ones dropped
	MailDebug              bool     `set:"mail_debug" v24:"mail_debug"`             // debug log of mail access
	MailLogPrefix          Template `set:"mail_log_prefix" place:"storage"`         // prefix of mail process log lines; default %s(%u)<%{pid}><%{session}>:
	RawlogDir              Template `set:"rawlog_dir" place:"storage"`              // folder for everything that is said after login, if it is there
	SyslogFacility         string   `set:"syslog_facility"`                         // facility for syslog; default mail
}

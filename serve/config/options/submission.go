package options

import (
	"time"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// Submission is what a submission session obeys. ReadSubmission reads it for the filter of protocol submission.
type Submission struct {
	AddReceivedHeader   bool          `set:"-" v24:"submission_add_received_header"`     // add Received; 2.3 always does
	BackendCapabilities []string      `set:"submission_backend_capabilities"`            // what the relay can, known without asking it
	CapabilitiesSet     bool          `set:"submission_backend_capabilities" by:"hand"`  // they are, be it to nothing
	ClientWorkarounds   []string      `set:"submission_client_workarounds"`              // whitespace-before-path, mailbox-for-path
	Hostname            string        `set:"hostname"`                                   // what we call ourselves
	LogoutFormat        Template      `set:"submission_logout_format" place:"imap"`      // statistics in the disconnect log line
	MaxMailSize         uint64        `set:"submission_max_mail_size"`                   // largest message taken, in bytes; 0: any
	MaxRecipients       uint32        `set:"submission_max_recipients" zero:"unlimited"` // of a message; 0: any number
	RelayHost           string        `set:"submission_relay_host"`                      // MTA that gets the mail
	RelayPort           uint16        `set:"submission_relay_port"`                      // its port; default 25
	RelayUser           string        `set:"submission_relay_user"`                      // user at the relay
	RelayMasterUser     string        `set:"submission_relay_master_user"`               // who logs in for that user
	RelayPassword       string        `set:"submission_relay_password"`                  // of whom logs in
	RelaySSL            string        `set:"submission_relay_ssl"`                       // no, smtps or starttls
	RelaySSLVerify      bool          `set:"submission_relay_ssl_verify"`                // check the relay's certificate; default yes
	RelayTrusted        bool          `set:"submission_relay_trusted"`                   // tell it of the client by XCLIENT
	RelayMaxIdleTime    time.Duration `set:"submission_relay_max_idle_time"`             // then the connection is made anew; default 29 mins
	RelayConnectTimeout time.Duration `set:"submission_relay_connect_timeout"`           // default 30 secs
	RelayCommandTimeout time.Duration `set:"submission_relay_command_timeout"`           // for each answer; default 5 mins
	URLAuthHost         string        `set:"imap_urlauth_host"`                          // server of the IMAP URLs that BURL takes; "*": any
	URLAuthPort         uint16        `set:"imap_urlauth_port"`                          // its port; default 143
}

// MaxMailSize23 is submission_max_mail_size of 2.3 where it is not set; before somebody is logged in there is none then
// (2.3.19, src/submission/submission-settings.c).
const MaxMailSize23 = 40 << 20

// ReadSubmission reads the options of protocol submission.
func ReadSubmission(v config.View) (Submission, error) {
	o, err := Read[Submission](v)
	if value, ok := v.Get("submission_backend_capabilities"); ok {
		o.CapabilitiesSet = value.Pos.File != ""
	}
	if v.Dialect == conf.V24 {
		return o, err
	}
	o.AddReceivedHeader = true
	if value, ok := v.Get("submission_max_mail_size"); ok && value.Pos.File == "" {
		o.MaxMailSize = MaxMailSize23
	}
	return o, err
}

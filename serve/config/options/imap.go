package options

import "time"

// IMAP is what an IMAP session obeys. Read it for the filter of protocol imap.
type IMAP struct {
	Capability         []string      `set:"imap_capability"`                 // replaces (or with + adds to) the capability list
	ClientWorkarounds  []string      `set:"imap_client_workarounds"`         // delay-newmail, tb-extra-mailbox-sep, tb-lsub-flags
	FetchFailure       string        `set:"imap_fetch_failure"`              // what to do when a mail cannot be read (disconnect-immediately, disconnect-after, no-after); default disconnect-immediately
	IDLog              []string      `set:"imap_id_log" v24:"-"`             // fields of a client's ID that are logged, "*" for all
	IDRetain           bool          `set:"imap_id_retain"`                  // what a client says of itself is kept for the policy server: %{client_id}
	IDSend             string        `set:"imap_id_send"`                    // fields of the ID reply; default name *
	IdleNotifyInterval time.Duration `set:"imap_idle_notify_interval"`       // keep-alive interval in IDLE; default 2 mins
	LiteralMinus       bool          `set:"imap_literal_minus"`              // LITERAL- instead of LITERAL+
	LogoutFormat       Template      `set:"imap_logout_format" place:"imap"` // statistics in the disconnect log line
	MaxLineLength      uint64        `set:"imap_max_line_length"`            // longest command line, in bytes; default 64 k
}

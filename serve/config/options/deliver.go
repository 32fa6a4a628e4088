package options

// Delivery is what delivering a message obeys, by LMTP or by the local delivery agent.
type Delivery struct {
	DeliverLogFormat           Template `set:"deliver_log_format" place:"delivery"` // delivery log line; default msgid=%m: %$
	Hostname                   string   `set:"hostname"`                            // name in Message-IDs, greetings
	LDAMailboxAutocreate       bool     `set:"lda_mailbox_autocreate"`              // create missing target mailboxes
	LDAMailboxAutosubscribe    bool     `set:"lda_mailbox_autosubscribe"`           // subscribe to them
	LDAOriginalRecipientHeader string   `set:"lda_original_recipient_header"`       // header holding the original recipient
	PostmasterAddress          Template `set:"postmaster_address" place:"storage"`  // From of rejections; default postmaster@%{if;%d;ne;;%d;%{hostname}}
	QuotaFullTempfail          bool     `set:"quota_full_tempfail"`                 // over quota is temporary
	RecipientDelimiter         string   `set:"recipient_delimiter"`                 // separator of address details; default +
	RejectionReason            string   `set:"rejection_reason"`                    // text of rejections
	RejectionSubject           string   `set:"rejection_subject"`                   // subject of rejections; default Rejected: %s
	SendmailPath               string   `set:"sendmail_path"`                       // program for outgoing mail of Sieve; default /usr/sbin/sendmail
	SubmissionHost             Template `set:"submission_host" place:"storage"`     // SMTP server for outgoing mail instead
}

package options

// LMTP is what an LMTP session obeys beside Delivery. Read it for the filter of protocol lmtp.
type LMTP struct {
	AddReceivedHeader     bool     `set:"lmtp_add_received_header"`        // add Received; default yes
	ClientWorkarounds     []string `set:"lmtp_client_workarounds"`         // whitespace-before-path, mailbox-for-path
	HeaderDeliveryAddress string   `set:"lmtp_hdr_delivery_address"`       // Delivered-To: final, original, none (final, none, original); default final
	RawlogDir             Template `set:"lmtp_rawlog_dir" place:"storage"` // folder for everything that is said, if it is there
	RecipientCheckQuota   bool     `set:"lmtp_rcpt_check_quota"`           // check quota at RCPT
	SaveToDetailMailbox   bool     `set:"lmtp_save_to_detail_mailbox"`     // user+detail goes to mailbox detail
	UserConcurrencyLimit  uint32   `set:"lmtp_user_concurrency_limit"`     // parallel deliveries per user
}

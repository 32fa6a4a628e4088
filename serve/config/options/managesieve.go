package options

// ManageSieve is what a ManageSieve session obeys.
type ManageSieve struct {
	ClientWorkarounds    []string `set:"managesieve_client_workarounds"`         // client quirks
	ImplementationString string   `set:"managesieve_implementation_string"`      // IMPLEMENTATION capability; default Dovecot (Debian) Pigeonhole
	LogoutFormat         Template `set:"managesieve_logout_format" place:"imap"` // statistics in the log; default bytes=%i/%o
	MaxCompileErrors     uint32   `set:"managesieve_max_compile_errors"`         // errors reported on upload; default 5
	MaxLineLength        uint64   `set:"managesieve_max_line_length"`            // longest command line, in bytes; default 64 k
	NotifyCapability     []string `set:"managesieve_notify_capability"`          // NOTIFY capability; default mailto
	SieveCapability      []string `set:"managesieve_sieve_capability"`           // SIEVE capability
}

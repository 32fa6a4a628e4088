package options

import (
	"time"

	"dovetail/formats/conf"
)

// Login is what holds before somebody is logged in.
type Login struct {
	RefuseCleartext        bool          `set:"disable_plaintext_auth" v24:"!auth_allow_cleartext"` // refuse cleartext passwords on unsecured connections; default yes
	HAProxyTimeout         time.Duration `set:"haproxy_timeout"`                                    // time to wait for a PROXY header; default 3 secs
	HAProxyTrustedNetworks []string      `set:"haproxy_trusted_networks"`                           // addresses allowed to send PROXY headers
	Greeting               Template      `set:"login_greeting" place:"login"`                       // text of the first line to clients; default Dovecot (Debian) ready.
	TrustedNetworks        []string      `set:"login_trusted_networks"`                             // clients treated as secured, may send real client address
	MaxUserIPConnections   uint32        `set:"mail_max_userip_connections"`                        // connections per user and client IP and protocol; default 10
}

// normalise names the server where the default of 2.4 has left a gap: a build without a name says " ready.".
func (l *Login) normalise(conf.Dialect) {
	if l.Greeting.Text == " ready." {
		l.Greeting.Text = "Dovecot ready."
	}
}

package options

import (
	"time"

	"dovetail/formats/conf"
)

// AuthRules is what authentication obeys beside its databases.
type AuthRules struct {
	AnonymousUsername    string        `set:"auth_anonymous_username"`                      // name used for ANONYMOUS logins; default anonymous
	CacheNegativeTTL     time.Duration `set:"auth_cache_negative_ttl"`                      // lifetime of cached failures; default 1 hours
	CacheSize            uint64        `set:"auth_cache_size"`                              // memory for cached lookups (0 = off), in bytes
	CacheTTL             time.Duration `set:"auth_cache_ttl"`                               // lifetime of cached successes; default 1 hours
	DefaultRealm         string        `set:"auth_default_realm" v24:"auth_default_domain"` // domain added to names without @
	FailureDelay         time.Duration `set:"auth_failure_delay"`                           // delay of failure replies; default 2 secs
	MasterUserSeparator  string        `set:"auth_master_user_separator"`                   // splits login*master names
	Mechanisms           []string      `set:"auth_mechanisms"`                              // SASL mechanisms offered; default plain
	ProxySelf            []string      `set:"auth_proxy_self"`                              // addresses of this host beside those of connections, for proxy_maybe
	Realms               []string      `set:"auth_realms"`                                  // realms offered by mechanisms that need one
	SocketPath           string        `set:"auth_socket_path"`                             // socket for userdb lookups by tools; default auth-userdb
	SSLRequireClientCert bool          `set:"auth_ssl_require_client_cert"`                 // a valid client certificate is required
	SSLUsernameFromCert  bool          `set:"auth_ssl_username_from_cert"`                  // login name taken from the client certificate
	UsernameChars        string        `set:"auth_username_chars"`                          // bytes allowed in login names (empty = all)
	UsernameFormat       Template      `set:"auth_username_format" place:"auth"`            // template applied to login names before lookup; default %Lu
	UsernameTranslation  string        `set:"auth_username_translation"`                    // character replacements in login names
	VerbosePasswords     string        `set:"auth_verbose_passwords"`                       // how much of a wrong password is logged: no, plain, sha1, each with :N; default no
	InternalFailureDelay time.Duration `set:"-" v24:"auth_internal_failure_delay"`          // delay of replies when a database fails; FailureDelay in 2.3
	AllowWeakSchemes     bool          `set:"-" v24:"auth_allow_weak_schemes"`              // passwords in schemes that are easily broken are accepted; always in 2.3
}

// normalise says what 2.3 has no word for.
func (a *AuthRules) normalise(d conf.Dialect) {
	if d != conf.V24 {
		a.AllowWeakSchemes, a.InternalFailureDelay = true, a.FailureDelay
	}
}

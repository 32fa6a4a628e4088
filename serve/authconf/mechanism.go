package authconf

import (
	"fmt"
	"slices"
	"strings"

	"dovetail/auth/sasl"
	"dovetail/serve/config/options"
)

// challenging are the mechanisms that need what is stored of a password: it is not sent.
var challenging = []string{"APOP", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}

// verifying are the drivers that check passwords and cannot give what is stored.
var verifying = []string{"bsdauth", "imap", "oauth2", "pam"}

// elsewhere are those that Dovecot 2.3 or 2.4 has, or had.
var elsewhere = []string{"GSSAPI", "GSS-SPNEGO", "NTLM", "OTP", "SKEY", "RPA", "WINBIND-NTLM", "WINBIND-SPNEGO", "DOVECOT-TOKEN"}

// serve refuses mechanisms that there are not (mech_register_add of 2.3.19, src/auth/mech.c), and those that no passdb can serve (Dovecot 2.3.19, src/auth/auth.c).
func (b *build) serve(mechanisms []string, chain []options.PassDB) error {
	none := !slices.ContainsFunc(chain, func(p options.PassDB) bool { return !p.Master })
	lookups := slices.ContainsFunc(chain, func(p options.PassDB) bool { return !p.Master && !slices.Contains(verifying, p.Driver) })
	for _, m := range mechanisms {
		var err error
		_, known := sasl.Lookup(m)
		switch {
		case !known && slices.Contains(elsewhere, m):
			b.log.Warn(fmt.Sprintf("%s: auth_mechanisms: %s is not offered: dovetail does not have it", b.at("auth_mechanisms"), m))
		case !known:
			err = fmt.Errorf("Unknown authentication mechanism '%s'; there are: %s", m, strings.ToLower(strings.Join(sasl.Names(), " ")))
		case m == "ANONYMOUS":
		case none:
			err = fmt.Errorf("No passdbs specified in configuration file. %s mechanism needs one", m)
		case !lookups && slices.Contains(challenging, m):
			err = fmt.Errorf("%s mechanism can't be supported with given passdbs", m)
		}
		if err == nil {
			continue
		}
		if pos := b.at("auth_mechanisms"); pos.File != "" {
			return fmt.Errorf("%s: %w", pos, err)
		}
		return err
	}
	return nil
}

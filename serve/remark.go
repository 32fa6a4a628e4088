package serve

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"dovetail/formats/conf"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

// settingError says what is wrong with a setting of TLS.
type settingError struct {
	setting string // its name in 2.3
	err     error
}

func (e *settingError) Error() string { return e.setting + ": " + e.err.Error() }
func (e *settingError) Unwrap() error { return e.err }

// names24 are the names in 2.4 of settings of TLS whose name has changed.
var names24 = map[string]string{"ssl_cert": "ssl_server_cert_file", "ssl_key": "ssl_server_key_file", "ssl_alt_cert": "ssl_server_alt_cert_file",
	"ssl_ca": "ssl_server_ca_file"}

// placed puts in front of an error where its setting stands: "/etc/dovecot/conf.d/10-ssl.conf line 12: ssl_cert: …".
func placed(err error, v config.View) error {
	e, ok := errors.AsType[*settingError](err)
	if !ok {
		return err
	}
	name := e.setting
	if v.Dialect == conf.V24 {
		name = cmp.Or(names24[name], name)
	}
	set, _ := v.Get(name)
	if set.Pos.File == "" {
		return fmt.Errorf("%s: %w", name, e.err)
	}
	return fmt.Errorf("%s line %d: %s: %w", set.Pos.File, set.Pos.Line, name, e.err)
}

// warnCleartext says once that passwords may go over the network in clear.
func (s *Server) warnCleartext(c *config.Config, listeners []Listener) {
	var open []string
	for _, l := range listeners {
		at, ok := addrPort(l.Addr())
		if l.TLS || !ok || at.Addr().IsLoopback() {
			continue
		}
		v := c.For(config.Filter{Protocol: l.Protocol})
		login, err := options.Read[options.Login](v)
		tls, err2 := options.Read[options.TLS](v)
		if err == nil && err2 == nil && !login.RefuseCleartext && tls.Mode != "required" {
			open = append(open, at.String())
		}
	}
	if len(open) > 0 {
		s.log.Warn("master: passwords and mail may go over the network in clear: TLS is not required on " + strings.Join(open, ", "))
	}
}

// warnKey says that others than its owner can read a key.
func (s *Server) warnKey(o options.TLS) {
	if o.Key.Path == "" {
		return
	}
	if info, err := os.Stat(o.Key.Path); err == nil && info.Mode().Perm()&0o044 != 0 {
		s.log.Warn(fmt.Sprintf("master: the key %s can be read by others than its owner (mode %04o)", o.Key.Path, info.Mode().Perm()))
	}
}

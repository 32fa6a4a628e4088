package authconf

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dovetail/auth"
	"dovetail/auth/imap"
	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
)

func imapPass(_ context.Context, s *section) (auth.PassDB, error) {
	words := imapWords23
	if s.view.Dialect == conf.V24 {
		words = imapWords24
	}
	o, err := words(s)
	if err != nil {
		return nil, err
	}
	s.Scheme = "PLAIN"
	return imap.New(o)
}

// imapWords23 reads the args of Dovecot 2.3.19 (src/auth/passdb-imap.c). Beyond it, ssl=no is none, and certificates are
// compared with the system's authorities where no others are named.
func imapWords23(s *section) (o imap.Options, err error) {
	for _, word := range s.Args {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "host":
			o.Host, err = variable.Parse23(value)
		case "username":
			o.Username, err = variable.Parse23(value)
		case "port":
			err = imapPort(&o, value)
		case "ssl_ca_dir":
			o.CADir = value
		case "ssl_ca_file":
			o.CAFile = value
		case "ssl":
			if o.TLS = value; value == "no" {
				o.TLS = ""
			}
		case "allow_invalid_cert":
			if o.AllowInvalidCert = value == "yes"; value != "yes" && value != "no" {
				err = fmt.Errorf("Invalid allow_invalid_cert value: %s; there are yes and no", value)
			}
		case "rawlog_dir": // passwords would be in it
		default:
			err = fmt.Errorf("Unknown parameter: %s; there are host, port, username, ssl, ssl_ca_dir, ssl_ca_file and allow_invalid_cert", key)
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

func imapPort(o *imap.Options, text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("Invalid port: %s", text)
	}
	o.Port = int(n)
	return nil
}

// imapWords24 reads 2.4's settings of any IMAP client, in the section or around it.
func imapWords24(s *section) (o imap.Options, err error) {
	get := func(key string) (text string, given bool) {
		for _, at := range slices.Concat([]config.SectionView{s.at}, s.at.Sections("imapc"), s.at.Sections("ssl_client")) {
			if v, ok := at.Get(key); ok && v.Pos.File != "" {
				return v.Text, true
			}
		}
		v, _ := s.view.Get(key)
		return v.Text, v.Pos.File != ""
	}
	if text, given := get("imapc_host"); given {
		if o.Host, err = variable.Parse24(text); err != nil {
			return o, fmt.Errorf("imapc_host = %s: %w", text, err)
		}
	}
	if text, given := get("imapc_user"); given { // its default is the owner of a mailbox, who is the user
		if o.Username, err = variable.Parse24(text); err != nil {
			return o, fmt.Errorf("imapc_user = %s: %w", text, err)
		}
	}
	if text, given := get("imapc_port"); given {
		if err := imapPort(&o, text); err != nil {
			return o, err
		}
	}
	if o.TLS, _ = get("imapc_ssl"); o.TLS == "no" {
		o.TLS = ""
	}
	o.CAFile, _ = get("ssl_client_ca_file")
	o.CADir, _ = get("ssl_client_ca_dir")
	valid, _ := get("ssl_client_require_valid_cert")
	o.AllowInvalidCert = valid == "no"
	return o, nil
}

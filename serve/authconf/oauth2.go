package authconf

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"dovetail/auth"
	"dovetail/auth/oauth2"
	"dovetail/serve/config/options"
)

// oauth2Pass takes the fields that hold %{oauth2:…} away from the section, with those before them.
func oauth2Pass(_ context.Context, s *section) (auth.PassDB, error) {
	from := s.OAuth2
	if from == nil {
		return nil, errors.New("no file of settings: args = /etc/dovecot/dovecot-oauth2.conf.ext")
	}
	o := oauth2.Options{TokenInfoURL: from.TokenInfoURL, GrantURL: from.GrantURL, IntrospectionURL: from.IntrospectionURL, Mode: from.Mode,
		GrantPassword: from.GrantPassword, ForceIntrospection: from.ForceIntrospection, KeyPrefix: from.KeyPrefix, JWKS: from.JWKS,
		Scope: from.Scope, Issuers: from.Issuers, Audience: from.Audience, Grace: from.Grace, UsernameAttribute: from.UsernameAttribute,
		ActiveAttribute: from.ActiveAttribute, ActiveValue: from.ActiveValue, ClientID: from.ClientID, ClientSecret: from.ClientSecret,
		SendAuthHeaders: from.SendAuthHeaders, OpenIDConfiguration: from.OpenID, Timeout: from.Timeout, MaxIdle: from.MaxIdle,
		MaxConnections: int(from.MaxConnections), CAFile: from.CAFile, CADir: from.CADir, Cert: from.CertFile, Key: from.KeyFile,
		AllowInvalidCert: from.AllowInvalidCert, Log: s.log}
	var err error
	if o.UsernameFormat, err = from.UsernameFormat.Parse(); err != nil {
		return nil, fmt.Errorf("username_format = %s: %w", from.UsernameFormat.Text, err)
	}
	last := 0
	for i, f := range s.fields {
		if strings.Contains(f.Value.Text, "oauth2:") {
			last = i + 1
		}
	}
	for _, list := range [][]options.Field{from.Fields, s.fields[:last]} {
		for _, f := range list {
			value, err := f.Value.Parse()
			if err != nil {
				return nil, fmt.Errorf("field %s=%s: %w", f.Name, f.Value.Text, err)
			}
			o.Fields = append(o.Fields, oauth2.Field{Key: f.Name, Value: value})
		}
	}
	s.fields, s.importAll = s.fields[last:], true
	return oauth2.New(o)
}

// openID finds what clients are told whose token was refused.
func openID(chain []auth.PassEntry) string {
	for _, p := range chain {
		if db, ok := p.DB.(*oauth2.PassDB); ok && db.OpenIDConfiguration() != "" {
			return db.OpenIDConfiguration()
		}
	}
	return ""
}

package authconf

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"dovetail/auth"
	"dovetail/auth/ldap"
	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config/options"
)

func ldapPass(_ context.Context, s *section) (auth.PassDB, error) {
	o, err := s.ldapOptions()
	if err != nil {
		return nil, err
	}
	return ldap.NewPassDB(o)
}

func ldapUser(_ context.Context, s *section) (auth.UserDB, error) {
	o, err := s.ldapOptions()
	if err != nil {
		return nil, err
	}
	return ldap.NewUserDB(o)
}

// ldapOptions makes the directory, or finds the one that another section asks in the same way, and the options of the
// section. It takes the fields away from the section that are made of entries.
func (s *section) ldapOptions() (ldap.Options, error) {
	from := s.LDAP
	o := ldap.Options{Scope: from.Scope, Deref: from.Deref, Bind: from.Bind, Strict: s.view.Dialect == conf.V24, Log: s.log}
	if from.Version != 3 && (from.Version != 2 || len(from.SASL) > 0 || from.StartTLS) {
		return o, fmt.Errorf("ldap_version=%d: sasl_bind=yes and tls=yes require ldap_version=3, and other versions are not spoken any more", from.Version)
	}
	var err error
	if o.Directory, err = s.directory(); err != nil {
		return o, err
	}
	for _, t := range []struct {
		name string
		from options.Template
		to   **variable.Template
	}{
		{"base", from.Base, &o.Base}, {"filter", from.Filter, &o.Filter}, {"auth_bind_userdn", from.BindDN, &o.BindDN},
		{"iterate_filter", from.IterateFilter, &o.IterateFilter},
	} {
		if t.from.Text == "" && t.name != "base" {
			continue
		}
		if *t.to, err = t.from.Parse(); err != nil {
			return o, fmt.Errorf("%s = %s: %w", t.name, t.from.Text, err)
		}
	}
	made := from.Made
	for o.Strict && made > 0 && !ofEntry(s.fields[made-1]) { // the chain makes them just as well, and checks them now
		made--
	}
	if o.Fields, err = ldapFields(s.fields[:made]); err != nil {
		return o, err
	}
	s.fields, s.importAll = s.fields[made:], true
	o.IterateFields, err = ldapFields(from.IterateFields)
	return o, err
}

// directory shares connections among all sections that need the same.
func (s *section) directory() (*ldap.Directory, error) {
	from := s.LDAP
	server := ldap.Server{URIs: from.URIs, DN: from.DN, Password: from.Password, StartTLS: from.StartTLS,
		TLS: ldap.TLS{CAFile: from.CAFile, CADir: from.CADir, Cert: from.CertFile, Key: from.KeyFile, Require: from.RequireCert}}
	for _, mechanism := range from.SASL {
		if !strings.EqualFold(mechanism, "EXTERNAL") {
			return nil, fmt.Errorf("the service cannot bind by the SASL mechanism %s: use EXTERNAL, or dn and dnpass over TLS", mechanism)
		}
		server.External = true
	}
	if s.view.Dialect == conf.V24 && server.TLS.CAFile+server.TLS.CADir == "" {
		tls, err := options.Read[options.TLS](s.view)
		if err != nil {
			return nil, err
		}
		if tls.ClientCAFile.Inline != "" {
			return nil, errors.New("ssl_client_ca_file: a directory's authority is read from a file, not from the configuration")
		}
		server.TLS.CAFile, server.TLS.CADir = tls.ClientCAFile.Path, tls.ClientCADir
	}
	return share(s.build, fmt.Sprintf("ldap %q", []any{server}), func() (*ldap.Directory, error) { return ldap.Open(server, s.log) })
}

// ofEntry tells whether only the directory can make a field.
func ofEntry(f options.Field) bool {
	return strings.Contains(f.Value.Text, "ldap") || strings.Contains(f.Name, "%") || strings.HasPrefix(f.Name, "@")
}

func ldapFields(from []options.Field) ([]ldap.Field, error) {
	var list []ldap.Field
	for _, f := range from {
		to := ldap.Field{Key: f.Name}
		var err error
		if strings.Contains(f.Name, "%") {
			to.KeyFrom, err = variable.Parse23(f.Name)
		}
		attribute, bare := strings.CutPrefix(f.Value.Text, "%{ldap:")
		attribute, closed := strings.CutSuffix(attribute, "}")
		if bare && closed && !strings.ContainsAny(attribute, " |{}%:") {
			to.Attribute = attribute
		} else if err == nil {
			to.Value, err = f.Value.Parse()
		}
		if err != nil {
			return nil, fmt.Errorf("%s=%s: %w", f.Name, f.Value.Text, err)
		}
		list = append(list, to)
	}
	return list, nil
}

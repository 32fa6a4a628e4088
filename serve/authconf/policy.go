package authconf

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"

	"dovetail/auth"
	"dovetail/auth/penalty"
	"dovetail/auth/policy"
	"dovetail/auth/sql"
	"dovetail/serve/config/options"
)

// penalty is one table for all protocols. Sites switch it off by a listener without a mode: service anvil {
// unix_listener anvil-auth-penalty { mode = 0 } }.
func (b *build) penalty() (auth.Penalty, error) {
	services, err := options.ReadServices(b.view)
	if err != nil {
		return nil, err
	}
	for _, s := range services {
		for _, u := range s.Unix {
			if s.Name == "anvil" && filepath.Base(u.Path) == "anvil-auth-penalty" {
				return share(b, "penalty", func() (*penalty.Table, error) { return penalty.New(nil), nil })
			}
		}
	}
	return nil, nil
}

// policy is the server that auth_policy_server_url names, if it does.
func (b *build) policy(verbose bool) (auth.Policy, error) {
	o, err := options.ReadAuthPolicy(b.view)
	if err != nil || o.URL == "" {
		return nil, err
	}
	p := policy.Options{
		URL: o.URL, APIHeader: o.APIHeader, Timeout: o.Timeout(), HashMech: o.HashMech, HashNonce: o.HashNonce, Truncate: int(o.HashTruncate),
		RejectOnFail: o.RejectOnFail, CheckBefore: o.CheckBefore, CheckAfter: o.CheckAfter, ReportAfter: o.ReportAfter, LogOnly: o.LogOnly,
		Verbose: verbose, Log: b.log,
	}
	if p.TLS, err = policyTLS(o); err != nil {
		return nil, fmt.Errorf("%s: %w", b.at("auth_policy_server_url"), err)
	}
	for _, a := range o.Attributes {
		value, err := a.Value.Parse()
		if err != nil {
			return nil, fmt.Errorf("%s: auth_policy_request_attributes: %w", b.at("auth_policy_request_attributes"), err)
		}
		p.Attributes = append(p.Attributes, policy.Attribute{Key: a.Name, Value: value})
	}
	return share(b, fmt.Sprintf("policy %+v", o), func() (*policy.Server, error) {
		s, err := policy.New(p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.at("auth_policy_server_url"), err)
		}
		return s, nil
	})
}

// policyTLS is what the settings ssl_client_… ask for.
func policyTLS(o options.AuthPolicy) (*tls.Config, error) {
	c := &tls.Config{InsecureSkipVerify: !o.RequireValidCert} // as the configuration says
	var err error
	if o.CAFile+o.CADir != "" {
		if c.RootCAs, err = sql.Roots(o.CAFile, o.CADir); err != nil {
			return nil, fmt.Errorf("ssl_client_ca_file: %w", err)
		}
	}
	if !o.Cert.Set() {
		return c, nil
	}
	key := o.Key
	if !key.Set() {
		key = o.Cert
	}
	cert, err := content(o.Cert)
	if err != nil {
		return nil, fmt.Errorf("ssl_client_cert: %w", err)
	}
	secret, err := content(key)
	if err != nil {
		return nil, fmt.Errorf("ssl_client_key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, secret)
	if err != nil {
		return nil, fmt.Errorf("ssl_client_cert and ssl_client_key: %w", err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

func content(f options.File) ([]byte, error) {
	if f.Path == "" {
		return []byte(f.Inline), nil
	}
	return os.ReadFile(f.Path)
}

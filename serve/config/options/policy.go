package options

import (
	"math"
	"slices"
	"strings"
	"time"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// AuthPolicy is the server that is asked about logins.
type AuthPolicy struct {
	URL          string  `set:"auth_policy_server_url"`                                                                                         // "": there is none
	APIHeader    string  `set:"auth_policy_server_api_header"`                                                                                  // "Name: value", or the value of X-API-Key
	Millis       uint32  `set:"auth_policy_server_timeout_msecs,http_client_request_absolute_timeout,http_client_request_timeout" by:"dialect"` // for one request; default 2000
	HashMech     string  `set:"auth_policy_hash_mech"`                                                                                          // default sha256
	HashNonce    string  `set:"auth_policy_hash_nonce"`                                                                                         // must be set
	HashTruncate uint32  `set:"auth_policy_hash_truncate"`                                                                                      // bits, 0: all; default 12
	RejectOnFail bool    `set:"auth_policy_reject_on_fail"`                                                                                     // a server that fails refuses
	CheckBefore  bool    `set:"auth_policy_check_before_auth"`                                                                                  // default yes
	CheckAfter   bool    `set:"auth_policy_check_after_auth"`                                                                                   // default yes
	ReportAfter  bool    `set:"auth_policy_report_after_auth"`                                                                                  // default yes
	LogOnly      bool    `set:"auth_policy_log_only"`                                                                                           //
	Attributes   []Field `set:"auth_policy_request_attributes" by:"dialect"`                                                                    // what the server is told

	// Of TLS with the server. CAFile and CADir "": the system's authorities.
	CAFile, CADir    string
	Cert, Key        File // of the client
	RequireValidCert bool
}

// Timeout is how long one request may take; 0: the default.
func (p AuthPolicy) Timeout() time.Duration { return time.Duration(p.Millis) * time.Millisecond }

// ReadAuthPolicy reads them; the attributes are words in 2.3 and a list in 2.4, which adds to its default unless it
// begins anew.
func ReadAuthPolicy(v config.View) (AuthPolicy, error) {
	p, err := Read[AuthPolicy](v)
	p.client(v)
	text, _ := v.Get("auth_policy_request_attributes")
	if v.Dialect != conf.V24 {
		p.Attributes = policyFields(text.Text, authTemplate)
		return p, err
	}
	items, replaced := v.Items("auth_policy_request_attributes")
	as24 := func(text string) Template { return Template{Text: text} }
	if !replaced {
		p.Attributes = policyFields(defaultPolicyAttributes, as24)
	}
	for _, i := range items {
		p.Attributes = slices.DeleteFunc(p.Attributes, func(f Field) bool { return f.Name == i.Key })
		p.Attributes = append(p.Attributes, Field{i.Key, as24(i.Text)})
	}
	return p, err
}

// client reads how the server is reached: what holds for all outgoing connections, and in 2.4 before that what stands in
// auth_policy { }.
func (p *AuthPolicy) client(v config.View) {
	get := func(name23, name24 string) config.Value {
		if v.Dialect != conf.V24 {
			value, _ := v.Get(name23)
			return value
		}
		for _, s := range v.Sections("auth_policy") {
			for _, in := range append([]config.SectionView{s}, s.Sections("ssl_client")...) {
				if value, ok := in.Get(name24); ok && value.Pos.File != "" {
					return value
				}
			}
		}
		value, _ := v.Get(name24)
		return value
	}
	p.CAFile, p.CADir = get("ssl_client_ca_file", "ssl_client_ca_file").Text, get("ssl_client_ca_dir", "ssl_client_ca_dir").Text
	p.Cert = newFile(get("ssl_client_cert", "ssl_client_cert_file"), v.Dialect)
	p.Key = newFile(get("ssl_client_key", "ssl_client_key_file"), v.Dialect)
	p.RequireValidCert = get("ssl_client_require_valid_cert", "ssl_client_require_valid_cert").Text != "no"
	if v.Dialect != conf.V24 {
		n, _ := conf.ParseUint(get("auth_policy_server_timeout_msecs", "").Text, v.Dialect)
		p.Millis = n
		return
	}
	p.Millis = 2000 // auth_policy { } has a default of its own
	for _, name := range []string{"http_client_request_timeout", "http_client_request_absolute_timeout"} {
		value := get("", name)
		if d, err := conf.ParseMsecs(value.Text, conf.V24); err == nil && value.Pos.File != "" && d > 0 {
			p.Millis = uint32(min(d/time.Millisecond, math.MaxUint32))
		}
	}
}

// defaultPolicyAttributes are those of 2.4.4.
const defaultPolicyAttributes = "login=%{requested_username} pwhash=%{hashed_password} remote=%{remote_ip} device_id=%{client_id} " +
	"protocol=%{protocol} session_id=%{session} fail_type=%{fail_type}"

func policyFields(text string, template func(string) Template) (list []Field) {
	for _, word := range splitFields(text) {
		key, value, _ := strings.Cut(word, "=")
		list = append(list, Field{key, template(value)})
	}
	return list
}

package options

import (
	"strings"
	"time"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// AuthPolicy is the server that is asked about logins.
type AuthPolicy struct {
	URL          string  `set:"auth_policy_server_url"`                      // "": there is none
	APIHeader    string  `set:"auth_policy_server_api_header"`               // "Name: value", or the value of X-API-Key
	Millis       uint32  `set:"auth_policy_server_timeout_msecs" v24:"-"`    // for one request; default 2000
	HashMech     string  `set:"auth_policy_hash_mech"`                       // default sha256
	HashNonce    string  `set:"auth_policy_hash_nonce"`                      // must be set
	HashTruncate uint32  `set:"auth_policy_hash_truncate"`                   // bits, 0: all; default 12
	RejectOnFail bool    `set:"auth_policy_reject_on_fail"`                  // a server that fails refuses
	CheckBefore  bool    `set:"auth_policy_check_before_auth"`               // default yes
	CheckAfter   bool    `set:"auth_policy_check_after_auth"`                // default yes
	ReportAfter  bool    `set:"auth_policy_report_after_auth"`               // default yes
	LogOnly      bool    `set:"auth_policy_log_only"`                        //
	Attributes   []Field `set:"auth_policy_request_attributes" by:"dialect"` // what the server is told
}

// Timeout is how long one request may take; 0: the default.
func (p AuthPolicy) Timeout() time.Duration { return time.Duration(p.Millis) * time.Millisecond }

// ReadAuthPolicy reads them; the attributes are words in 2.3 and a list in 2.4, which adds to its default unless it
// begins anew.
func ReadAuthPolicy(v config.View) (AuthPolicy, error) {
	p, err := Read[AuthPolicy](v)
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
		p.Attributes = append(p.Attributes, Field{i.Key, as24(i.Text)})
	}
	return p, err
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

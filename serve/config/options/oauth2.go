package options

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// OAuth2 is how tokens are checked.
type OAuth2 struct {
	TokenInfoURL       string `set:"oauth2_tokeninfo_url" by:"dialect"`
	GrantURL           string
	IntrospectionURL   string        `set:"oauth2_introspection_url" by:"dialect"`
	Mode               string        `set:"oauth2_introspection_mode" by:"dialect"` // auth or "", get, post, local
	GrantPassword      bool          // 2.3: use_grant_password; 2.4: a grant_url
	ForceIntrospection bool          `set:"oauth2_force_introspection" by:"dialect"`
	Scope              []string      `set:"oauth2_scope" by:"dialect"` // one of which a token must have
	Issuers            []string      `set:"oauth2_issuers" by:"dialect"`
	Audience           []string      // "audience" in the file of 2.3, a word of ours
	Grace              time.Duration `set:"oauth2_token_expire_grace" by:"dialect"` // how long after its end a token is taken
	UsernameAttribute  string        `set:"oauth2_username_attribute" by:"dialect"`
	UsernameFormat     Template      `set:"oauth2_username_validation_format" by:"dialect"`
	ActiveAttribute    string        `set:"oauth2_active_attribute" by:"dialect"`
	ActiveValue        string        `set:"oauth2_active_value" by:"dialect"`
	ClientID           string
	ClientSecret       string
	Fields             []Field `set:"oauth2_fields" by:"dialect"`           // made of the token's: %{oauth2:NAME}, %$
	KeyPrefix          string  `set:"oauth2_local_validation" by:"dialect"` // of files with keys; "": at the provider's
	JWKS               string  // "jwks_url" in the file of 2.3, a word of ours: where keys are
	OpenID             string  `set:"oauth2_openid_configuration_url" by:"dialect"`
	SendAuthHeaders    bool    `set:"oauth2_send_auth_headers" by:"dialect"`
	Timeout, MaxIdle   time.Duration
	MaxConnections     uint32
	CAFile, CADir      string // "": as ssl_client_ca_file says, in 2.4; else the system's
	CertFile, KeyFile  string
	AllowInvalidCert   bool
}

// oauth2Keys are the settings of 2.3's file (2.3.19.1, src/auth/db-oauth2.c), and two of ours. What is not read below is
// accepted and means nothing: other TLS, no pipelining, no traces.
var oauth2Keys = map[string]bool{"tokeninfo_url": true, "grant_url": true, "introspection_url": true, "scope": true, "force_introspection": true,
	"introspection_mode": true, "username_format": true, "username_attribute": true, "pass_attrs": true, "local_validation_key_dict": true,
	"active_attribute": true, "active_value": true, "client_id": true, "client_secret": true, "issuers": true, "openid_configuration_url": true,
	"timeout_msecs": true, "max_idle_time_msecs": true, "max_parallel_connections": true, "max_pipelined_requests": true, "send_auth_headers": true,
	"use_grant_password": true, "tls_ca_cert_file": true, "tls_ca_cert_dir": true, "tls_cert_file": true, "tls_key_file": true,
	"tls_cipher_suite": true, "tls_allow_invalid_cert": true, "rawlog_dir": true, "debug": true, "jwks_url": true, "audience": true}

// oauth2 reads the file that 2.3 has these settings in.
func (c *chainReader) oauth2(path string) error {
	ext, err := readExternal(c.src, path)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(ext)) {
		if !oauth2Keys[key] {
			return fmt.Errorf("%s: Unknown setting: %s", path, key)
		}
	}
	get := func(key, fallback string) string {
		if v, ok := ext[key]; ok {
			return v
		}
		return fallback
	}
	o := &OAuth2{TokenInfoURL: ext["tokeninfo_url"], GrantURL: ext["grant_url"], IntrospectionURL: ext["introspection_url"],
		Mode: ext["introspection_mode"], GrantPassword: isYes(ext["use_grant_password"]), ForceIntrospection: isYes(ext["force_introspection"]),
		Scope: strings.Fields(ext["scope"]), Issuers: strings.Fields(ext["issuers"]), Audience: strings.Fields(ext["audience"]),
		UsernameAttribute: get("username_attribute", "email"), UsernameFormat: authTemplate(get("username_format", "%Lu")),
		ActiveAttribute: get("active_attribute", "active"), ActiveValue: get("active_value", "true"), ClientID: ext["client_id"],
		ClientSecret: ext["client_secret"], Fields: fields23(ext["pass_attrs"]), JWKS: ext["jwks_url"], OpenID: ext["openid_configuration_url"],
		SendAuthHeaders: isYes(ext["send_auth_headers"]), CAFile: ext["tls_ca_cert_file"], CADir: ext["tls_ca_cert_dir"],
		CertFile: ext["tls_cert_file"], KeyFile: ext["tls_key_file"], AllowInvalidCert: isYes(ext["tls_allow_invalid_cert"])}
	if o.ActiveAttribute != "" && o.ActiveValue == "" {
		return fmt.Errorf("oauth2 %s: Cannot have empty active_value if active_attribute is set", path)
	}
	if err := o.numbers(ext); err != nil {
		return fmt.Errorf("oauth2 %s: %w", path, err)
	}
	if dict := ext["local_validation_key_dict"]; dict != "" {
		prefix, ok := strings.CutPrefix(dict, "fs:posix:prefix=")
		if !ok {
			return fmt.Errorf("oauth2 %s: local_validation_key_dict = %s: keys are read from files only: fs:posix:prefix=/etc/dovecot/keys/", path, dict)
		}
		o.KeyPrefix = prefix
	}
	c.driven.Scheme, c.driven.OAuth2 = "PLAIN", o
	return nil
}

func (o *OAuth2) numbers(ext map[string]string) error {
	for key, set := range map[string]func(uint64){
		"timeout_msecs":            func(n uint64) { o.Timeout = time.Duration(n) * time.Millisecond },
		"max_idle_time_msecs":      func(n uint64) { o.MaxIdle = time.Duration(n) * time.Millisecond },
		"max_parallel_connections": func(n uint64) { o.MaxConnections = uint32(n) },
	} {
		text, ok := ext[key]
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return fmt.Errorf("%s = %s: not a number", key, text)
		}
		set(n)
	}
	return nil
}

// oauth224 reads 2.4's settings: in the section, in an oauth2 { } within it, or around it.
func (c *chainReader) oauth224() *OAuth2 {
	inner := append(c.at.Sections("oauth2"), c.Sections("oauth2")...)
	text := func(key string) string {
		for _, s := range append([]config.SectionView{c.at}, inner...) {
			if v, ok := s.Get(key); ok && v.Pos.File != "" {
				return v.Text
			}
		}
		return c.text(key)
	}
	yes := func(key string) bool { return text(key) == "yes" }
	o := &OAuth2{TokenInfoURL: text("oauth2_tokeninfo_url"), GrantURL: text("oauth2_grant_url"), IntrospectionURL: text("oauth2_introspection_url"),
		Mode: text("oauth2_introspection_mode"), ForceIntrospection: yes("oauth2_force_introspection"), Scope: words(text("oauth2_scope")),
		Issuers: words(text("oauth2_issuers")), UsernameAttribute: text("oauth2_username_attribute"), SendAuthHeaders: yes("oauth2_send_auth_headers"),
		UsernameFormat: Template{Text: text("oauth2_username_validation_format")}, ActiveAttribute: text("oauth2_active_attribute"),
		ActiveValue: text("oauth2_active_value"), ClientID: text("oauth2_client_id"), ClientSecret: text("oauth2_client_secret"),
		OpenID: text("oauth2_openid_configuration_url"), CAFile: c.text("ssl_client_ca_file"), CADir: c.text("ssl_client_ca_dir"),
		CertFile: c.text("ssl_client_cert_file"), KeyFile: c.text("ssl_client_key_file"), AllowInvalidCert: c.text("ssl_client_require_valid_cert") == "no"}
	o.GrantPassword = o.GrantURL != ""
	o.Grace, _ = conf.ParseTime(text("oauth2_token_expire_grace"), conf.V24)
	for _, s := range append([]config.SectionView{c.at}, inner...) {
		for _, f := range s.Items("oauth2_fields") {
			o.Fields = append(o.Fields, Field{f.Key, Template{Text: f.Text}})
		}
		if prefix := keyPrefix(s); o.KeyPrefix == "" {
			o.KeyPrefix = prefix
		}
	}
	if o.KeyPrefix == "" {
		o.KeyPrefix = keyPrefixOf(c.Sections("oauth2_local_validation"))
	}
	return o
}

func keyPrefix(s config.SectionView) string {
	return keyPrefixOf(s.Sections("oauth2_local_validation"))
}

// keyPrefixOf finds fs_posix_prefix in "dict fs { fs posix { } }".
func keyPrefixOf(list []config.SectionView) string {
	for _, s := range list {
		if v, ok := s.Get("fs_posix_prefix"); ok && v.Text != "" {
			return v.Text
		}
		for _, kind := range []string{"dict", "fs"} {
			if prefix := keyPrefixOf(s.Sections(kind)); prefix != "" {
				return prefix
			}
		}
	}
	return ""
}

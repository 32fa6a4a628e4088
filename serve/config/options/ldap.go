package options

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"dovetail/formats/conf"
)

// LDAP is a directory with the searches of a chain's database.
type LDAP struct {
	URIs          []string
	DN            string   `set:"ldap_auth_dn" by:"dialect"` // of the service
	Password      string   `set:"ldap_auth_dn_password" by:"dialect"`
	SASL          []string // mechanisms to bind the service by; none: with DN and Password
	StartTLS      bool     `set:"ldap_starttls" by:"dialect"`
	CAFile        string   // "": as ssl_client_ca_file says, in 2.4
	CADir         string
	CertFile      string // of the client
	KeyFile       string
	RequireCert   string   // never, allow, try, demand, hard; "": demand
	Version       uint32   `set:"ldap_version" by:"dialect"`
	Base          Template `set:"ldap_base" by:"dialect"`
	Scope         string   `set:"ldap_scope" by:"dialect"` // subtree, onelevel, base
	Deref         string   `set:"ldap_deref" by:"dialect"` // never, searching, finding, always
	Filter        Template `set:"passdb_ldap_filter,userdb_ldap_filter" by:"dialect"`
	Bind          bool     `set:"passdb_ldap_bind" by:"dialect"`        // passwords are verified by binding
	BindDN        Template `set:"passdb_ldap_bind_userdn" by:"dialect"` // as whom, without a search; "": who was found
	IterateFilter Template `set:"userdb_ldap_iterate_filter" by:"dialect"`
	IterateFields []Field  `set:"userdb_ldap_iterate_fields" by:"dialect"`
	Made          int      // how many of the section's Fields, from the first, are made of what a search finds; in 2.3 override_fields follow
}

// ldapKeys are the settings of the file that 2.3 has for a directory. Those with no other mention here are accepted
// and mean nothing: what debug_level and ldaprc_path tell OpenLDAP's library, blocking a process of Dovecot's,
// tls_cipher_suite another TLS.
var ldapKeys = map[string]bool{"hosts": true, "uris": true, "dn": true, "dnpass": true, "auth_bind": true, "auth_bind_userdn": true,
	"tls": true, "sasl_bind": true, "sasl_mech": true, "sasl_realm": true, "sasl_authz_id": true, "tls_ca_cert_file": true,
	"tls_ca_cert_dir": true, "tls_cert_file": true, "tls_key_file": true, "tls_cipher_suite": true, "tls_require_cert": true,
	"deref": true, "scope": true, "base": true, "ldap_version": true, "debug_level": true, "ldaprc_path": true, "user_attrs": true,
	"user_filter": true, "pass_attrs": true, "pass_filter": true, "iterate_attrs": true, "iterate_filter": true,
	"default_pass_scheme": true, "userdb_warning_disable": true, "blocking": true}

// ldap reads the file that 2.3 has these settings in.
func (c *chainReader) ldap(path string) error {
	ext, err := readExternal(c.src, path)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(ext)) {
		if !ldapKeys[key] {
			return fmt.Errorf("%s: Unknown setting: %s", path, key)
		}
	}
	get := func(key, fallback string) string {
		if v, ok := ext[key]; ok {
			return v
		}
		return fallback
	}
	const anyUser, oneUser = "(objectClass=posixAccount)", "(&(objectClass=posixAccount)(uid=%u))"
	l := &LDAP{DN: ext["dn"], Password: ext["dnpass"], StartTLS: isYes(ext["tls"]), CAFile: ext["tls_ca_cert_file"],
		CADir: ext["tls_ca_cert_dir"], CertFile: ext["tls_cert_file"], KeyFile: ext["tls_key_file"], RequireCert: ext["tls_require_cert"],
		Base: authTemplate(ext["base"]), Scope: get("scope", "subtree"), Deref: get("deref", "never")}
	if _, ok := ext["base"]; !ok {
		return fmt.Errorf("LDAP %s: No base given", path)
	}
	version, err := strconv.ParseUint(get("ldap_version", "3"), 10, 32)
	if err != nil {
		return fmt.Errorf("LDAP %s: ldap_version = %s: not a number", path, ext["ldap_version"])
	}
	l.Version = uint32(version)
	l.servers(ext)
	if isYes(ext["sasl_bind"]) {
		l.SASL = words(get("sasl_mech", "(none given)"))
	}
	if c.kind == "passdb" {
		l.Filter, l.Bind, l.BindDN = authTemplate(get("pass_filter", oneUser)), isYes(ext["auth_bind"]), authTemplate(ext["auth_bind_userdn"])
		c.fields = attributes(get("pass_attrs", "uid=user,userPassword=password"))
		c.driven.Scheme = schemeName(get("default_pass_scheme", "crypt"))
	} else {
		l.Filter = authTemplate(get("user_filter", oneUser))
		l.IterateFilter = authTemplate(get("iterate_filter", anyUser))
		l.IterateFields = attributes(get("iterate_attrs", "uid=user"))
		c.fields = attributes(get("user_attrs", "homeDirectory=home,uidNumber=uid,gidNumber=gid"))
	}
	l.Made = len(c.fields)
	c.importAll, c.driven.LDAP = false, l
	return nil
}

// servers reads "uris", or "hosts" where there are none.
func (l *LDAP) servers(ext map[string]string) {
	if l.URIs = words(ext["uris"]); len(l.URIs) > 0 {
		return
	}
	for _, host := range words(ext["hosts"]) {
		l.URIs = append(l.URIs, "ldap://"+host)
	}
}

func isYes(text string) bool {
	yes, _ := conf.ParseBool(text, conf.V23)
	return yes
}

// attributes reads what a lookup makes of an entry, with commas between:
//
//	ATTRIBUTE               a field of the same name
//	ATTRIBUTE=FIELD         if the entry has none, it gets no such field
//	ATTRIBUTE=FIELD=TEXT    likewise; in TEXT %$ is the attribute's value, which otherwise follows it if there is no other variable
//	=FIELD=TEXT             always there; %{ldap:ATTRIBUTE} is "" if the entry has none
//	@NAME=TEXT              the name of another entry, whose attributes are ATTRIBUTE@NAME
//	!ATTRIBUTE              only asked for, for %{ldap_ptr:…}
//
// The fields of the last two have the names "@NAME" and "!ATTRIBUTE". (2.3.19.1, db-ldap.c, db_ldap_set_attrs.)
func attributes(text string) []Field {
	var list []Field
	for part := range strings.SplitSeq(text, ",") {
		attribute, rest, ok := strings.Cut(strings.TrimSpace(part), "=")
		from := "%{ldap:" + strings.TrimPrefix(attribute, "!") + "}"
		field, value, templated := strings.Cut(rest, "=")
		switch {
		case attribute == "" && field == "":
			continue
		case !ok:
			list = append(list, Field{attribute, authTemplate(from)})
		case strings.HasPrefix(attribute, "@"):
			list = append(list, Field{attribute, withDefaults(rest, "")})
		case attribute == "":
			list = append(list, Field{field, withDefaults(itsValue.ReplaceAllString(value, ""), "")})
		case !templated:
			list = append(list, Field{field, authTemplate(from)})
		default:
			list = append(list, Field{field, ofAttribute(attribute, from, value)})
		}
	}
	return list
}

// ofAttribute is a text that is left out where the entry does not have the attribute.
func ofAttribute(attribute, from, text string) Template {
	switch {
	case !strings.Contains(text, "%"):
		text += from
	case itsValue.MatchString(text):
		text = itsValue.ReplaceAllString(text, "%${1}"+strings.ReplaceAll(from[1:], "$", "$$"))
	default: // it must be there, but nothing of it is wanted
		t := withDefaults(text, attribute)
		if t.Old {
			return Template{Text: "%{if;" + from + ";eq;;;}" + t.Text, Old: true}
		}
		return Template{Text: "%{ldap:" + attribute + " | substr(0, 0)}" + t.Text}
	}
	return withDefaults(text, attribute)
}

// itsValue is %$, which may have modifiers as all variables of 2.3.
var itsValue = regexp.MustCompile(`%([-0-9.]*[LUERMXDHTN]*)\$`)

// A variable of the entry, as 2.4 and 2.3 write it.
var (
	inEntry24 = regexp.MustCompile(`%\{ldap(?:_ptr)?:([^ |}]+)( \| default)?`)
	inEntry23 = regexp.MustCompile(`\{ldap(?:_ptr)?:([^:};]+)\}`)
)

// withDefaults is a text in which attributes that the entry does not have are "", but for one.
func withDefaults(text, but string) Template {
	t := authTemplate(text)
	if t.Old {
		t.Text = inEntry23.ReplaceAllStringFunc(t.Text, func(s string) string {
			if inEntry23.FindStringSubmatch(s)[1] == but {
				return s
			}
			return strings.TrimSuffix(s, "}") + ":}"
		})
		return t
	}
	t.Text = inEntry24.ReplaceAllStringFunc(t.Text, func(s string) string {
		if found := inEntry24.FindStringSubmatch(s); found[1] == but || found[2] != "" {
			return s
		}
		return s + " | default"
	})
	return t
}

// ldap24 reads the same from 2.4's own settings.
func (c *chainReader) ldap24() *LDAP {
	template := func(key string) Template { return Template{Text: c.text(key)} }
	l := &LDAP{URIs: words(c.text("ldap_uris")), DN: c.text("ldap_auth_dn"), Password: c.text("ldap_auth_dn_password"),
		StartTLS: c.text("ldap_starttls") == "yes", Base: template("ldap_base"), Scope: c.text("ldap_scope"), Deref: c.text("ldap_deref"),
		Filter: template(c.kind + "_ldap_filter"), Made: len(c.fields), SASL: words(c.text("ldap_auth_sasl_mechanisms")),
		CertFile: c.text("ssl_client_cert_file"), KeyFile: c.text("ssl_client_key_file")}
	if c.text("ssl_client_require_valid_cert") == "no" {
		l.RequireCert = "allow"
	}
	l.Version, _ = conf.ParseUint(c.text("ldap_version"), conf.V24)
	if c.kind == "passdb" {
		l.Bind, l.BindDN = c.text("passdb_ldap_bind") == "yes", template("passdb_ldap_bind_userdn")
	} else {
		l.IterateFilter = template("userdb_ldap_iterate_filter")
		for _, f := range c.at.Items("userdb_ldap_iterate_fields") {
			l.IterateFields = append(l.IterateFields, Field{f.Key, Template{Text: f.Text}})
		}
	}
	return l
}

package convert

import "strings"

// ldapShared are the settings of the connection.
var ldapShared = map[string]string{
	"uris": "ldap_uris", "dn": "ldap_auth_dn", "dnpass": "ldap_auth_dn_password", "base": "ldap_base",
	"scope": "ldap_scope", "deref": "ldap_deref", "ldap_version": "ldap_version", "debug_level": "ldap_debug_level",
	"tls": "ldap_starttls", "sasl_mech": "ldap_auth_sasl_mechanisms", "sasl_realm": "ldap_auth_sasl_realm",
	"sasl_authz_id": "ldap_auth_sasl_authz_id", "tls_ca_cert_file": "ssl_client_ca_file",
	"tls_ca_cert_dir": "ssl_client_ca_dir", "tls_cert_file": "ssl_client_cert_file",
	"tls_key_file": "ssl_client_key_file", "tls_cipher_suite": "ssl_cipher_list",
}

// ldapDefaults are what 2.3 takes for settings that a file does not have; 2.4
// has no such defaults.
var ldapDefaults = []pair{
	{"pass_attrs", "uid=user, userPassword=password"},
	{"pass_filter", "(&(objectClass=posixAccount)(uid=%u))"},
	{"user_attrs", "homeDirectory=home, uidNumber=uid, gidNumber=gid"},
	{"user_filter", "(&(objectClass=posixAccount)(uid=%u))"},
	{"iterate_attrs", "uid=user"},
	{"iterate_filter", "(objectClass=posixAccount)"},
}

func (d *database) ldap(list []extLine) {
	have := map[string]string{}
	for _, e := range list {
		have[e.key] = e.value
	}
	for _, p := range ldapDefaults {
		if _, ok := have[p.key]; !ok && !(p.key == "pass_attrs" && have["auth_bind_userdn"] != "" && isYes(have["auth_bind"])) {
			list = append(list, extLine{key: p.key, value: p.value})
		}
	}
	var shared []string
	for _, e := range list {
		name := ldapShared[e.key]
		switch {
		case name == "ldap_base":
			value, losses := authTemplate(e.value)
			if len(losses) > 0 {
				value = e.value
			}
			shared = append(append(shared, e.comments...), d.u.assign(name, value))
		case name != "":
			shared = append(append(shared, e.comments...), d.u.assign(name, e.value))
		case e.key == "hosts":
			uris := "ldap://" + strings.Join(strings.Fields(e.value), " ldap://")
			shared = append(append(shared, e.comments...), d.u.assign("ldap_uris", uris))
		case e.key == "tls_require_cert":
			strict := e.value == "hard" || e.value == "demand"
			shared = append(append(shared, e.comments...), d.u.assign("ssl_client_require_valid_cert", yesNo(strict)))
		default:
			d.ldapOwn(e)
		}
	}
	d.share("ldap", shared)
}

// ldapOwn writes a setting that passdb or userdb has for itself.
func (d *database) ldapOwn(e extLine) {
	filter := func(kind, key string) {
		if d.kind == kind {
			d.query(key, e)
		}
	}
	switch e.key {
	case "auth_bind":
		d.only("passdb", d.key("bind"), e)
	case "auth_bind_userdn":
		filter("passdb", "bind_userdn")
	case "pass_filter":
		filter("passdb", "filter")
	case "user_filter":
		filter("userdb", "filter")
	case "iterate_filter":
		filter("userdb", "iterate_filter")
	case "default_pass_scheme":
		d.only("passdb", "default_password_scheme", e)
	case "pass_attrs", "user_attrs", "iterate_attrs":
		if (e.key == "pass_attrs") == (d.kind == "passdb") {
			d.attributes(e)
		}
	case "blocking":
		d.args.lines = append(d.args.lines, d.u.assign("use_worker", e.value))
	case "sasl_bind":
	default:
		d.args.parts = append(d.args.parts, [2]string{e.key, "there is no such setting"})
	}
}

// attributes writes a list of ATTRIBUTE=FIELD[=TEMPLATE] and =FIELD=TEMPLATE.
func (d *database) attributes(e extLine) {
	var fields []pair
	for w := range strings.SplitSeq(e.value, ",") {
		w = strings.TrimSpace(w)
		if w == "" {
			continue
		}
		attr, rest, ok := strings.Cut(w, "=")
		field, template, more := strings.Cut(rest, "=")
		value := "%{ldap:" + attr + "}"
		switch {
		case !ok:
			field = attr
		case more && attr == "":
			value = template
		case more:
			value = strings.ReplaceAll(template, "%$", value)
		}
		fields = append(fields, pair{field, value})
	}
	t := d.fieldLines(fields)
	if t.lost != "" {
		d.args.parts = append(d.args.parts, [2]string{e.key, t.lost})
		return
	}
	if e.key == "iterate_attrs" && len(t.lines) > 0 {
		t.lines[0] = d.key("iterate_fields") + " {"
	}
	d.args.lines = append(append(d.args.lines, e.comments...), t.lines...)
}

package options

import (
	"strconv"
	"strings"

	"dovetail/formats/conf"
)

// LDAP is a directory with the searches of a chain's database.
type LDAP struct {
	URIs          []string
	DN            string `set:"ldap_auth_dn" by:"dialect"` // of the service
	Password      string `set:"ldap_auth_dn_password" by:"dialect"`
	StartTLS      bool   `set:"ldap_starttls" by:"dialect"`
	CAFile        string // "": as ssl_client_ca_file says
	CADir         string
	Version       uint32   `set:"ldap_version" by:"dialect"`
	Base          Template `set:"ldap_base" by:"dialect"`
	Scope         string   `set:"ldap_scope" by:"dialect"` // subtree, onelevel, base
	Deref         string   `set:"ldap_deref" by:"dialect"` // never, searching, finding, always
	Filter        Template `set:"passdb_ldap_filter,userdb_ldap_filter" by:"dialect"`
	Bind          bool     `set:"passdb_ldap_bind" by:"dialect"`        // passwords are verified by binding
	BindDN        Template `set:"passdb_ldap_bind_userdn" by:"dialect"` // as whom, without a search; "": who was found
	IterateFilter Template `set:"userdb_ldap_iterate_filter" by:"dialect"`
	IterateFields []Field  `set:"userdb_ldap_iterate_fields" by:"dialect"`
}

// ldap reads the file that 2.3 has these settings in.
func (c *chainReader) ldap(path string) error {
	ext, err := readExternal(c.src, path)
	if err != nil {
		return err
	}
	get := func(key, fallback string) string {
		if v, ok := ext[key]; ok {
			return v
		}
		return fallback
	}
	const anyUser, oneUser = "(objectClass=posixAccount)", "(&(objectClass=posixAccount)(uid=%u))"
	l := &LDAP{DN: ext["dn"], Password: ext["dnpass"], StartTLS: isYes(ext["tls"]), CAFile: ext["tls_ca_cert_file"],
		CADir: ext["tls_ca_cert_dir"], Base: authTemplate(ext["base"]), Scope: get("scope", "subtree"), Deref: get("deref", "never")}
	version, _ := strconv.ParseUint(get("ldap_version", "3"), 10, 32)
	l.Version = uint32(version)
	l.URIs = words(ext["uris"])
	for _, host := range words(ext["hosts"]) {
		l.URIs = append(l.URIs, "ldap://"+host)
	}
	if c.kind == "passdb" {
		l.Filter, l.Bind, l.BindDN = authTemplate(get("pass_filter", oneUser)), isYes(ext["auth_bind"]), authTemplate(ext["auth_bind_userdn"])
		c.fields = append(attributes(get("pass_attrs", "uid=user,userPassword=password")), c.fields...)
		c.driven.Scheme = schemeName(get("default_pass_scheme", "crypt"))
	} else {
		l.Filter = authTemplate(get("user_filter", oneUser))
		l.IterateFilter = authTemplate(get("iterate_filter", anyUser))
		l.IterateFields = attributes(get("iterate_attrs", "uid=user"))
		c.fields = append(attributes(get("user_attrs", "homeDirectory=home,uidNumber=uid,gidNumber=gid")), c.fields...)
	}
	c.importAll, c.driven.LDAP = false, l
	return nil
}

func isYes(text string) bool {
	yes, _ := conf.ParseBool(text, conf.V23)
	return yes
}

// attributes reads "ATTRIBUTE=FIELD,ATTRIBUTE=FIELD=TEXT,=FIELD=TEXT": in TEXT
// %$ is the attribute's value, which otherwise follows it.
func attributes(text string) []Field {
	var list []Field
	for part := range strings.SplitSeq(text, ",") {
		attribute, rest, ok := strings.Cut(strings.TrimSpace(part), "=")
		if attribute == "" && !ok {
			continue
		}
		field, value, templated := strings.Cut(rest, "=")
		if field == "" {
			field = attribute
		}
		from := "%{ldap:" + attribute + "}"
		switch {
		case !templated:
			value = from
		case strings.Contains(value, "%$"):
			value = strings.ReplaceAll(value, "%$", from)
		case attribute != "" && !strings.Contains(value, "%"):
			value += from
		}
		list = append(list, Field{field, authTemplate(value)})
	}
	return list
}

// ldap24 reads the same from 2.4's own settings.
func (c *chainReader) ldap24() *LDAP {
	template := func(key string) Template { return Template{Text: c.text(key)} }
	l := &LDAP{URIs: words(c.text("ldap_uris")), DN: c.text("ldap_auth_dn"), Password: c.text("ldap_auth_dn_password"),
		StartTLS: c.text("ldap_starttls") == "yes", Base: template("ldap_base"), Scope: c.text("ldap_scope"), Deref: c.text("ldap_deref"),
		Filter: template(c.kind + "_ldap_filter")}
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

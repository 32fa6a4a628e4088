package settings

import (
	"path/filepath"
	"strings"
)

// directory makes Dovecot's LDAP file out of authldaprc.
type directory struct {
	fields view
	lines  []string
	bad    bool
}

// ldap makes the databases of authldap and the file with the connection. The file is secret.
func (r *run) ldap(list value) {
	if r.fields["authldaprc"] == nil {
		list.notNeeded("authldap without authldaprc does nothing")
		return
	}
	d := &directory{fields: view{}}
	for _, s := range r.fields["authldaprc"] {
		if _, first := d.fields[strings.TrimPrefix(s.Name, "LDAP_")]; !first {
			d.fields[strings.TrimPrefix(s.Name, "LDAP_")] = value{s, s.Value}
		}
	}
	d.connection()
	r.each("LDAPTLS_", d.tls)
	d.accounts()
	if d.bad {
		list.lost("authldap: its authldaprc could not be taken over, see there")
		return
	}
	const name = "dovecot-ldap.conf.ext"
	text := "# From authldaprc. Holds a password: keep it readable for root alone.\n" + strings.Join(d.lines, "\n") + "\n"
	r.files = append(r.files, File{Name: name, Text: []byte(text), Secret: true})
	path := quoted(filepath.Join(r.dir, name))
	r.database("ldap", path, "authldap: "+from(list))
	u := r.lookup("ldap", path)
	uid, gid := d.fields["GLOB_UID"], d.fields["GLOB_GID"]
	var all []string
	if v := d.plain("GLOB_UID", "userdb { default_fields }"); v != "" {
		all = append(all, "uid="+v)
	}
	if v := d.plain("GLOB_GID", "userdb { default_fields }"); v != "" {
		all = append(all, "gid="+v)
	}
	if len(all) > 0 {
		u.set("default_fields", strings.Join(all, " "), from(uid, gid))
	}
	list.carried("passdb { driver = ldap }", "")
	r.hint("authldap: Dovecot's driver for it may be a package of its own (dovecot-ldap)")
}

// set adds a line unless the setting is empty.
func (d *directory) set(key, name string, change func(string) string) {
	v := d.fields[name]
	switch {
	case v.text == "":
		v.notNeeded("empty")
	case !plainText(v.text) || strings.Contains(v.text, "#"):
		v.lost("it holds characters that cannot stand in a setting of Dovecot")
		d.bad = true
	default:
		text := v.text
		if change != nil {
			text = change(text)
		}
		d.lines = append(d.lines, key+" = "+text)
		v.carried(key, "")
	}
}

// plain gives a setting that is one word, "" when it is empty or something else.
func (d *directory) plain(name, to string) string {
	v := d.fields[name]
	switch {
	case v.text == "":
		v.notNeeded("empty")
		return ""
	case !plainText(v.text) || strings.ContainsAny(v.text, " #=,\"'%"):
		v.lost("it holds characters that cannot stand in a setting of Dovecot")
		d.bad = true
		return ""
	}
	v.carried(to, "")
	return v.text
}

func (d *directory) connection() {
	d.set("uris", "URI", func(s string) string {
		return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' }), " ")
	})
	if port := d.fields["PORT"]; d.fields["SERVER"].text != "" {
		d.set("hosts", "SERVER", func(s string) string {
			if port.text != "" && port.text != "389" {
				port.carried("hosts", "")
				s += ":" + port.text
			}
			return s
		})
	}
	d.set("ldap_version", "PROTOCOL_VERSION", nil)
	d.set("base", "BASEDN", nil)
	if init := d.fields["INITBIND"]; init.Setting != nil && !init.on() {
		init.carried("dn", "without a bind of its own")
		d.fields["BINDDN"].notNeeded("LDAP_INITBIND is off")
		d.fields["BINDPW"].notNeeded("LDAP_INITBIND is off")
	} else {
		init.notNeeded("Dovecot binds when dn is set")
		d.set("dn", "BINDDN", nil)
		d.set("dnpass", "BINDPW", nil)
	}
	d.set("deref", "DEREF", nil)
	d.toggle("tls", "TLS")
	d.toggle("auth_bind", "AUTHBIND")
}

func (d *directory) toggle(key, name string) {
	v := d.fields[name]
	if !v.on() {
		v.notNeeded("switched off")
		return
	}
	d.lines = append(d.lines, key+" = yes")
	v.carried(key, "")
}

// tls takes over the LDAPTLS_ settings of authdaemonrc, which OpenLDAP's library reads.
func (d *directory) tls(v value) {
	key := map[string]string{"LDAPTLS_CACERT": "tls_ca_cert_file", "LDAPTLS_CACERTDIR": "tls_ca_cert_dir", "LDAPTLS_CERT": "tls_cert_file",
		"LDAPTLS_KEY": "tls_key_file", "LDAPTLS_REQCERT": "tls_require_cert", "LDAPTLS_CIPHER_SUITE": "tls_cipher_suite"}[v.Name]
	switch {
	case key == "":
	case v.text == "":
		v.notNeeded("empty")
	case !plainText(v.text) || strings.Contains(v.text, "#"):
		v.lost("it holds characters that cannot stand in a setting of Dovecot")
	default:
		d.lines = append(d.lines, key+" = "+v.text)
		v.carried(key, "")
	}
}

// accounts sets how an account is found and what is taken from it.
func (d *directory) accounts() {
	mail := d.plain("MAIL", "pass_filter")
	if mail == "" {
		mail = "mail"
	}
	name := "%u"
	if domain := d.plain("DOMAIN", "pass_filter"); domain != "" {
		name = "%{if;%d;ne;;%u;%u@" + domain + "}"
	}
	filter := "(" + mail + "=" + name + ")"
	if v := d.fields["FILTER"]; v.text == "" {
		v.notNeeded("empty")
	} else if !plainText(v.text) || strings.Contains(v.text, "#") {
		v.lost("it holds characters that cannot stand in a setting of Dovecot")
		d.bad = true
	} else {
		filter = "(&" + percent(v.text) + filter + ")"
		v.carried("pass_filter", "")
		v.carried("user_filter", "")
	}
	d.lines = append(d.lines, "pass_filter = "+filter, "user_filter = "+filter)
	d.set("iterate_filter", "ENUMERATE_FILTER", percent)
	d.lines = append(d.lines, "iterate_attrs = "+mail+"=user", "pass_attrs = "+d.passAttrs(), "user_attrs = "+d.userAttrs())
}

func (d *directory) passAttrs() string {
	if d.fields["AUTHBIND"].on() {
		d.fields["CRYPTPW"].notNeeded("LDAP_AUTHBIND: the directory looks at the password")
		d.fields["CLEARPW"].notNeeded("LDAP_AUTHBIND: the directory looks at the password")
		return ""
	}
	if crypt := d.plain("CRYPTPW", "pass_attrs"); crypt != "" {
		d.lines = append(d.lines, "default_pass_scheme = CRYPT")
		if clear := d.fields["CLEARPW"]; clear.text != "" {
			clear.notNeeded("the field of LDAP_CRYPTPW is used; for CRAM-MD5 put this one into pass_attrs, with default_pass_scheme = PLAIN")
		}
		return crypt + "=password"
	}
	if clear := d.plain("CLEARPW", "pass_attrs"); clear != "" {
		d.lines = append(d.lines, "default_pass_scheme = PLAIN")
		return clear + "=password"
	}
	d.bad = true
	d.fields["MAIL"].lost("neither LDAP_CRYPTPW nor LDAP_CLEARPW names a field")
	return ""
}

func (d *directory) userAttrs() string {
	var attrs []string
	home := d.plain("HOMEDIR", "user_attrs")
	if root := d.plain("MAILROOT", "user_attrs"); root != "" && home != "" {
		attrs = append(attrs, "=home="+strings.TrimSuffix(root, "/")+"/%{ldap:"+home+"}")
		d.fields["MAILROOT"].carried("", "put before every home; Courier left absolute ones as they are")
	} else if home != "" {
		attrs = append(attrs, home+"=home")
	}
	if dir := d.plain("MAILDIR", "user_attrs"); dir != "" {
		attrs = append(attrs, "=mail=maildir:~/%{ldap:"+dir+":Maildir}")
		d.fields["MAILDIR"].carried("", "as a path below the home; for absolute ones write =mail=maildir:%{ldap:"+dir+"}")
	}
	for _, a := range []struct{ name, to string }{{"UID", "uid"}, {"GID", "gid"}} {
		if v := d.plain(a.name, "user_attrs"); v != "" {
			attrs = append(attrs, v+"="+a.to)
		}
	}
	if v := d.plain("MAILDIRQUOTA", "user_attrs"); v != "" {
		attrs = append(attrs, v+"=quota_rule=*:backend=%$")
	}
	return strings.Join(attrs, ", ")
}

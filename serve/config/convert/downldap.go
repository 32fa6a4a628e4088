package convert

import (
	"slices"
	"strings"
)

func (b *back) ldapFile() (string, string) {
	var out []string
	for _, k := range keysOf(ldapShared) {
		if v := b.value(ldapShared[k]); v != "" && !(k == "tls_cipher_suite") {
			if k == "base" {
				v, _ = authTemplate23(v)
			}
			out = append(out, b.d.assign(k, v))
		}
	}
	if v := b.value("ssl_client_require_valid_cert"); v != "" {
		out = append(out, "tls_require_cert = "+map[bool]string{true: "hard", false: "never"}[isYes(v)])
	}
	for _, p := range []pair{{"passdb_ldap_bind", "auth_bind"}, {"passdb_ldap_bind_userdn", "auth_bind_userdn"},
		{"passdb_ldap_filter", "pass_filter"}, {"userdb_ldap_filter", "user_filter"},
		{"userdb_ldap_iterate_filter", "iterate_filter"}, {"passdb_default_password_scheme", "default_pass_scheme"}} {
		if v, ok := b.set[p.key]; ok {
			text, losses := authTemplate23(v)
			if len(losses) > 0 {
				return "", losses[0].Text + ": " + losses[0].Why
			}
			out = append(out, b.d.assign(p.value, text))
		}
	}
	key := "user_attrs"
	if b.n.Key == "passdb" {
		key = "pass_attrs"
	}
	attrs, rest, why := ldapAttributes(b.fields)
	if why != "" {
		return "", why
	}
	b.fields = rest
	if key == "user_attrs" || attrs != "" || b.set["passdb_ldap_bind_userdn"] == "" {
		out = append(out, b.d.assign(key, attrs))
	}
	if attrs, _, why = ldapAttributes(b.iter); attrs != "" && why == "" {
		out = append(out, b.d.assign("iterate_attrs", attrs))
	}
	return strings.Join(out, "\n") + "\n", ""
}

func keysOf(m map[string]string) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// ldapAttributes writes fields that take something from the directory as a
// list of attributes, and gives the others.
func ldapAttributes(fields []pair) (attrs string, rest []pair, why string) {
	var words []string
	for _, p := range oldFields(fields) {
		attr, plain := strings.CutPrefix(p.value, "%{ldap:")
		attr, plain = strings.TrimSuffix(attr, "}"), plain && strings.HasSuffix(attr, "}") && !strings.ContainsAny(attr[:len(attr)-1], "}|:")
		value, losses := authTemplate23(p.value)
		switch {
		case len(losses) > 0:
			return "", nil, losses[0].Text + ": " + losses[0].Why
		case plain:
			words = append(words, attr+"="+p.key)
		case !strings.Contains(p.value, "%{ldap:"):
			rest = append(rest, p)
		case strings.Contains(value, ","):
			return "", nil, "an attribute with a comma"
		default:
			words = append(words, "="+p.key+"="+value)
		}
	}
	return strings.Join(words, ", "), rest, ""
}

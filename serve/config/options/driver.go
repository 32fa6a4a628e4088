package options

import (
	"fmt"
	"strconv"
	"strings"

	"dovetail/formats/conf"
)

// Driven is what a database's driver is told. Only the part of the driver is
// there.
type Driven struct {
	Scheme     string      `set:"passdb_default_password_scheme" by:"dialect"` // of passwords without {SCHEME}, in upper case; of a passdb only
	Worker     bool        `set:"passdb_use_worker" by:"dialect"`              // lookups wait for others, so they get a thread of their own
	PasswdFile *PasswdFile `set:"passwd_file_path" by:"dialect"`
	Static     *Static     `set:"passdb_static_password" by:"dialect"`
	PAM        *PAM        `set:"passdb_pam_service_name" by:"dialect"`
	SQL        *SQL        `set:"sql_driver" by:"dialect"`
	LDAP       *LDAP       `set:"ldap_uris" by:"dialect"`
	OAuth2     *OAuth2     `set:"oauth2" by:"dialect"`
	Args       []string    // of all other drivers, as written
}

// PasswdFile is a text file of users.
type PasswdFile struct {
	Path           Template // may depend on the user
	UsernameFormat Template // what is looked up in it; "": the user name
}

// Static gives everybody the same fields.
type Static struct {
	Password Template // of a passdb; "" with the field nopassword
	AllowAll bool     `set:"userdb_static_allow_all_users" by:"dialect"` // of a userdb: no passdb is asked whether the user exists
}

// PAM asks the system.
type PAM struct {
	Service        Template // default dovecot
	CacheKey       Template // whose variables an answer depends on; "": it is not cached
	Session        bool     `set:"passdb_pam_session" by:"dialect"`
	SetCred        bool     `set:"passdb_pam_setcred" by:"dialect"`
	ShowFailure    bool     `set:"passdb_pam_failure_show_msg" by:"dialect"` // to the client
	LookupsPerTurn uint32   `set:"passdb_pam_max_requests" by:"dialect"`     // of a worker; default 100
}

// args reads the words that 2.3 gives a driver.
func (c *chainReader) args(text string) error {
	switch c.driver {
	case "passwd-file":
		c.passwdFile(text)
	case "static":
		c.static(text)
	case "pam":
		return c.pam(text)
	case "sql":
		return c.sql(text)
	case "ldap":
		return c.ldap(text)
	case "oauth2":
		return c.oauth2(text)
	default:
		c.driven.Args = splitFields(text)
	}
	return nil
}

// passwdFile reads "scheme=X username_format=Y PATH".
func (c *chainReader) passwdFile(text string) {
	f := &PasswdFile{}
	c.driven.PasswdFile = f
	for text != "" {
		word, rest, _ := strings.Cut(text, " ")
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "scheme":
			c.driven.Scheme = schemeName(value)
		case "username_format":
			f.UsernameFormat = authTemplate(value)
		default:
			f.Path = authTemplate(strings.TrimSpace(text)) // which may hold blanks
			return
		}
		text = strings.TrimLeft(rest, " \t")
	}
}

// static reads fields, with two words that are none.
func (c *chainReader) static(text string) {
	s := &Static{}
	c.driven.Static = s
	for _, f := range fields23(text) {
		switch {
		case f.Name == "password" && c.kind == "passdb":
			s.Password = f.Value
		case f.Name == "allow_all_users" && c.kind == "userdb":
			s.AllowAll = f.Value.Text == "yes"
		default:
			c.fields = append(c.fields, f)
		}
	}
}

// pam reads words, of which the last may be the service.
func (c *chainReader) pam(text string) error {
	p := &PAM{Service: Template{Text: "dovecot"}, LookupsPerTurn: 100}
	c.driven.PAM = p
	words := strings.Fields(text)
	for i, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch {
		case word == "-session", word == "session=yes": // the former of 1.0
			p.Session = true
		case word == "setcred=yes":
			p.SetCred = true
		case word == "failure_show_msg=yes":
			p.ShowFailure = true
		case word == "blocking=yes": // as it always is
		case word == "*": // of 1.0
			p.Service = authTemplate("%Ls")
		case key == "max_requests":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return fmt.Errorf("pam: Invalid requests_left value: %s", value)
			}
			p.LookupsPerTurn = uint32(n)
		case key == "cache_key":
			p.CacheKey = authTemplate(value)
		case i < len(words)-1:
			return fmt.Errorf("pam: Unknown setting: %s", word)
		default:
			p.Service = authTemplate(word)
		}
	}
	return nil
}

// schemeName gives a password scheme in the form that all of them are
// compared in.
func schemeName(s string) string { return strings.ToUpper(s) }

// read24 reads what 2.4 has in the section, or around it.
func (c *chainReader) read24() {
	for _, f := range c.at.Items(c.kind + "_fields") {
		if name, ok := strings.CutSuffix(f.Key, ":default"); ok {
			c.defaults = append(c.defaults, Field{name, Template{Text: f.Text}})
			continue
		}
		c.fields = append(c.fields, Field{strings.TrimSuffix(f.Key, ":protected"), Template{Text: f.Text}})
	}
	c.importAll = c.text(c.kind+"_fields_import_all") == "yes"
	d := &c.driven
	d.Worker = c.text(c.kind+"_use_worker") == "yes"
	if c.kind == "passdb" {
		d.Scheme = schemeName(c.text("passdb_default_password_scheme"))
	}
	switch c.driver {
	case "passwd-file":
		d.PasswdFile = &PasswdFile{Path: Template{Text: c.text("passwd_file_path")}}
		if format, _ := c.at.Get("auth_username_format"); format.Pos.File != "" {
			d.PasswdFile.UsernameFormat = Template{Text: format.Text}
		}
	case "static":
		d.Static = &Static{AllowAll: c.kind == "userdb" && c.text("userdb_static_allow_all_users") == "yes"}
		if c.kind == "passdb" {
			d.Static.Password = Template{Text: c.text("passdb_static_password")}
		}
	case "pam":
		requests, _ := conf.ParseUint(c.text("passdb_pam_max_requests"), conf.V24)
		d.PAM = &PAM{Service: Template{Text: c.text("passdb_pam_service_name")}, LookupsPerTurn: requests,
			Session: c.text("passdb_pam_session") == "yes", SetCred: c.text("passdb_pam_setcred") == "yes",
			ShowFailure: c.text("passdb_pam_failure_show_msg") == "yes"}
	case "sql":
		d.SQL = c.sql24()
	case "oauth2":
		d.OAuth2 = c.oauth224()
	case "ldap":
		d.LDAP, c.importAll = c.ldap24(), false
	}
}

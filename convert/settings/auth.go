package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// authentication sets how clients may log in and where the accounts are.
func (r *run) authentication() {
	r.names()
	r.mechanisms()
	var log value
	var modules, original value
	for _, s := range r.auth {
		switch {
		case s.unknown != "":
		case s.Name == "authmodulelist":
			modules = value{s, s.Value}
		case s.Name == "authmodulelistorig":
			original = value{s, s.Value}
		case s.Name == "DEBUG_LOGIN":
			log = value{s, s.Value}
		case s.Name == "DEFAULTOPTIONS":
			r.options(value{s, s.Value})
		}
	}
	if log.on() {
		r.top.set("auth_verbose", "yes", from(log))
		r.top.set("auth_debug", "yes")
		log.carried("auth_debug", "without the passwords that Courier logged at 2")
	} else {
		log.notNeeded("switched off")
	}
	r.modules(modules, original)
	r.services()
}

// names sets what login names may look like.
func (r *run) names() {
	r.top.set("auth_username_chars", "", "Courier allowed all characters; names of vpopmail may hold + = & / ~ and '")
	for _, s := range r.servers() {
		v, separators := s.env["DEFDOMAIN"], s.env["DOMAINSEP"]
		domain, at := strings.CutPrefix(v.text, "@")
		switch {
		case v.text == "":
			v.notNeeded("empty")
			r.per(s, "auth_default_realm", "", "no DEFDOMAIN in "+s.file)
		case !at || domain == "" || !plainText(domain) || strings.ContainsAny(domain, " \t"):
			v.lost("Dovecot appends a domain with @ only")
		default:
			r.per(s, "auth_default_realm", quoted(domain), from(v))
			v.carried("auth_default_realm", "")
		}
		if separators.text == "" || separators.text == "@" {
			separators.notNeeded("the @ separates in Dovecot too")
		} else {
			separators.lost("only the @ separates name and domain in Dovecot")
		}
	}
	if len(r.servers()) == 2 {
		_, imap := r.imap.env["DEFDOMAIN"]
		if _, pop3 := r.pop3.env["DEFDOMAIN"]; imap != pop3 {
			r.hint("names without a domain get one by one protocol only, as in Courier (DEFDOMAIN)")
		}
	}
}

// mechanisms offers what Courier offered. Passwords given with LOGIN, USER and PASS are "plain" for Dovecot.
func (r *run) mechanisms() {
	offered := []string{"plain"}
	var sources []value
	for _, s := range r.servers() {
		for _, name := range []string{"IMAP_CAPABILITY", "IMAP_CAPABILITY_TLS", "POP3AUTH", "POP3AUTH_TLS"} {
			v, set := s.env[name]
			if !set {
				continue
			}
			if found := r.capabilities(v); len(found) > 0 {
				sources = append(sources, v)
				offered = append(offered, found...)
			}
		}
	}
	unique := offered[:0:0]
	for _, m := range offered {
		if !slices.Contains(unique, m) {
			unique = append(unique, m)
		}
	}
	r.top.set("auth_mechanisms", strings.Join(unique, " "), from(sources...))
	if slices.Contains(unique, "cram-md5") {
		r.hint("CRAM-MD5 works for accounts whose password is stored in clear or as {CRAM-MD5} only")
	}
}

// known are capabilities that Dovecot has too, some under a plugin that the configuration loads.
var known = []string{"IMAP4REV1", "UIDPLUS", "CHILDREN", "NAMESPACE", "THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES", "SORT",
	"QUOTA", "IDLE", "ACL", "UNSELECT", "ENABLE", "LITERAL+", "ID", "STARTTLS", "LOGINDISABLED", "CONDSTORE", "LOGIN-REFERRALS"}

// capabilities reads a list of capabilities or of mechanisms.
func (r *run) capabilities(v value) (mechanisms []string) {
	words := strings.Fields(strings.ToUpper(v.text))
	for _, word := range words {
		name, auth := strings.CutPrefix(word, "AUTH=")
		switch {
		case !auth && strings.HasPrefix(v.Name, "IMAP"):
			if !slices.Contains(known, word) {
				v.lost(fmt.Sprintf("Dovecot does not have %q", word))
			}
		case slices.Contains([]string{"PLAIN", "LOGIN", "CRAM-MD5", "EXTERNAL"}, name):
			mechanisms = append(mechanisms, strings.ToLower(name))
			v.carried("auth_mechanisms", "")
		default:
			v.lost(fmt.Sprintf("Dovecot does not have the mechanism %q", name))
		}
	}
	v.notNeeded("Dovecot tells its own capabilities; it has all of these")
	return mechanisms
}

// options looks at the options of accounts that have none of their own.
func (r *run) options(v value) {
	for _, option := range strings.FieldsFunc(v.text, func(c rune) bool { return c == ',' || c == ' ' }) {
		name, val, _ := strings.Cut(option, "=")
		on := val != "" && val != "0"
		switch {
		case !on && (strings.HasPrefix(name, "disable") || name == "wbnodsn"):
			v.notNeeded("switched off")
		case name == "disablewebmail" || name == "wbnodsn":
			v.notNeeded("only for Courier's webmail")
		case name == "disableinsecureimap":
			r.insecure(v, r.imap)
		case name == "disableinsecurepop3":
			r.insecure(v, r.pop3)
		default:
			v.lost(fmt.Sprintf("%.60q for all accounts without options: give it to the accounts themselves", option))
		}
	}
	v.notNeeded("empty")
}

func (r *run) insecure(v value, s *server) {
	r.per(s, "disable_plaintext_auth", "yes", from(v))
	v.carried("protocol "+s.protocol+" { disable_plaintext_auth }", "accounts with options of their own could be exempt in Courier")
}

// modules makes a passdb and a userdb of each module, in Courier's order: each tries on when one does not know a name or
// its password.
func (r *run) modules(list, original value) {
	names := strings.Fields(list.text)
	if len(names) == 0 {
		list.lost("no modules: set passdb and userdb by hand")
		if list.Setting == nil {
			r.problem("authdaemonrc", 0, "no authmodulelist: set passdb and userdb by hand")
		}
		return
	}
	for _, name := range names {
		make := map[string]func(value){"authuserdb": r.userdb, "authpam": r.pam, "authpwd": r.passwd, "authshadow": r.shadow,
			"authvchkpw": r.vpopmail, "authmysql": r.mysql, "authpgsql": r.pgsql, "authsqlite": r.sqlite, "authldap": r.ldap}[name]
		switch {
		case make != nil:
			make(list)
		case name == "authpipe" && !r.exists("authProg"):
			list.notNeeded("authpipe without authProg does nothing")
		case name == "authcustom" && original.text == list.text:
			list.notNeeded("nobody has chosen authcustom: all modules are listed")
		default:
			list.lost(fmt.Sprintf("the module %s has no counterpart", printable(name)))
		}
	}
	for _, file := range []string{"authmysqlrc", "authpgsqlrc", "authsqliterc", "authldaprc"} {
		if name := strings.TrimSuffix(file, "rc"); !slices.Contains(names, name) {
			for _, s := range r.fields[file] {
				s.become(NotNeeded, "", "the module "+name+" is not in authmodulelist")
			}
		}
	}
	if !slices.Contains(names, "authldap") {
		r.each("LDAPTLS_", func(v value) { v.notNeeded("the module authldap is not in authmodulelist") })
	}
}

func (r *run) exists(name string) bool {
	_, err := os.Stat(filepath.Join(r.Courier.dir, name))
	return err == nil
}

// each calls do for the settings of authdaemonrc with this prefix.
func (r *run) each(prefix string, do func(value)) {
	for _, s := range r.auth {
		if strings.HasPrefix(s.Name, prefix) && s.unknown == "" {
			do(value{s, s.Value})
		}
	}
}

// database adds one passdb, held to the networks that Courier allowed.
func (r *run) database(driver, args string, notes ...string) *block {
	p := r.top.block("passdb")
	p.notes = notes
	p.set("driver", driver)
	if args != "" {
		p.set("args", args)
	}
	if len(r.nets) > 0 {
		var list []string
		for _, n := range r.nets {
			list = append(list, n.String())
		}
		p.set("default_fields", "allow_nets="+strings.Join(list, ","), from(r.netsOf))
		r.netsOf.carried("passdb { default_fields = allow_nets }", "Courier closed the connection, Dovecot refuses the login: a firewall can do the first")
	}
	return p
}

func (r *run) lookup(driver, args string) *block {
	u := r.top.block("userdb")
	u.set("driver", driver)
	if args != "" {
		u.set("args", args)
	}
	return u
}

// passwdFile is the database of accounts that "dovetail accounts" makes, with the lists beside it: other names of
// domains, and who may not use a service.
func (r *run) passwdFile(list value, module, source, file string) {
	path := filepath.Join(r.dir, file)
	arg := func(format, suffix string) string { return "username_format=" + format + " " + percent(path) + suffix }
	other := r.top.block("passdb")
	other.notes = []string{module + " (" + from(list) + "). The files come from: dovetail accounts " + source + " passwd-file:" + path}
	other.set("driver", "passwd-file")
	other.set("args", quoted(arg("%d", ".domains")), "other names of domains")
	deny := r.top.block("passdb")
	deny.set("driver", "passwd-file")
	deny.set("args", quoted(arg("%u", ".deny-%s")), "accounts with disableimap, disablepop3 and the like")
	deny.set("deny", "yes")
	r.database("passwd-file", quoted("scheme=CRYPT "+arg("%u", "")))
	r.lookup("passwd-file", quoted(arg("%d", ".domains"))).set("result_success", "continue")
	r.lookup("passwd-file", quoted(arg("%u", "")))
	r.hint("%s: make its accounts with: dovetail accounts %s passwd-file:%s", module, source, path)
	list.carried("passdb { driver = passwd-file }", "")
}

func (r *run) userdb(list value) {
	if used, _ := r.inUse(filepath.Join(r.Courier.dir, "userdb"), 1); !used && !isDir(filepath.Join(r.Courier.dir, "userdb")) {
		list.notNeeded("authuserdb without a userdb does nothing")
		return
	}
	path := filepath.Join(absolute(r.Courier.dir), "userdb")
	r.passwdFile(list, "authuserdb", "userdb:"+path, "users.userdb")
	if r.capitals(path) {
		r.top.set("auth_username_format", "%u", "names in userdb have capital letters, which count there")
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// capitals tells whether a name in userdb has capital letters.
func (r *run) capitals(path string) bool {
	files := []string{path}
	if isDir(path) {
		entries, err := os.ReadDir(path)
		if err != nil {
			r.problem("userdb", 0, "cannot be read: %v", err)
		}
		files = nil
		for _, e := range entries {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	for _, file := range files {
		text, err := readRegular(file)
		if err != nil {
			continue // what is no file belongs to the accounts, which are read by another verb
		}
		for line := range strings.Lines(string(text)) {
			if name, _, ok := strings.Cut(line, "\t"); ok && name[:min(1, len(name))] != "#" && strings.ToLower(name) != name {
				return true
			}
		}
	}
	return false
}

func (r *run) vpopmail(list value) {
	r.passwdFile(list, "authvchkpw", "vpopmail:"+r.home("vpopmail", "/home/vpopmail"), "users.vpopmail")
}

// home gives the home of a user by the passwd file beside the directory of the settings, which is that of the same system.
func (r *run) home(user, usual string) string {
	text, err := readRegular(filepath.Join(r.Courier.dir, "..", "passwd"))
	if err != nil {
		return usual
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Split(line, ":"); len(fields) == 7 && fields[0] == user && filePath(fields[5]) {
			return fields[5]
		}
	}
	return usual
}

// pam asks for the services that Courier asked for: imap and pop3, which is what Dovecot calls them.
func (r *run) pam(list value) {
	r.database("pam", "%s", "authpam: "+from(list)+". Needs /etc/pam.d/imap and /etc/pam.d/pop3, which may have come with Courier's packages")
	r.lookup("passwd", "")
	list.carried("passdb { driver = pam }", "")
}

func (r *run) passwd(list value) {
	r.database("passwd", "", "authpwd: "+from(list))
	r.lookup("passwd", "")
	list.carried("passdb { driver = passwd }", "")
}

func (r *run) shadow(list value) {
	r.database("shadow", "", "authshadow: "+from(list))
	r.lookup("passwd", "")
	list.carried("passdb { driver = shadow }", "")
}

// services looks at AUTHSERVICE143 and the like, which only PAM and custom queries know.
func (r *run) services() {
	for _, s := range r.settings {
		port, is := strings.CutPrefix(s.Name, "AUTHSERVICE")
		if !is || s.unknown != "" {
			continue
		}
		v := value{s, s.Value}
		if usual := strings.TrimSuffix(strings.TrimSuffix(s.File, "-ssl"), "d"); s.Value == usual {
			v.carried("passdb { args = %s }", "")
			continue
		}
		v.lost(fmt.Sprintf("Dovecot asks for the service imap or pop3 on every port, not %q on port %.10s", s.Value, port))
	}
}

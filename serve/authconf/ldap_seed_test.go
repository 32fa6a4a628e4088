package authconf

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/formats/formatstest/dovecot"
)

// mailSchema is what a site has added for its mail accounts.
const mailSchema = `attributetype ( 1.3.6.1.4.1.99999.1.1 NAME 'mailAlias' EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
attributetype ( 1.3.6.1.4.1.99999.1.2 NAME 'quotaBytes' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.99999.2.1 NAME 'mailAccount' SUP top AUXILIARY MUST ( mail $ userPassword ) MAY ( mailAlias $ quotaBytes $ homeDirectory ) )
`

// mailAccounts are entries for it; the service is cn=reader with the password "secret".
func mailAccounts() string {
	account := func(name string, more ...string) string {
		return "dn: mail=" + name + "@example.com,ou=mail,dc=example,dc=com\nobjectClass: inetOrgPerson\nobjectClass: mailAccount\ncn: " + name + "\nsn: x\nmail: " +
			name + "@example.com\nuserPassword: " + ssha(name+"pass") + "\n" + strings.Join(more, "\n") + "\n\n"
	}
	return "dn: cn=reader,dc=example,dc=com\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\nuserPassword: " + ssha("secret") + "\n\n" +
		"dn: ou=mail,dc=example,dc=com\nobjectClass: organizationalUnit\n\n" +
		account("carol", "mailAlias: c@example.com", "quotaBytes: 1000000", "homeDirectory: /srv/carol") + account("dave")
}

// seed makes a site of a configuration as operators have it. The server's name is this slapd's, users have numbers instead
// of the name vmail, and clients do without TLS.
func seed(t *testing.T, name string, s *authtest.Slapd, ca *authtest.Authority) *site {
	t.Helper()
	files := map[string]string{}
	for _, file := range []string{name, name + ".ext"} {
		b, err := os.ReadFile(filepath.Join("../config/testdata/configs", file))
		if errors.Is(err, os.ErrNotExist) && file != name {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		files[file] = strings.NewReplacer("@ROOT@", "DIR", "ldaps://LDAP-srv.example.com", s.LDAPS, "ldap://LDAP-srv.example.com", s.URI, "ldap://127.0.0.1", s.URI,
			"=vmail", "=65534", "= vmail", "= 65534", "protocols = imap pop3 lmtp", "protocols = imap pop3", "protocols = imap lmtp", "protocols = imap pop3").Replace(string(b))
	}
	if ext := files[name+".ext"]; strings.Contains(ext, "tls_require_cert") {
		files[name+".ext"] = ext + "tls_ca_cert_file = " + ca.File + "\n"
	}
	conf := files[name] + "ssl = no\nauth_failure_delay = 0\nfirst_valid_uid = 1\n"
	if strings.HasPrefix(conf, "dovecot_config_version") {
		conf += "auth_internal_failure_delay = 0\nssl_client_ca_file = " + ca.File + "\n"
	} else {
		conf += "disable_plaintext_auth = no\n"
	}
	delete(files, name)
	for _, file := range []string{"server.crt", "server.key", "ca.crt", "dh.pem"} {
		files["tls/"+file] = "not of use without TLS\n"
	}
	return newSite(t, conf, files)
}

func TestR179ConfigurationsAsOperatorsHaveThem(t *testing.T) {
	ca := authtest.NewAuthority(t)
	cert, key := ca.Issue(t, "localhost", "localhost", "127.0.0.1")
	s := slapd(t, authtest.SlapdOptions{Cert: cert, Key: key, Schema: mailSchema, LDIF: mailAccounts(),
		Rights: `access to attrs=userPassword by dn.base="cn=reader,dc=example,dc=com" read by anonymous auth by * none`})
	const ok, no, temporary = "ok", "failed", "failed temp_fail"
	for _, c := range []struct {
		name   string
		logins map[[2]string]string
		users  map[string]string // what they get
	}{
		{"rhel-ldap-dnlookup.conf", map[[2]string]string{{"alice", "apass"}: ok + " user=alice", {"alice", "no"}: no, {"alice", ""}: no, {"bob", "bpass"}: no, {"dup", "dpass"}: temporary, {"nosuch", "x"}: no},
			map[string]string{"alice": "ok gid=65534 home=DIR/mail/alice/ uid=65534", "bare": "failed", "bob": "failed"}},
		{"rhel-ldap-template.conf", map[[2]string]string{{"alice", "apass"}: ok + " user=alice", {"alice", "no"}: no, {"alice", ""}: no, {"bob", "bpass"}: no, {"nosuch", "x"}: no},
			map[string]string{"alice": "ok gid=65534 home=DIR/mail/alice/ uid=65534"}},
		{"rhel-ldap-24.conf", map[[2]string]string{{"alice", "apass"}: ok + " user=alice", {"alice", "no"}: no, {"alice", ""}: no, {"bob", "bpass"}: no, {"dup", "dpass"}: temporary, {"nosuch", "x"}: no},
			map[string]string{"alice": "ok gid=65534 home=DIR/mail/alice/ uid=65534", "bob": "failed"}},
		{"ldap-directory.conf", map[[2]string]string{{"carol@example.com", "carolpass"}: ok + " user=carol@example.com", {"C@example.com", "carolpass"}: ok + " user=carol@example.com", {"dave@example.com", "davepass"}: ok + " user=dave@example.com", {"dave@example.com", "no"}: no, {"*@example.com", "davepass"}: no},
			map[string]string{"carol@example.com": "ok gid=65534 home=/srv/carol mail=maildir:~/Maildir quota_rule=*:bytes=1000000 uid=65534",
				"dave@example.com": "ok gid=65534 home=DIR/vmail/example.com/dave mail=maildir:~/Maildir uid=65534"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := &both{t: t, site: seed(t, c.name, s, ca)}
			b.ours = b.site.must()
			judged := !strings.Contains(c.name, "-24")
			if judged {
				b.start()
			}
			for who, want := range c.logins {
				ours := b.ourLogin(who[0], who[1])
				if ours = strings.Split(ours, " userdb_")[0]; ours != want {
					t.Errorf("login of %q: got %q, want %q\n%s", who, ours, want, b.site.log.String())
				}
				if judged {
					b.same(who[0], who[1])
				}
			}
			for name, want := range c.users {
				if ours := b.ourUser(name); ours != strings.ReplaceAll(want, "DIR", b.site.dir) {
					t.Errorf("lookup of %s: got %q, want %q\n%s", name, ours, want, b.site.log.String())
				}
				if judged && !strings.HasPrefix(c.name, "ldap-directory") { // doveadm prints mail_location where a user has none
					b.same(name)
				}
			}
			if strings.Contains(b.site.log.String(), "pass") && strings.Contains(b.site.log.String(), "apass") {
				t.Error("a password is in the log")
			}
		})
	}
}

func TestR183AuthLDAPIsIncludedInPlaceOfAuthSystem(t *testing.T) {
	s := slapd(t, authtest.SlapdOptions{})
	site := newSite(t, "!include conf.d/*.conf\n", map[string]string{
		"conf.d/10-auth.conf":           ldapConf + "#!include auth-system.conf.ext\n!include auth-ldap.conf.ext\n",
		"conf.d/auth-system.conf.ext":   "passdb {\n  driver = pam\n}\nuserdb {\n  driver = passwd\n}\n",
		"conf.d/auth-ldap.conf.ext":     "passdb {\n  driver = ldap\n  args = DIR/dovecot-ldap.conf.ext\n}\nuserdb {\n  driver = ldap\n  args = DIR/dovecot-ldap.conf.ext\n}\n",
		"dovecot-ldap.conf.ext":         "uris = " + s.URI + "\n" + serviceLines + "auth_bind = yes\n",
		"conf.d/10-mail.conf":           "mail_location = maildir:~/Maildir\n",
		"conf.d/auth-sql.conf.ext":      "passdb {\n  driver = sql\n  args = /no/such/file\n}\n",
		"conf.d/auth-passwdfile.conf.x": "nonsense\n",
	})
	b := &both{t: t, site: site, ours: site.must()}
	b.start()
	b.same("alice", "apass", "no")
	b.same("alice")
	b.same("root", "x") // whom only the system knows
}

func TestR184OverridesMakeAttributesUnnecessary(t *testing.T) {
	s := slapd(t, authtest.SlapdOptions{})
	chain := strings.Replace(ldapChain, "args = DIR/ldap.conf.ext\n}\nuserdb", "args = DIR/ldap.conf.ext\n  override_fields = pool=%n\n}\nuserdb", 1)
	chain = strings.TrimSuffix(chain, "}\n") + "  default_fields = class=none\n  override_fields = uid=8 gid=8 home=/srv/%n\n}\n"
	b := besideDovecot(t, "uris = "+s.URI+"\n"+serviceLines+"auth_bind = yes\npass_filter = (uid=%n)\nuser_filter = (uid=%n)\n", chain)
	b.same("bare")
	b.same("bare", "barepass", "no")
	b.same("alice")
	if got, want := b.ourUser("bare"), "ok class=none gid=8 home=/srv/bare uid=8"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestR197ListingsAreAsBesideRealDovecot(t *testing.T) {
	s := slapd(t, authtest.SlapdOptions{})
	for _, iterate := range []string{"", "iterate_attrs = cn=user\n", "iterate_attrs = mail=user, uid=other\n", "iterate_filter = (uid=a*)\n", "iterate_attrs = =user=<%{ldap:uid}>\n"} {
		b := besideDovecot(t, "uris = "+s.URI+"\n"+serviceLines+iterate)
		var ours []string
		for name, err := range b.ours.Users(context.Background(), auth.Request{Service: "doveadm"}) {
			if err != nil {
				t.Fatal(err)
			}
			ours = append(ours, name)
		}
		out, err := exec.Command("doveadm", "-c", b.theirs.Config(), "user", "*").Output()
		theirs := strings.Split(strings.TrimSpace(string(out)), "\n")
		if iterate != "" { // with another filter the server has another order for pages
			slices.Sort(ours)
			slices.Sort(theirs)
		}
		if err != nil || !slices.Equal(ours, theirs) || len(ours) < 2 {
			t.Errorf("%s ours %q, theirs %q, %v\n%s", iterate, ours, theirs, err, b.theirs.Log())
		}
	}
}

func TestWhatIsWrongWithAFileIsSaid(t *testing.T) {
	ext := func(text string) map[string]string { return map[string]string{"ldap.conf.ext": text} }
	const uri = "uris = ldap://127.0.0.1:1\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"R-195 no base", ext(uri), []string{"LDAP DIR/ldap.conf.ext: No base given"}},
		{"no server", ext("base = dc=x\n"), []string{"dovecot.conf:9: passdb ldap: ", "No uris or hosts set"}},
		{"a setting that does not exist", ext(uri + "base = dc=x\nbases = y\n"), []string{"ldap.conf.ext", "Unknown setting: bases"}},
		{"no setting", ext("what\n"), []string{"ldap.conf.ext"}},
		{"R-196 no file", nil, []string{"DIR/ldap.conf.ext"}},
		{"an unknown scope", ext(uri + "base = dc=x\nscope = all\n"), []string{"Unknown scope option 'all'"}},
		{"an unknown deref", ext(uri + "base = dc=x\nderef = all\n"), []string{"Unknown deref option 'all'"}},
		{"R-194 an unknown check of certificates", ext(uri + "base = dc=x\ntls_require_cert = maybe\n"), []string{"Unknown tls_require_cert value 'maybe'"}},
		{"TLS twice", ext("uris = ldaps://x\nbase = dc=x\ntls = yes\n"), []string{"Don't use both tls=yes and ldaps URI"}},
		{"no address", ext("uris = ldap.example.com\nbase = dc=x\n"), []string{"ldap.example.com is no address of a directory"}},
		{"a mechanism that is not there", ext(uri + "base = dc=x\nsasl_bind = yes\nsasl_mech = GSSAPI\n"), []string{"SASL mechanism GSSAPI", "use EXTERNAL"}},
		{"an old version with TLS", ext("uris = ldap://x\nbase = dc=x\nldap_version = 2\ntls = yes\n"), []string{"tls=yes require ldap_version=3"}},
		{"a filter that does not end", ext(uri + "base = dc=x\npass_filter = (uid=%u\n"), []string{"no filter", "(uid=x"}},
		{"no such authority", ext(uri + "base = dc=x\ntls_ca_cert_file = DIR/none\n"), []string{"DIR/none"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, ldapConf+ldapChain, c.files)
			service, err := s.build()
			if err == nil {
				service.Close()
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if want = strings.ReplaceAll(want, "DIR", s.dir); !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}

func TestWhatIsMissingIn24IsSaid(t *testing.T) {
	const head = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\nldap_uris = ldap://127.0.0.1:1\n"
	for want, text := range map[string]string{
		"No ldap_base given":              head + "passdb ldap {\n  filter = (uid=%{user})\n}\n",
		"No filter given":                 head + "ldap_base = dc=x\npassdb ldap {\n  bind = yes\n  bind_userdn = uid=%{user},dc=x\n}\n",
		"userdb ldap: No filter given":    head + "ldap_base = dc=x\npassdb static {\n  password = x\n}\nuserdb ldap {\n}\n",
		"SASL mechanism gssapi":           head + "ldap_auth_sasl_mechanisms = gssapi\nldap_base = dc=x\npassdb ldap {\n  filter = (uid=%{user})\n}\n",
		"passdb ldap: no filter, with x ": head + "ldap_base = dc=x\npassdb ldap {\n  filter = (uid=%{user}\n}\n",
	} {
		service, err := newSite(t, text, nil).build()
		if err == nil {
			service.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestSettingsThatMeanNothingHereAreAccepted(t *testing.T) {
	s := slapd(t, authtest.SlapdOptions{})
	site := newSite(t, ldapConf+ldapChain, map[string]string{"ldap.conf.ext": "hosts = " + strings.TrimPrefix(s.URI, "ldap://") + "\n" + serviceLines +
		"debug_level = 1\nldaprc_path = /etc/ldaprc\nblocking = yes\nuserdb_warning_disable = yes\nldap_version = 3\ntls_cipher_suite = NORMAL\nsasl_bind = no\nauth_bind = yes\n"})
	if reply := site.must().Login(context.Background(), auth.Request{Service: "imap"}, "alice", "apass"); !reply.OK {
		t.Errorf("%+v\n%s", reply, site.log.String())
	}
}

func TestR196AFileForRootAloneIsReadByRootAlone(t *testing.T) {
	site := newSite(t, ldapConf+ldapChain, map[string]string{"ldap.conf.ext": "uris = ldap://127.0.0.1:1\nbase = dc=x\n"})
	file := filepath.Join(site.dir, "ldap.conf.ext")
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if _, err := site.build(); err != nil {
			t.Errorf("by root: %v", err)
		}
		return
	}
	if err := os.Chmod(file, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := site.build(); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "start as root") {
		t.Errorf("by another user: %v", err)
	}
}

// start starts real Dovecot with the configuration of the site.
func (b *both) start() {
	b.t.Helper()
	needLDAP(b.t)
	b.theirs = dovecot.ServeConf(b.t, b.site.conf)
	b.awaitGreeting()
}

package authconf

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/formats/formatstest/dovecot"
)

// ssha stores a password as directories do.
func ssha(password string) string {
	const salt = "salt"
	sum := sha1.Sum([]byte(password + salt))
	return "{SSHA}" + base64.StdEncoding.EncodeToString(append(sum[:], salt...))
}

func person(dn, uid, password string, number int, more ...string) string {
	return fmt.Sprintf("dn: %s\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nsn: x\nuid: %s\nuidNumber: %d\ngidNumber: %d\nhomeDirectory: /home/%s\nuserPassword: %s\n%s\n\n",
		dn, uid, number, number, uid, password, strings.Join(more, "\n"))
}

// directory is that of a site whose service is cn=dovecot_LDAP with the password "password".
func directory() string {
	const base = "ou=People,dc=example,dc=com"
	return "dn: cn=dovecot_LDAP,dc=example,dc=com\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\nuserPassword: " + ssha("password") + "\n\n" +
		"dn: " + base + "\nobjectClass: organizationalUnit\n\n" +
		"dn: ou=Sub," + base + "\nobjectClass: organizationalUnit\n\n" +
		person("cn=alice,"+base, "alice", ssha("apass"), 1001, "cn: alice", "mail: alice@example.com", "mail: second@example.com",
			"displayName:: w6RiYwk=", "manager: cn=boss,"+base, "description: title", "title: The Title") +
		person("cn=bob,ou=Sub,"+base, "bob", ssha("bpass"), 1002, "cn: bob") +
		person("cn=dup1,"+base, "dup", ssha("dpass"), 1003, "cn: dup1") +
		person("cn=dup2,"+base, "dup", ssha("dpass"), 1004, "cn: dup2") +
		person("cn=boss,"+base, "boss", ssha("opass"), 1005, "cn: boss", "departmentNumber: chief") +
		person(`cn=Jürgen\, the \22great\22,`+base, "jürgen", ssha("jpass"), 1006, `cn: Jürgen, the "great"`) +
		person("cn=a*b,"+base, "a*b", ssha("starpass"), 1007, "cn: a*b") +
		person("cn=o'brien,"+base, "o'brien", ssha("obpass"), 1008, "cn: o'brien") +
		person("cn=axb,"+base, "axb", "{PLAIN}xpass", 1009, "cn: axb") +
		person("cn=two,"+base, "two", ssha("first"), 1010, "cn: two", "userPassword: "+ssha("second")) +
		person("cn=bin,"+base, "bin", "{PLAIN}x", 1011, "cn: bin", "employeeType:: w6RiYwk=") +
		"dn: cn=bare," + base + "\nobjectClass: inetOrgPerson\nsn: x\ncn: bare\nuid: bare\nuserPassword: " + ssha("barepass") + "\n\n"
}

// slapd starts a server with that directory. The service reads passwords.
func slapd(t testing.TB, o authtest.SlapdOptions) *authtest.Slapd {
	t.Helper()
	o.LDIF = directory() + o.LDIF
	o.Rights = cmp.Or(o.Rights, `access to attrs=userPassword by dn.base="cn=dovecot_LDAP,dc=example,dc=com" write by anonymous auth by * none`)
	return authtest.StartSlapd(t, o)
}

// both are the same configuration in this program and in real Dovecot.
type both struct {
	t      testing.TB
	site   *site
	ours   *auth.Service
	theirs *dovecot.Daemon
}

const ldapConf = `protocols = imap pop3
ssl = no
disable_plaintext_auth = no
auth_username_chars =
auth_failure_delay = 0
auth_verbose = yes
first_valid_uid = 1
mail_location = maildir:~/Maildir
`

const ldapChain = `passdb {
  driver = ldap
  args = DIR/ldap.conf.ext
}
userdb {
  driver = ldap
  args = DIR/ldap.conf.ext
}
`

// besideDovecot starts both with an external file; more are further settings in place of the usual chain.
func besideDovecot(t testing.TB, ext string, more ...string) *both {
	t.Helper()
	chain := ldapChain
	if len(more) > 0 {
		chain = strings.Join(more, "\n")
	}
	b := &both{t: t, site: newSite(t, ldapConf+chain, map[string]string{"ldap.conf.ext": ext})}
	b.ours = b.site.must()
	b.start()
	return b
}

// awaitGreeting waits until Dovecot can be asked.
func (b *both) awaitGreeting() {
	t := b.t
	t.Helper()
	conn, err := net.Dial("tcp", b.theirs.POPAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if greeting, err := bufio.NewReader(conn).ReadString('\n'); !strings.HasPrefix(greeting, "+OK") {
		t.Fatalf("Dovecot greets with %q, %v\n%s", greeting, err, b.theirs.Log())
	}
}

// needLDAP skips the test where Dovecot has no driver for directories.
func needLDAP(t testing.TB) {
	t.Helper()
	dovecot.Need(t)
	for _, path := range []string{"/usr/lib/dovecot/modules/auth/libauthdb_ldap.so", "/usr/lib64/dovecot/auth/libauthdb_ldap.so"} {
		if _, err := os.Stat(path); err == nil {
			return
		}
	}
	t.Skip("Dovecot's driver for directories is not installed (apt-get install dovecot-ldap)")
}

// outcome writes a login in one way for both.
func outcome(ok bool, code string, fields []string) string {
	slices.Sort(fields)
	kind := "failed"
	if ok {
		kind = "ok"
	}
	if code != "" {
		kind += " " + code
	}
	return strings.TrimSpace(kind + " " + strings.Join(fields, " "))
}

// login gives what both say to a name and a password, as an IMAP client sends them.
func (b *both) login(user, password string) (ours, theirs string) {
	b.t.Helper()
	return b.ourLogin(user, password), b.doveadmLogin(user, password)
}

func (b *both) ourLogin(user, password string) string {
	reply := b.ours.Login(context.Background(), auth.Request{Service: "imap"}, user, password)
	var fields []string
	if reply.OK {
		fields = append(fields, "user="+reply.User)
		for _, f := range reply.Fields.Without("user", "original_user") {
			fields = append(fields, f.Key+"="+f.Value)
		}
	}
	return outcome(reply.OK, string(reply.Code), fields)
}

func (b *both) doveadmLogin(user, password string) string {
	b.t.Helper()
	out, _ := exec.Command("doveadm", "-c", b.theirs.Config(), "auth", "test", "-x", "service=imap", user, password).CombinedOutput()
	var fields []string
	code := ""
	for line := range strings.Lines(string(out)) {
		line, isField := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "  ")
		key, value, _ := strings.Cut(line, "=")
		switch {
		case !isField || key == "" || key == "original_user":
		case key == "code":
			code = value
		default:
			fields = append(fields, key+"="+value)
		}
	}
	ok := strings.Contains(string(out), "auth succeeded")
	if !ok {
		fields = nil
	}
	return outcome(ok, code, fields)
}

// user gives what both say to a userdb lookup.
func (b *both) user(name string) (ours, theirs string) {
	b.t.Helper()
	return b.ourUser(name), b.doveadmUser(name)
}

func (b *both) ourUser(name string) string {
	user, err := b.ours.User(context.Background(), auth.Request{Service: "doveadm"}, name)
	var fields []string
	if err == nil {
		for _, f := range user.Fields.Without("user") {
			fields = append(fields, f.Key+"="+f.Value)
		}
	}
	return outcome(err == nil, "", fields)
}

func (b *both) doveadmUser(name string) string {
	b.t.Helper()
	out, err := exec.Command("doveadm", "-c", b.theirs.Config(), "user", name).Output()
	var fields []string
	if err == nil {
		for line := range strings.Lines(string(out)) {
			key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if ok && key != "field" && !(value == "" && slices.Contains([]string{"uid", "gid", "home", "mail"}, key)) && key != "user" && !(key == "mail" && (value == "maildir:~/Maildir" || strings.HasPrefix(value, "sdbox:"))) {
				fields = append(fields, key+"="+value)
			}
		}
	}
	return outcome(err == nil, "", fields)
}

// same demands that both say the same to a login, or to a lookup where there is no password.
func (b *both) same(user string, passwords ...string) {
	b.t.Helper()
	for _, password := range passwords {
		if ours, theirs := b.login(user, password); ours != theirs {
			b.t.Errorf("login of %q with %q:\nours   %s\ntheirs %s\n%s\n%s", user, password, ours, theirs, b.theirs.Log(), b.site.log.String())
		}
	}
	if len(passwords) == 0 {
		if ours, theirs := b.user(user); ours != theirs {
			b.t.Errorf("lookup of %q:\nours   %s\ntheirs %s\n%s\n%s", user, ours, theirs, b.theirs.Log(), b.site.log.String())
		}
	}
}

const serviceLines = "dn = cn=dovecot_LDAP,dc=example,dc=com\ndnpass = password\nbase = ou=People,dc=example,dc=com\n"

// passwords of the directory, by user; all others have none.
var passwords = map[string]string{"alice": "apass", "ALICE": "apass", "bob": "bpass", "dup": "dpass", "jürgen": "jpass", "a*b": "starpass", "o'brien": "obpass",
	"axb": "xpass", "two": "second", "bin": "x", "bare": "barepass"}

func TestLoginsAndLookupsAreAsBesideRealDovecot(t *testing.T) {
	s := slapd(t, authtest.SlapdOptions{})
	for _, c := range []struct{ name, ext string }{
		{"searched and compared", serviceLines + "default_pass_scheme = SSHA\n"},
		{"searched and bound", serviceLines + "auth_bind = yes\nscope = onelevel\n"},
		{"bound at once", "base = ou=People,dc=example,dc=com\nauth_bind = yes\nauth_bind_userdn = cn=%u,ou=People,dc=example,dc=com\n"},
		{"a base that is not there", strings.Replace(serviceLines, "People", "Nobody", 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := besideDovecot(t, "uris = "+s.URI+"\n"+c.ext)
			for _, name := range []string{"alice", "ALICE", "bob", "dup", "nosuch", "jürgen", "a*b", ")(uid=*", "o'brien", "two"} {
				b.same(name, passwords[name])
				if !strings.Contains(name, "*") { // doveadm user takes that for a mask
					b.same(name)
				}
			}
			b.same("alice", "wrong", "")
			b.same("two", "first")
			b.same("a*b", "xpass")
		})
	}
}

func TestFieldsAreAsBesideRealDovecot(t *testing.T) {
	s := slapd(t, authtest.SlapdOptions{})
	for _, c := range []struct{ name, user, pass string }{
		{"attributes, texts and constants", "homeDirectory=home, uidNumber=uid, gidNumber=gid, uid=a1=pre-%$-post, uid=a2=prefix, =a3=constant, uid=a4=/h/%u, =a5=", ""},
		{"attributes that are not there", "homeDirectory=home, nosuch=b1, nosuch=b2=x%$, nosuch=b3=/h/%u, =b4=x%{ldap:nosuch}y, =b5=%{ldap:nosuch:fallback}, uid=b6=%{ldap:nosuch:}-%$", ""},
		{"names of attributes in another case", "HOMEdirectory=home, UIDNUMBER=uid, =c1=%{ldap:HomeDirectory}", ""},
		{"several values", "mail=d1, mail=d2=<%$>, =d3=%{ldap:mail}, gidNumber=gid, uidNumber=uid", ""},
		{"another entry", "@m=%{ldap:manager}, departmentNumber@m=e1, =e2=%{ldap:departmentNumber@m}, uid=e3, !title, =e4=%{ldap_ptr:description}", ""},
		{"a name that points nowhere", "@m=cn=%{ldap:uid}\\,dc=example, departmentNumber@m=f1, uid=f2", ""},
		{"modifiers", "uid=g1=%Uu-%L$, =g2=%5.5{ldap:homeDirectory}, =g3=%d/%n, =g4=%M{ldap:uid}", ""},
		{"what 2.4 has no words for", "uid=m1=%Hu, nosuch=m2=%Hu, =m3=%{ldap:nosuch}%Hu, uid=m4=%Hu%$, nosuch=m5=%Hu%$, uid=m6=%Hu%{ldap:nosuch:d}", ""},
		{"a variable in the name of a field", "=h1%n=x, =%{ldap:uid}=y", ""},
		{"a name of the entry alone", "uid, homeDirectory", ""},
		{"a new name", "mail=user, =i1=%u, homeDirectory=home", "mail=user, userPassword=password"},
		{"of a passdb", "homeDirectory=home", "uid=user, userPassword=password, homeDirectory=userdb_home, =userdb_uid=5000, =k1=%{ldap:uid}, mail=k2=%$, nosuch=k3, =k4=%{ldap:nosuch}"},
		{"a password of another attribute", "homeDirectory=home", "description=password={PLAIN}%$"},
		{"no password", "homeDirectory=home", "uid=user"},
		{"no password is needed", "homeDirectory=home", "uid=user, =nopassword=y"},
		{"more than ASCII", "displayName=l1, cn=l2", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ext := "uris = " + s.URI + "\n" + serviceLines + "user_attrs = " + c.user + "\n"
			if c.pass != "" {
				ext += "pass_attrs = " + c.pass + "\n"
			}
			b := besideDovecot(t, ext)
			for _, name := range []string{"alice", "bare"} {
				b.same(name)
				if c.pass != "" {
					b.same(name, passwords[name], "title")
				}
			}
		})
	}
}

// What is asked is for auth_debug, as with SQL.
func TestSearchesAreLoggedWithAuthDebugAlone(t *testing.T) {
	for _, debug := range []bool{false, true} {
		conf := "auth_failure_delay = 0\nauth_verbose = yes\npassdb {\n driver = ldap\n args = DIR/ldap\n}\n"
		if debug {
			conf = "auth_debug = yes\n" + conf
		}
		s := newSite(t, conf, map[string]string{"ldap": "uris = ldap://127.0.0.1:1\nbase = dc=example\n"})
		if reply := s.must().Login(context.Background(), auth.Request{Service: "imap"}, "ann", "x"); reply.Code != auth.CodeTempFail {
			t.Errorf("%+v", reply)
		}
		if got := strings.Contains(s.log.String(), "(uid=ann)"); got != debug || !strings.Contains(s.log.String(), "ERROR: ldap(ann): ") {
			t.Errorf("auth_debug %v: the log has\n%s", debug, s.log.String())
		}
	}
}

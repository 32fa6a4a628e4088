package ldap

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/formats/conf/variable"
)

// ssha stores a password as directories do.
func ssha(password string) string {
	const salt = "salt"
	sum := sha1.Sum([]byte(password + salt))
	return "{SSHA}" + base64.StdEncoding.EncodeToString(append(sum[:], salt...))
}

// person is an entry in LDIF; more are further lines of it.
func person(dn, uid, password string, number int, more ...string) string {
	return fmt.Sprintf("dn: %s\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nsn: x\nuid: %s\nuidNumber: %d\ngidNumber: %d\nhomeDirectory: /home/%s\nuserPassword: %s\n%s\n",
		dn, uid, number, number, uid, ssha(password), strings.Join(more, "\n")) + "\n"
}

const service = "cn=reader,dc=example,dc=com"

// people has users in two places, one name twice, and names that need care.
func people() string {
	const base = "ou=People,dc=example,dc=com"
	return "dn: " + service + "\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\nuserPassword: " + ssha("service") + "\n\n" +
		"dn: " + base + "\nobjectClass: organizationalUnit\n\n" +
		"dn: ou=Sub," + base + "\nobjectClass: organizationalUnit\n\n" +
		person("cn=alice,"+base, "alice", "apass", 1001, "cn: alice", "mail: alice@example.com", "mail: second@example.com",
			"manager: cn=boss,"+base, "description: title", "title: The Title") +
		person("cn=bob,ou=Sub,"+base, "bob", "bpass", 1002, "cn: bob") +
		person("cn=dup1,"+base, "dup", "dpass", 1003, "cn: dup1") +
		person("cn=dup2,"+base, "dup", "dpass", 1004, "cn: dup2") +
		person("cn=boss,"+base, "boss", "opass", 1005, "cn: boss", "departmentNumber: chief") +
		person(`cn=Jürgen\, the \22great\22,`+base, "juergen", "jpass", 1006, `cn: Jürgen, the "great"`) +
		person("cn=a*b,"+base, "a*b", "starpass", 1007, "cn: a*b") +
		person("cn=o'brien,"+base, "o'brien", "obpass", 1008, "cn: o'brien") +
		person("cn=axb,"+base, "axb", "xpass", 1009, "cn: axb")
}

func template(t testing.TB, text string) *variable.Template {
	t.Helper()
	if text == "" {
		return nil
	}
	parsed, err := variable.Parse24(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func open(t testing.TB, s Server) *Directory {
	t.Helper()
	d, err := Open(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// asService is who asks.
func asService(uris ...string) Server {
	return Server{URIs: uris, DN: service, Password: "service"}
}

func options(t testing.TB, d *Directory) Options {
	return Options{Directory: d, Base: template(t, "ou=People,dc=example,dc=com"), Filter: template(t, "(&(objectClass=posixAccount)(uid=%{user}))"),
		IterateFilter: template(t, "(objectClass=posixAccount)"), IterateFields: []Field{{Key: "user", Attribute: "uid"}}}
}

func passdb(t testing.TB, o Options) *PassDB {
	t.Helper()
	p, err := NewPassDB(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func userdb(t testing.TB, o Options) *UserDB {
	t.Helper()
	u, err := NewUserDB(o)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// verdict is the text of an error behind its kind, "" for none.
func verdict(err error) string {
	kind := "temporary"
	switch {
	case err == nil:
		return ""
	case errors.Is(err, auth.ErrUnknown):
		kind = "unknown"
	case errors.Is(err, auth.ErrMismatch):
		kind = "mismatch"
	}
	return kind + ": " + err.Error()
}

func request(user string) *auth.Request { return &auth.Request{User: user, Service: "imap"} }

func TestR180LoginsInBothModes(t *testing.T) {
	s := authtest.StartSlapd(t, authtest.SlapdOptions{LDIF: people()})
	search := options(t, open(t, asService(s.URI)))
	search.Bind = true
	sub := search
	search.Scope = "onelevel"
	direct := options(t, open(t, Server{URIs: []string{s.URI}}))
	direct.Bind, direct.BindDN = true, template(t, "cn=%{user},ou=People,dc=example,dc=com")
	wrong := search
	wrong.Directory = open(t, Server{URIs: []string{s.URI}, DN: service, Password: "no"})
	const mismatch, empty, unknown = "mismatch: Password mismatch (for LDAP bind)", "mismatch: Login attempt with empty password", "unknown: unknown user"
	const several = "temporary: LDAP search returned multiple entries"
	for _, c := range []struct {
		name, user, password string
		o                    Options
		want                 string
	}{
		{"R-189 a right password, after a search", "alice", "apass", search, ""},
		{"R-188 a right password, without a search", "alice", "apass", direct, ""},
		{"a wrong password, after a search", "alice", "nope", search, mismatch},
		{"a wrong password, without a search", "alice", "nope", direct, mismatch},
		{"R-189 an empty password, after a search", "alice", "", search, empty},
		{"an empty password, without a search", "alice", "", direct, empty},
		{"R-182 a user in a sub-tree, onelevel", "bob", "bpass", search, unknown},
		{"R-182 a user in a sub-tree, subtree", "bob", "bpass", sub, ""},
		{"a user in a sub-tree, without a search", "bob", "bpass", direct, mismatch},
		{"R-187 two entries", "dup", "dpass", search, several},
		{"an unknown user, after a search", "nosuch", "x", search, unknown},
		{"an unknown user, without a search", "nosuch", "x", direct, mismatch},
		{"R-185 the service's password is wrong", "alice", "apass", wrong, "temporary: binding failed (dn " + service + "): Invalid credentials"},
		{"the same again, at once", "alice", "nope", wrong, "temporary: binding failed (dn " + service + "): Invalid credentials"},
		{"a distinguished name with commas, quotes and more than ASCII", "juergen", "jpass", search, ""},
		{"the same name, without a search", `Jürgen, the "great"`, "jpass", direct, ""},
		{"a password with NUL", "alice", "apass\x00", search, "mismatch: Login attempt with a NUL byte in the password"},
		{"a password of NUL", "alice", "\x00", direct, "mismatch: Login attempt with a NUL byte in the password"},
		{"a password of a megabyte", "alice", strings.Repeat("x", 1<<20), direct, "mismatch: Login attempt with a password of 1048576 bytes; at most 65536 are sent"},
		{"a name of a megabyte", strings.Repeat("x", 1<<20), "x", search, "unknown: unknown user: with that name filter has 1048611 bytes"},
		{"R-186 a name with a wildcard is a name", "a*b", "starpass", search, ""},
		{"R-186 that name and the password of one that it would match", "a*b", "xpass", search, mismatch},
		{"R-186 a name of a wildcard", "*", "apass", search, unknown},
		{"R-186 a name that would end the filter", ")(uid=*", "apass", search, unknown},
		{"R-186 a name that would begin another", "x)(|(uid=alice", "apass", search, unknown},
		{"a name that would end the distinguished name", "x,ou=People,dc=example,dc=com?", "apass", direct, mismatch},
		{"a name with a quote", "o'brien", "obpass", search, ""},
		{"the same name, without a search", "o'brien", "obpass", direct, ""},
		{"a name with NUL", "alice\x00", "apass", search, unknown},
		{"a name of nothing, without a search", "", "apass", direct, "temporary: ldap_bind() failed: Invalid DN Syntax, invalid DN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := passdb(t, c.o).Verify(t.Context(), request(c.user), c.password)
			if got := verdict(err); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestFieldsOfAnEntry(t *testing.T) {
	s := authtest.StartSlapd(t, authtest.SlapdOptions{LDIF: people()})
	d := open(t, asService(s.URI))
	pointing := []Field{{Key: "@m", Attribute: "manager"}, {Key: "!title", Attribute: "title"}}
	for _, c := range []struct {
		name   string
		strict bool
		fields []Field
		want   string
	}{
		{"an attribute", false, []Field{{Key: "home", Attribute: "homeDirectory"}}, "home=/home/alice"},
		{"its name in another case", false, []Field{{Key: "home", Attribute: "HOMEDIRECTORY"}, {Key: "h2", Value: template(t, "%{ldap:homedirectory}")}}, "home=/home/alice h2=/home/alice"},
		{"a text with it", false, []Field{{Key: "quota", Value: template(t, "*:%{ldap:uidNumber}M")}}, "quota=*:1001M"},
		{"a constant", false, []Field{{Key: "uid", Value: template(t, "vmail")}}, "uid=vmail"},
		{"none, in 2.3", false, []Field{{Key: "a", Attribute: "nosuch"}, {Key: "b", Value: template(t, "x%{ldap:nosuch}")}, {Key: "c", Value: template(t, "x%{ldap:nosuch | default}")}}, "c=x"},
		{"none, in 2.4", true, []Field{{Key: "a", Value: template(t, "x%{ldap:nosuch}")}}, "temporary: Failed to expand a: No such attribute 'nosuch'"},
		{"a default, in 2.4", true, []Field{{Key: "a", Value: template(t, "%{ldap:nosuch | default('x')}")}}, "a=x"},
		{"the name of the entry", false, []Field{{Key: "dn", Value: template(t, "%{ldap:dn}")}}, "dn=cn=alice,ou=People,dc=example,dc=com"},
		{"several values: the first", false, []Field{{Key: "mail", Attribute: "mail"}}, "mail=alice@example.com"},
		{"several values of a gid: all", false, []Field{{Key: "gid", Attribute: "mail"}}, "gid=alice@example.com,second@example.com"},
		{"several values as a list", true, []Field{{Key: "mails", Value: template(t, "%{ldap_multi:mail | list}")}}, "mails=alice@example.com,second@example.com"},
		{"of an entry that it points to", false, append(pointing, Field{Key: "chief", Attribute: "departmentNumber@m"}), "chief=chief"},
		{"of an entry that a template names", false, []Field{{Key: "@m", Value: template(t, "cn=%{ldap:description | default('boss') | regexp('title', 'boss')},ou=People,dc=example,dc=com")}, {Key: "chief", Attribute: "departmentNumber@m"}}, "chief=chief"},
		{"a name in such a template stays one value", false, []Field{{Key: "@m", Value: template(t, "cn=%{local_name}")}, {Key: "chief", Attribute: "departmentNumber@m"}, {Key: "a", Value: template(t, "x")}}, "a=x"},
		{"by an attribute's name in another", false, append(pointing, Field{Key: "t", Value: template(t, "%{ldap_ptr:description}")}), "t=The Title"},
		{"a later field sees the new name", false, []Field{{Key: "user", Attribute: "mail"}, {Key: "home", Value: template(t, "/h/%{user | domain}/%{user | username}")}}, "user=alice@example.com home=/h/example.com/alice"},
		{"the last of a name counts", false, []Field{{Key: "home", Value: template(t, "/x")}, {Key: "home", Attribute: "homeDirectory"}}, "home=/home/alice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(t, d)
			o.Fields, o.Strict = c.fields, c.strict
			fields, err := userdb(t, o).Find(t.Context(), &auth.Request{User: "alice", LocalName: "boss,ou=People,dc=example,dc=com"})
			got := verdict(err)
			for _, f := range fields {
				got += " " + f.Key + "=" + f.Value
			}
			if got = strings.TrimSpace(got); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestStoredPasswordsAreGivenAndChanged(t *testing.T) {
	s := authtest.StartSlapd(t, authtest.SlapdOptions{LDIF: people(), Rights: `access to attrs=userPassword by dn.base="cn=reader,dc=example,dc=com" write ` +
		`by dn.base="cn=boss,ou=People,dc=example,dc=com" read by anonymous auth by * none`})
	o := options(t, open(t, asService(s.URI)))
	o.Fields = []Field{{Key: "user", Attribute: "uid"}, {Key: "password", Attribute: "userPassword"}}
	p := passdb(t, o)
	if _, err := p.Verify(t.Context(), request("alice"), "apass"); err != auth.ErrNotVerified {
		t.Errorf("verified without a bind: %v", err)
	}
	if fields, err := p.Find(t.Context(), request("alice")); err != nil || fields.Value("password") != ssha("apass") {
		t.Errorf("got %q, %v", fields, err)
	}
	s.Change("dn: cn=alice,ou=People,dc=example,dc=com\nchangetype: modify\nadd: userPassword\nuserPassword: " + ssha("second") + "\n")
	if err := p.Set(t.Context(), request("alice"), ssha("apass"), ssha("changed")); err != nil {
		t.Fatal(err)
	}
	if fields, err := p.Find(t.Context(), request("alice")); err != nil || fields.Value("password") != ssha("changed") {
		t.Errorf("then the first one is %q, %v", fields, err)
	}
	o.Bind = true
	binding := passdb(t, o)
	for _, password := range []string{"changed", "second"} {
		if _, err := binding.Verify(t.Context(), request("alice"), password); err != nil {
			t.Errorf("%s: %v", password, err)
		}
	}
	if err := binding.Set(t.Context(), request("alice"), "", "x"); !errors.Is(err, auth.ErrNoSet) {
		t.Errorf("where users bind: %v", err)
	}
	if fields, err := binding.Find(t.Context(), request("alice")); err != nil || fields.Has("password") {
		t.Errorf("where users bind there is a password: %q, %v", fields, err)
	}
	if err := p.Set(t.Context(), request("alice"), ssha("apass"), "x"); !errors.Is(err, auth.ErrChanged) {
		t.Errorf("what has changed meanwhile: %v", err)
	}
	if err := p.Set(t.Context(), request("nosuch"), "x", "y"); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("of nobody: %v", err)
	}
	reader := Server{URIs: []string{s.URI}, DN: "cn=boss,ou=People,dc=example,dc=com", Password: "opass"}
	o.Directory, o.Bind = open(t, reader), false
	if got := verdict(passdb(t, o).Set(t.Context(), request("alice"), ssha("changed"), "x")); !strings.HasPrefix(got, "temporary: ldap_modify(cn=alice,ou=People,dc=example,dc=com) failed: Insufficient Access Rights") {
		t.Errorf("without the right to: %s", got)
	}
}

func TestR197UsersAreListedAsTheyAreInTheDirectory(t *testing.T) {
	const many = 1234
	ldif := people()
	for i := range many {
		ldif += person(fmt.Sprintf("cn=u%d,ou=Sub,ou=People,dc=example,dc=com", i), fmt.Sprintf("u%d", i), "x", 2000+i, fmt.Sprintf("cn: u%d", i))
	}
	s := authtest.StartSlapd(t, authtest.SlapdOptions{LDIF: ldif, Config: "sizelimit size=500 size.prtotal=unlimited"})
	u := userdb(t, options(t, open(t, asService(s.URI))))
	var names []string
	for name, err := range u.Users(t.Context(), &auth.Request{}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	few := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.HasPrefix(name, "u") })
	if want := []string{"alice", "bob", "dup", "dup", "boss", "juergen", "a*b", "o'brien", "axb"}; !slices.Equal(few, want) {
		t.Errorf("got %q, want %q", few, want)
	}
	if len(names) != many+len(few) {
		t.Errorf("%d names, want %d: more than the server gives to one search", len(names), many+len(few))
	}
	for range u.Users(t.Context(), &auth.Request{}) {
		break // a listing may be left
	}
	s = authtest.StartSlapd(t, authtest.SlapdOptions{LDIF: ldif, Config: "sizelimit size=500"})
	listed := 0
	for _, err := range userdb(t, options(t, open(t, asService(s.URI)))).Users(t.Context(), &auth.Request{}) {
		if listed++; err != nil && (listed != 501 || !strings.HasSuffix(err.Error(), "failed: Size Limit Exceeded")) {
			t.Errorf("where a server gives 500 entries, the %dth: %v", listed, err)
		}
	}
	if listed != 501 {
		t.Errorf("where a server gives 500 entries: %d", listed)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range u.Users(over, &auth.Request{}) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that is over: %v", err)
		}
	}
}

func TestAnswersDependOnTheVariablesOfAllTemplates(t *testing.T) {
	o := options(t, open(t, asService("ldap://127.0.0.1:1")))
	o.Filter = template(t, "(uid=%{user | username})")
	o.Base = template(t, "dc=%{local_name},dc=com")
	o.Fields = []Field{{Key: "home", Value: template(t, "/%{protocol}/%{ldap:uid}")}}
	if got, want := passdb(t, o).CacheKey(), []string{"local_name", "user", "protocol"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

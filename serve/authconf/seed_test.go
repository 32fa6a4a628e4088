package authconf

import (
	"context"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dovetail/auth"
)

// recorded is one of the configurations that documents show, with files below its folder ROOT. The users and groups in it
// are others here: those that every system has.
func recorded(t *testing.T, name string, files map[string]string) *site {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../config/testdata/configs", name))
	if err != nil {
		t.Fatal(err)
	}
	group := "nogroup"
	if _, err := user.LookupGroup(group); err != nil {
		group = "nobody"
	}
	conf := strings.NewReplacer("@ROOT@", "DIR", "= vmail", "= mail", "=vmail", "=mail", "=vpopmail", "=mail", "=vchkpw", "=mail",
		"= user\n", "= nobody\n", "= group\n", "= "+group+"\n").Replace(string(text))
	conf = regexp.MustCompile(`(?m)^ssl_\w+ = <.*$`).ReplaceAllString(conf, "")
	return newSite(t, conf+"auth_failure_delay = 0\n", files)
}

// The configurations of the documents authenticate who is in them and nobody else; those of which there are two, one for
// each dialect, the same.
func TestConfigurationsOfTheDocuments(t *testing.T) {
	const users = "example_user:{PLAIN}pw:1000:1000::DIR/mail/example_user::\nother:{PLAIN}pw2:1000:1000::DIR/mail/other::\n"
	for _, tc := range []struct {
		name, file     string
		files          map[string]string
		user, password string
		home           string // with DIR; "": not looked at
	}{
		{"R-019 R-020 R-022 rootless, 2.4", "rootless-24.conf", map[string]string{"etc/passwd": "nobody:{PLAIN}pass\n"}, "nobody", "pass", ""},
		{"R-022 rootless, 2.3", "rootless-23.conf", map[string]string{"etc/passwd": "nobody:{PLAIN}pass\n"}, "nobody", "pass", ""},
		{"rootless with privileged ports", "rootless-24-setcap.conf", map[string]string{"etc/passwd": "nobody:{PLAIN}pass\n"}, "nobody", "pass", ""},
		{"R-073 one password, 2.3", "basics-static.conf", nil, "anybody@example.org", "ThisIsABadPassword", ""},
		{"R-073 one password, 2.4", "basics-24.conf", nil, "anybody@example.org", "ThisIsABadPassword", ""},
		{"cleartext refused", "basics-plaintext-refused.conf", nil, "anybody@example.org", "ThisIsABadPassword", ""},
		{"mailboxes", "rhel-mailboxes.conf", map[string]string{"etc/users": users}, "example_user", "pw", "DIR/mail/example_user"},
		{"LMTP", "rhel-lmtp-inet.conf", map[string]string{"etc/users": users}, "other", "pw2", "DIR/mail/other"},
		{"Sieve, all mail of one user", "rhel-sieve.conf", map[string]string{"etc/users": users}, "example_user", "pw", "DIR/mail/example_user/"},
		{"services, 2.3", "services-all.conf", map[string]string{"etc/users": users}, "example_user", "pw", "DIR/mail/example_user"},
		{"services, 2.4", "services-24.conf", map[string]string{"etc/users": users}, "example_user", "pw", "DIR/mail/example_user"},
		{"LMTP, 2.4", "lmtp-mailboxes-24.conf", map[string]string{"etc/users": users}, "example_user", "pw", "DIR/mail/example_user"},
		{"after Courier", "courier-cutover.conf", map[string]string{"etc/vpasswd/x.org": "ann@x.org:{PLAIN}pw\n"}, "ann@x.org", "pw", "DIR/domains/x.org/ann"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := recorded(t, tc.file, tc.files)
			service := s.must()
			r := auth.Request{Service: "imap"}
			reply := service.Login(context.Background(), r, strings.ToUpper(tc.user[:1])+tc.user[1:], tc.password)
			if !reply.OK || reply.User != tc.user {
				t.Fatalf("%+v\n%s", reply, s.log.String())
			}
			found, err := service.Finish(context.Background(), reply)
			if err != nil || tc.home != "" && found.Home != strings.ReplaceAll(tc.home, "DIR", s.dir) {
				t.Errorf("%+v, %v\n%s", found, err, s.log.String())
			}
			if reply := service.Login(context.Background(), r, tc.user, tc.password+"x"); reply.OK || reply.Code != auth.CodeNone {
				t.Errorf("a wrong password: %+v", reply)
			}
			if tc.files == nil {
				return
			}
			if _, err := service.Lookup(context.Background(), r, "no-such-user"); err != auth.ErrUnknown {
				t.Errorf("an unknown user: %v\n%s", err, s.log.String())
			}
		})
	}
}

// What cannot work is refused before anything starts, with file and line of the section that is at fault.
func TestConfigurationsThatCannotWork(t *testing.T) {
	for _, tc := range []struct{ name, conf, want string }{
		{"R-074 an unknown user", "passdb {\n driver = static\n args = password=x\n}\nuserdb {\n driver = static\n args = uid=nosuchuser gid=1\n}\n",
			"dovecot.conf:5: static userdb: Invalid uid: nosuchuser"},
		{"R-074 an unknown group, as override", "passdb {\n driver = static\n args = password=x\n}\nuserdb {\n driver = passwd-file\n args = /x\n override_fields = gid=nosuchgroup\n}\n",
			"dovecot.conf:5: passwd-file userdb: Invalid gid: nosuchgroup"},
		{"R-169 no passdb", "protocols = imap\n", "No passdbs specified in configuration file. PLAIN mechanism needs one"},
		{"no passdb, with mechanisms", "auth_mechanisms = cram-md5\n", "dovecot.conf:1: No passdbs specified in configuration file. CRAM-MD5 mechanism needs one"},
		{"challenges with PAM alone", "auth_mechanisms = plain cram-md5\npassdb {\n driver = pam\n}\n",
			"dovecot.conf:1: CRAM-MD5 mechanism can't be supported with given passdbs"},
		{"a mechanism that nobody has", "auth_mechanisms = plain plian\npassdb {\n driver = static\n args = password=x\n}\n", "dovecot.conf:1: Unknown authentication mechanism 'PLIAN'; there are: plain login "},
		{"a folder in place of an SQL file", "passdb {\n driver = sql\n args = DIR\n}\n", "passdb: DIR: not a regular file"},
		{"a device in place of an LDAP file", "passdb {\n driver = ldap\n args = /dev/zero\n}\n", "passdb: /dev/zero: not a regular file"},
		{"an SQL file with a byte order mark", "passdb {\n driver = sql\n args = DIR/bom\n}\n", "passdb: DIR/bom:1: begins with a byte order mark"},
		{"a driver that nobody has", "\npassdb {\n driver = nosuch\n}\n", "dovecot.conf:2: passdb nosuch: Unknown passdb driver 'nosuch'; there are: "},
		{"a driver that is not here", "passdb {\n driver = lua\n args = file=/x\n}\n", "dovecot.conf:1: passdb lua: there is no driver lua here: "},
		{"a driver of userdbs only", "passdb {\n driver = prefetch\n}\n", "dovecot.conf:1: passdb prefetch: prefetch is no driver of a passdb; there are: "},
		{"a driver of passdbs only", "passdb {\n driver = static\n args = password=x\n}\nuserdb {\n driver = pam\n}\n", "dovecot.conf:5: userdb pam: pam is no driver of a userdb; "},
		{"a passwd-file without a path", "passdb {\n driver = passwd-file\n}\n", "dovecot.conf:1: passdb passwd-file: Missing args"},
		{"an SQL file that is missing", "passdb {\n driver = sql\n args = /none/dovecot-sql.conf.ext\n}\n", "dovecot.conf:3: passdb: open /none/dovecot-sql.conf.ext: no such file or directory"},
		{"the last one hands on", "passdb {\n driver = static\n args = password=x\n pass = yes\n}\n", "dovecot.conf:1: Last passdb can't have pass=yes"},
		{"master users who are denied", "passdb {\n driver = static\n args = password=x\n}\npassdb {\n driver = static\n args = password=x\n master = yes\n deny = yes\n}\n",
			"dovecot.conf:5: passdb static: Master passdb can't have deny=yes"},
		{"a field without a name", "passdb {\n driver = static\n args = password=x =y\n}\n", "dovecot.conf:1: passdb static: a field without a name"},
		{"in a protocol", "passdb {\n driver = static\n args = password=x\n}\nprotocol lmtp {\n  passdb {\n    driver = lua\n  }\n}\n", "protocol lmtp: DIR/dovecot.conf:6: passdb lua: there is no driver lua here"},
		{"vpopmail without qmail", "passdb {\n driver = vpopmail\n args = assign=/none/assign\n}\n", "dovecot.conf:1: passdb vpopmail: qmail's list of domains: open /none/assign: no such file"},
		{"vpopmail with a word that it has not", "passdb {\n driver = vpopmail\n args = webmial=1.2.3.4\n}\n", "dovecot.conf:1: passdb vpopmail: Unknown setting: webmial=1.2.3.4"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, tc.conf, map[string]string{"bom": "\ufeffdriver = sqlite\n"})
			_, err := s.build()
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), s.dir, "DIR"), tc.want) {
				t.Errorf("%v\nwant %s", err, tc.want)
			}
		})
	}
}

// A file for root alone: who is not root is told which, and what to do.
func TestR196R210FilesThatAreForRootAlone(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	for _, driver := range []string{"sql", "ldap"} {
		s := newSite(t, "passdb {\n driver = "+driver+"\n args = DIR/ext\n}\n", map[string]string{"ext": "driver = sqlite\n"})
		if err := os.Chmod(filepath.Join(s.dir, "ext"), 0); err != nil {
			t.Fatal(err)
		}
		_, err := s.build()
		if err == nil || !regexp.MustCompile(`dovecot\.conf:3: passdb: open .*/ext: permission denied: it is for root alone`).MatchString(err.Error()) {
			t.Errorf("%s: %v", driver, err)
		}
	}
}

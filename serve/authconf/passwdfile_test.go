package authconf

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/auth"
)

// Lines of every kind, good and damaged, as real Dovecot reads them.
func TestR022LinesOfAPasswdFileAreReadAsDovecotDoes(t *testing.T) {
	users := strings.Join([]string{
		"# comment", "", ":nobody", "plain:{PLAIN}x:11:12::/h/plain", "fallback:x:11:12::/h", "name", "two:{PLAIN}x", "three:{PLAIN}x:5", "four:{PLAIN}x:5:6", "empty:{PLAIN}x::",
		"twice:{PLAIN}first:11:11::/h/1", "twice:{PLAIN}second:12:12::/h/2", "zero:{PLAIN}x:0:1::/h", "zerogroup:{PLAIN}x:1:0::/h", "badname:{PLAIN}x:nosuchuser:1::/h",
		"badgroup:{PLAIN}x:1:nosuchgroup::/h", "named:{PLAIN}x:mail:mail::/h", "twice0:{PLAIN}x:0:1", "twice0:{PLAIN}y:3:4", "negative:{PLAIN}x:-1:5::/h", "big:{PLAIN}x:4294967295:5::/h",
		"md5:9dd4e461268c8034f5c8564e155c67a6[34]:11:12::/h", "des:rlHqDJA1Ph1Sk[13]:11:12::/h", "short56:9dd4[56]:11:12::/h", "crypt:CRYPTED:11:12::/h",
		"fields:{PLAIN}x:11:12:gecos:/h/%u:shell:fa=1 fa=2 nologin userdb_x=%u userdb_bare userdb_home=/other/%n/%d userdb_uid=77  spaced=1", "cr:{PLAIN}x:11:12::/h::q=1\r",
		"mail:{PLAIN}x:11:12::/h:::mbox:~/mail:INBOX=/x", "colons:{PLAIN}x:11:12::/h::a=b:c:d", `o\'brien:{PLAIN}x:11:12::/h`, " space:{PLAIN}x:11:12::/h", "none:::::", "nopass::11:12::/h::nopassword",
		"unknown:{NOSUCH}x:11:12::/h", "last:{PLAIN}x:11:12::/h",
	}, "\n")
	users = strings.Replace(users, "CRYPTED", "$1$saltsalt$"+"qjXMvbEw8oaL.CzflDtaK/", 1) // of "password"
	var questions []string
	for _, name := range []string{"plain", "fallback", "name", "two", "three", "four", "empty", "twice", "zero", "zerogroup", "badname", "badgroup", "named", "twice0", "negative", "big", "md5", "des",
		"short56", "crypt", "fields", "fields@x.org", "cr", "mail", "colons", "o'brien", " space", "none", "nopass", "unknown", "last", "# comment", "nosuch"} {
		for _, password := range []string{"x", "y", "first", "second", "test", "password", ""} {
			questions = append(questions, "login|"+name+"|"+password)
		}
		questions = append(questions, "pass|"+name, "user|"+name)
	}
	lookups := slices.DeleteFunc(slices.Clone(questions), func(q string) bool { return q == "pass|nopass" }) // Dovecot wants what is not there to be a hash
	both := passdb("users") + userdb("users")
	compareChains(t, []chain{
		{"as passdb and userdb", both, questions},
		{"with another scheme", strings.ReplaceAll(both, "scheme=PLAIN", "scheme=SHA256"), lookups},
		{"by the name without the domain", strings.ReplaceAll(both, "DIR/", "username_format=%n DIR/"), questions},
		{"two userdbs", both + userdb("more"), questions},
	}, map[string]string{"users": users, "more": "two:x:21:22::/more/two\nthree:x:21:22::/more/three\nzero:x:21:22::/more/zero\n"})
}

// Names are listed as they are in the file, but for their backslashes, which only the file needs.
func TestUsersOfAPasswdFileAreListed(t *testing.T) {
	s := newSite(t, fileChain, map[string]string{"users": "b:x:1:1\na:x:1:1\n#c\nname\n" + `o\'brien:x:1:1` + "\nb:y:2:2\n"})
	var names []string
	for name, err := range s.must().Users(context.Background(), auth.Request{Service: "doveadm"}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if got := strings.Join(names, " "); got != "b a name o'brien b" {
		t.Errorf("listed %s", got)
	}
}

// A file that is not there at the start is told of and looked for again at each lookup.
func TestAPasswdFileThatComesLater(t *testing.T) {
	s := newSite(t, fileChain, nil)
	service := s.must()
	if !strings.Contains(s.log.String(), "ERROR: passwd-file "+s.dir+"/users:open("+s.dir+"/users) failed: No such file or directory") {
		t.Errorf("the log is\n%s", s.log.String())
	}
	r := auth.Request{Service: "imap"}
	if reply := service.Login(context.Background(), r, "ann", "x"); reply.OK || reply.Code != auth.CodeNone {
		t.Errorf("%+v", reply)
	}
	s.write("users", "ann:{PLAIN}x:1:1::/h\n")
	if err := os.Chtimes(filepath.Join(s.dir, "users"), time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ { // it is looked for once a second
		reply := service.Login(context.Background(), r, "ann", "x")
		if reply.OK {
			break
		}
		if n > 1_000_000 {
			t.Fatalf("%+v", reply)
		}
	}
	if _, err := service.User(context.Background(), r, "bob"); !errors.Is(err, auth.ErrUnknown) {
		t.Error(err)
	}
}

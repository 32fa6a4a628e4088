package authconf

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/auth/scheme"
	"dovetail/formats/formatstest/dovecot"
)

const upgradeConf = `auth_username_chars =
auth_username_format =
auth_failure_delay = 0
mail_location = maildir:~/Maildir
first_valid_uid = 1
ssl = no
protocols = imap pop3
userdb {
  driver = static
  args = uid=5000 gid=5000 home=/nowhere allow_all_users=yes
}
`

// upgrading is a passdb whose passwords are stored anew.
func upgrading(driver, args string) string {
	return fmt.Sprintf("passdb {\n  driver = %s\n  args = %s\n  default_fields = upgrade_scheme=BLF-CRYPT:6\n}\n", driver, args)
}

// logsIn checks a password and demands an answer.
func (s *site) logsIn(service *auth.Service, user, password string, want bool) {
	s.t.Helper()
	if reply := service.Login(context.Background(), auth.Request{Service: "imap"}, user, password); reply.OK != want {
		s.t.Errorf("%s with %q: %+v\n%s", user, password, reply, s.log.String())
	}
}

// Accounts of every database that can be written, whose hashes are old or cheap, log in by us; then real Dovecot takes the
// same passwords, and no others.
func TestPasswordsAreStoredAnewInEachDatabase(t *testing.T) {
	needLDAP(t)
	directory := slapd(t, authtest.SlapdOptions{LDIF: person("cn=late,ou=People,dc=example,dc=com", "late", ssha("secret"), 1100, "cn: late", "userPassword: "+ssha("second"))})
	maria := authtest.StartMariaDBOnPort(t)
	table := "CREATE TABLE users (username VARCHAR(128) PRIMARY KEY, password VARCHAR(255));\nINSERT INTO users VALUES ('%[1]s', '{SSHA}%[2]s'), ('%[1]s2', '%[3]s');\n"
	cheap, err := scheme.Make("BLF-CRYPT", "", "secret", scheme.MakeOptions{Rounds: 4})
	if err != nil {
		t.Fatal(err)
	}
	table = strings.ReplaceAll(strings.ReplaceAll(table, "%[2]s", strings.TrimPrefix(ssha("secret"), "{SSHA}")), "%[3]s", cheap)
	maria.Load("mail", "CREATE USER dovecot@'127.0.0.1' IDENTIFIED BY 'se$cret'; GRANT SELECT, UPDATE ON mail.* TO dovecot@'127.0.0.1';", fmt.Sprintf(table, "maria"))
	queries := "default_pass_scheme = SSHA\npassword_query = SELECT password FROM users WHERE username='%u'\n" +
		"update_query = UPDATE users SET password='%w' WHERE username='%u' AND password='%{passdb:password}'\n"
	s := newSite(t, upgradeConf+upgrading("passwd-file", "DIR/users")+upgrading("sql", "DIR/lite.ext")+upgrading("sql", "DIR/maria.ext")+upgrading("ldap", "DIR/ldap.ext"), map[string]string{
		"users":     "# first\nother:{PLAIN}x:1:1\nfile:" + ssha("secret") + ":11:12:Some One:/home::userdb_x=1 y=2\n\n# then\nfile2:" + cheap + "\n",
		"lite.ext":  "driver = sqlite\nconnect = DIR/lite.db\n" + queries,
		"maria.ext": fmt.Sprintf("driver = mysql\nconnect = host=127.0.0.1 port=%d dbname=mail user=dovecot password=se$cret\n%s", maria.Port, queries),
		"ldap.ext":  "uris = " + directory.URI + "\n" + serviceLines + "pass_filter = (uid=%u)\npass_attrs = userPassword=password\ndefault_pass_scheme = SSHA\n",
	})
	lite := authtest.SQLite(t, filepath.Join(s.dir, "lite.db"))
	lite(fmt.Sprintf(table, "lite"))
	before, _ := os.Stat(filepath.Join(s.dir, "users"))
	service := s.must()
	users := []string{"file", "file2", "lite", "lite2", "maria", "maria2", "alice", "late"}
	passwords := map[string]string{"alice": "apass"}
	for _, user := range users {
		if passwords[user] == "" {
			passwords[user] = "secret"
		}
		s.logsIn(service, user, "wrong", false)
		s.logsIn(service, user, passwords[user], true)
		s.logsIn(service, user, passwords[user], true)
		s.logsIn(service, user, "wrong", false)
	}
	log := s.log.String()
	for _, user := range users {
		if strings.Count(log, "("+user+"): Password is stored anew, from ") != 1 {
			t.Errorf("of %s", user)
		}
	}
	if strings.Count(log, " to BLF-CRYPT:6\n") != len(users) || strings.Contains(log, "$2y$") || strings.Contains(log, "secret") || strings.Contains(log, "ERROR") {
		t.Errorf("the log is\n%s", log)
	}
	s.keptAllElse(before)
	d := dovecot.ServeConf(t, s.conf)
	// First the right passwords: a wrong one slows down what Dovecot is asked at the same time.
	for _, user := range users {
		if code, out := patiently(t, d, user, passwords[user]); code != 0 {
			t.Errorf("Dovecot on %s: %d\n%s\n%s", user, code, out, d.Log())
		}
	}
	var all sync.WaitGroup
	for _, user := range users {
		all.Go(func() {
			if code, _ := doveadm(t, d, "auth", "test", user, "wrong"); code != 77 {
				t.Errorf("Dovecot on %s with a wrong password: %d", user, code)
			}
		})
	}
	all.Wait()
}

// patiently asks Dovecot until it says yes: while its auth service starts it says no to everybody, in the same words.
func patiently(t *testing.T, d *dovecot.Daemon, user, password string) (code int, out string) {
	for range 20 {
		if code, out = doveadm(t, d, "auth", "test", user, password); code == 0 {
			break
		}
	}
	return code, out
}

// keptAllElse demands that of the passwd-file only the two passwords have changed.
func (s *site) keptAllElse(before os.FileInfo) {
	s.t.Helper()
	path := filepath.Join(s.dir, "users")
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	parts := strings.Split(string(text), "{BLF-CRYPT}$2y$06$")
	for i := 1; i < len(parts); i++ {
		parts[i] = parts[i][min(len(parts[i]), 53):]
	}
	if got, want := strings.Join(parts, "NEW"), "# first\nother:{PLAIN}x:1:1\nfile:NEW:11:12:Some One:/home::userdb_x=1 y=2\n\n# then\nfile2:NEW\n"; got != want {
		s.t.Errorf("the file is\n%s\nwant\n%s", got, want)
	}
	after, err := os.Stat(path)
	if err != nil {
		s.t.Fatal(err)
	}
	old, now := before.Sys().(*syscall.Stat_t), after.Sys().(*syscall.Stat_t)
	if before.Mode() != after.Mode() || old.Uid != now.Uid || old.Gid != now.Gid {
		s.t.Errorf("%v %d:%d became %v %d:%d", before.Mode(), old.Uid, old.Gid, after.Mode(), now.Uid, now.Gid)
	}
}

// Users log in at the same time, several times each, while another program adds lines and sets one password: nothing
// of all that is lost.
func TestManyPasswordsOfAFileAreStoredAnewAtOnce(t *testing.T) {
	const users = 12
	var text strings.Builder
	for n := range users {
		fmt.Fprintf(&text, "u%d:{PLAIN}secret%d\n", n, n)
	}
	s := newSite(t, upgradeConf+upgrading("passwd-file", "DIR/users"), map[string]string{"users": text.String()})
	service := s.must()
	path := filepath.Join(s.dir, "users")
	var all sync.WaitGroup
	for n := range users {
		for range 3 {
			all.Go(func() { s.logsIn(service, fmt.Sprint("u", n), fmt.Sprint("secret", n), true) })
		}
	}
	all.Go(func() { s.otherProgram(path) })
	all.Wait()
	for n := range users {
		s.logsIn(service, fmt.Sprint("u", n), fmt.Sprint("secret", n), true)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(got), "{BLF-CRYPT}"); n != users || !strings.HasSuffix(string(got), "\nadded:{PLAIN}new\n") {
		t.Errorf("%d stored anew:\n%s", n, got)
	}
	if log := s.log.String(); strings.Contains(log, "ERROR") {
		t.Errorf("the log is\n%s", log)
	}
}

// otherProgram adds an account as a careful one does: under the file's lock, by a new file in its place.
func (s *site) otherProgram(path string) {
	f, err := os.Open(path)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer f.Close()
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			s.t.Error(err)
			return
		}
		have, _ := f.Stat()
		if now, err := os.Stat(path); err == nil && os.SameFile(have, now) {
			break
		}
		f.Close()
		if f, err = os.Open(path); err != nil {
			s.t.Error(err)
			return
		}
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path+".new", append(text, "added:{PLAIN}new\n"...), 0o644)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		s.t.Error(err)
	}
}

// A password that was changed between the check and the storing is kept.
func TestAPasswordSetMeanwhileIsKept(t *testing.T) {
	s := newSite(t, upgradeConf+upgrading("passwd-file", "DIR/users"), map[string]string{"users": "ann:{PLAIN}old\n"})
	service := s.must()
	s.logsIn(service, "ann", "nothing", false) // the file is read, and looked at once a second
	s.write("users", "ann:{PLAIN}new\n")
	service.Login(context.Background(), auth.Request{Service: "imap"}, "ann", "old") // right, unless the second is over
	if text, err := os.ReadFile(filepath.Join(s.dir, "users")); err != nil || string(text) != "ann:{PLAIN}new\n" {
		t.Errorf("the file is %q, %v", text, err)
	}
}

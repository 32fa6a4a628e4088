package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/auth/scheme"
	"dovetail/auth/socket"
)

// tracedConf logs as much as it can and has all kinds of secrets; its servers are down.
const tracedConf = `protocols = none
ssl = no
base_dir = %DIR%/run
auth_mechanisms = plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256
auth_failure_delay = 0
auth_verbose = yes
auth_debug = yes
auth_debug_passwords = no
auth_verbose_passwords = no
auth_cache_size = 1M
auth_master_user_separator = *
mail_debug = yes
default_internal_user = %USER%
default_login_user = %USER%
first_valid_uid = 1
passdb {
  driver = passwd-file
  master = yes
  args = scheme=PLAIN %DIR%/masters
  result_success = continue
}
passdb {
  driver = passwd-file
  args = %DIR%/users
  override_fields = userdb_seen=%u
}
passdb {
  driver = sql
  args = %DIR%/sqlite.conf.ext
}
passdb {
  driver = sql
  args = %DIR%/mysql.conf.ext
}
passdb {
  driver = sql
  args = %DIR%/pgsql.conf.ext
}
passdb {
  driver = ldap
  args = %DIR%/ldap.conf.ext
}
passdb {
  driver = checkpassword
  args = %DIR%/program
}
userdb {
  driver = prefetch
}
userdb {
  driver = passwd-file
  args = %DIR%/users
}
`

// tracedFiles have MARKER in all that nobody else may know.
func tracedFiles(t *testing.T) map[string]string {
	hash, err := scheme.Make("SHA512-CRYPT", "hashed", "MARKER-hashed", scheme.MakeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"masters": "boss:{PLAIN}MARKER-boss\n",
		"users": "plain:{PLAIN}MARKER-plain:1001:1001::/home/plain::\n" +
			"hashed:" + hash + ":1001:1001::/home/hashed::\nbroken:{NOSUCH}MARKER-broken:1001:1001::/h::\n" +
			"odd:{SHA512-CRYPT}MARKER-odd:1001:1001::/h::\nscram:{SCRAM-SHA-256}MARKER-scram:1001:1001::/h::\n",
		"sqlite.conf.ext": "driver = sqlite\nconnect = %DIR%/db\npassword_query = SELECT password, '%w' AS given FROM users WHERE name = '%u'\n",
		"mysql.conf.ext": "driver = mysql\nconnect = host=127.0.0.1 port=1 user=mail password=MARKER-mysql dbname=mail\n" +
			"password_query = SELECT password FROM users WHERE name = '%u' AND password = MD5('%w')\n",
		"pgsql.conf.ext": "driver = pgsql\nconnect = host=127.0.0.1 port=1 user=mail password=MARKER-pgsql dbname=mail\n" +
			"password_query = SELECT password FROM users WHERE name = '%u' AND password = MD5('%w')\n",
		"ldap.conf.ext": "hosts = 127.0.0.1:1\ndn = cn=mail\ndnpass = MARKER-dnpass\nbase = dc=example\nauth_bind = yes\n",
		"program":       "#!/bin/sh\ncat <&3 >/dev/null\nmkdir %DIR%/once || exit 1\necho here >%DIR%/here\nread word <%DIR%/go\nexit 1\n",
	}
}

// Whatever is logged, nothing that is secret is; nor do arguments and environments have it, of the service or of a program
// that it has started; nor is there a core that would.
func TestSecretsLeaveNoTrace(t *testing.T) {
	dir, err := os.MkdirTemp("", "auth")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	authtest.SQLite(t, filepath.Join(dir, "db"))(`CREATE TABLE users (name, password);
INSERT INTO users VALUES ('sqlite', '{PLAIN}MARKER-sqlite'), ('twice', '{PLAIN}MARKER-1'), ('twice', '{PLAIN}MARKER-2'), ('bad', '{NOSUCH}MARKER-bad')`)
	for name, text := range tracedFiles(t) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "%DIR%", dir)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"here", "go"} {
		if err := unix.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	os.Symlink(os.Args[0], filepath.Join(dir, "checkpassword-reply"))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	s := serveConf(t, dir, tracedConf)
	logins, err := socket.DialLogins(t.Context(), filepath.Join(dir, "run/auth-client"))
	if err != nil {
		t.Fatal(err)
	}
	defer logins.Close()
	started := make(chan struct{})
	go func() { // the first program that it starts waits until it was looked at
		defer close(started)
		if _, err := os.ReadFile(filepath.Join(dir, "here")); err == nil {
			s.lookForTraces()
		}
		os.WriteFile(filepath.Join(dir, "go"), []byte("on\n"), 0o600)
	}()
	s.tryToLeak(logins, "nobody-has-it", "MARKER-nobody") // is asked of all databases
	<-started
	os.WriteFile(filepath.Join(dir, "program"), []byte("#!/bin/sh\ncat <&3 >&2\nexit 111\n"), 0o700)
	for _, user := range []string{"plain", "hashed", "broken", "odd", "scram", "sqlite", "twice", "bad", "plain*boss", "nosuch*boss", "boss", "nosuch", "n'o", "", "MARK\nER"} {
		name, _, _ := strings.Cut(user, "*")
		for _, password := range []string{"MARKER-" + name, "MARKER-boss", "MARKER-wrong", "MARKER\t", "MARKER\x00", strings.Repeat("MARKER", 1500)} {
			s.tryToLeak(logins, user, password)
		}
	}
	s.lookForTraces()
	if err := s.Process.Signal(unix.SIGQUIT); err != nil { // which makes the runtime tell all it knows
		t.Fatal(err)
	}
	s.Wait()
	if !strings.Contains(s.log.String(), "goroutine ") {
		t.Errorf("SIGQUIT: %s", s.ProcessState)
	}
	if text := s.log.String(); !strings.Contains(text, "Password mismatch") || !strings.Contains(text, "auth: Debug: ") {
		t.Errorf("it has not logged much:\n%.2000s", text)
	}
	s.lookInLog()
}

// tryToLeak logs in by all mechanisms, right and wrong.
func (s *served) tryToLeak(logins *socket.Logins, user, password string) {
	for mechanism, initial := range map[string]string{
		"PLAIN": "\x00" + user + "\x00" + password, "LOGIN": user, "CRAM-MD5": "", "DIGEST-MD5": "",
		"SCRAM-SHA-256": "n,,n=" + user + ",r=MARKER", "SCRAM-SHA-1": "n,,n=" + user + ",r=MARKER",
	} {
		if mechanism == "LOGIN" && user == "" {
			continue // what comes next would be the name
		}
		r := auth.Request{Service: "imap", Session: "session"}
		_, _, err := logins.Login(s.t.Context(), r, mechanism, []byte(initial), func(context.Context, []byte) ([]byte, error) {
			if mechanism == "LOGIN" {
				return []byte(password), nil
			}
			return []byte(user + " " + password), nil
		})
		if err != nil {
			s.t.Errorf("%q %s: %v", user, mechanism, err)
		}
	}
}

func (s *served) lookInLog() {
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, "MARKER") || strings.Contains(line, base64.StdEncoding.EncodeToString([]byte("MARKER"))) {
			s.t.Errorf("the log has %s", line)
		}
	}
}

// lookForTraces looks at what others can see of the process and of those it has started.
func (s *served) lookForTraces() {
	s.lookInLog()
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", s.Process.Pid))
	if err != nil {
		s.t.Skip("no /proc")
	}
	for line := range strings.Lines(string(limits)) {
		if words := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && (words[4] != "0" || words[5] != "0") {
			s.t.Errorf("it may leave a core: %s", line)
		}
	}
	if st, err := os.Stat(fmt.Sprintf("/proc/%d/environ", s.Process.Pid)); err == nil && st.Sys().(*syscall.Stat_t).Uid != 0 {
		s.t.Error("others of its user may trace it") // proc(5): what is not dumpable is root's
	}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	seen := 0
	for _, p := range processes {
		stat, _ := os.ReadFile(p + "/stat")
		_, behind, _ := strings.Cut(string(stat), ") ")
		if !strings.HasSuffix(p, fmt.Sprintf("/%d", s.Process.Pid)) && !strings.Contains(behind, fmt.Sprintf(" %d ", s.Process.Pid)) {
			continue
		}
		seen++
		for _, file := range []string{"/cmdline", "/environ"} {
			text, _ := os.ReadFile(p + file)
			if strings.Contains(string(text), "MARKER") {
				s.t.Errorf("%s%s has %q", p, file, text)
			}
		}
	}
	s.t.Logf("%d processes looked at", seen)
}

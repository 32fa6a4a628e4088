package socket_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// outcome is how a program ended.
type outcome struct {
	stdout, stderr string
	code           int
}

func run(t testing.TB, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		t.Fatal(err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// What real doveadm prints when it asks our sockets is what it prints when it asks Dovecot's.
func TestDoveadmAsksUsAsItAsksDovecot(t *testing.T) {
	j, ours := newJudge(t), newServer(t)
	for _, kind := range []string{"client", "login", "master", "userdb"} {
		ours.listen("test-"+kind, 0o666)
	}
	sasl(t, filepath.Join(ours.dir, "test-client"), 1) // doveadm tells sockets apart if the number is not that of its request
	for _, x := range []struct {
		name, socket string
		args         []string
	}{
		{"user", "userdb", []string{"user", "-a", "SOCKET", "alice"}},
		{"user whose name changes", "userdb", []string{"user", "-a", "SOCKET", "ALICE"}},
		{"one field", "userdb", []string{"user", "-a", "SOCKET", "-f", "home", "alice"}},
		{"unknown user", "userdb", []string{"user", "-a", "SOCKET", "nosuch"}},
		{"several users", "userdb", []string{"user", "-a", "SOCKET", "alice", "nosuch", "dave"}},
		{"all users", "userdb", []string{"user", "-a", "SOCKET", "*"}},
		{"some users", "userdb", []string{"user", "-a", "SOCKET", "*a*"}},
		{"nobody", "userdb", []string{"user", "-a", "SOCKET", "x*"}},
		{"a name with a tab", "userdb", []string{"user", "-a", "SOCKET", "a\tb"}},
		{"users by the master socket", "master", []string{"user", "-a", "SOCKET", "alice"}},
		{"users by a socket for clients", "client", []string{"user", "-a", "SOCKET", "alice"}},
		{"lookup", "userdb", []string{"auth", "lookup", "-a", "SOCKET", "carol"}},
		{"lookup of a denied user", "userdb", []string{"auth", "lookup", "-a", "SOCKET", "mallory"}},
		{"lookup from an address", "userdb", []string{"auth", "lookup", "-a", "SOCKET", "-x", "rip=127.0.0.1", "bob"}},
		{"lookup of an unknown user", "userdb", []string{"auth", "lookup", "-a", "SOCKET", "nosuch"}},
		{"right password", "client", []string{"auth", "test", "-a", "SOCKET", "alice", "wonder"}},
		{"wrong password", "client", []string{"auth", "test", "-a", "SOCKET", "alice", "wunder"}},
		{"fields of a login", "client", []string{"auth", "test", "-a", "SOCKET", "carol", "secret"}},
		{"no login", "client", []string{"auth", "test", "-a", "SOCKET", "-x", "rip=127.0.0.1", "bob", "builder"}},
		{"denied", "client", []string{"auth", "test", "-a", "SOCKET", "mallory", "x"}},
		{"a name that may not be", "client", []string{"auth", "test", "-a", "SOCKET", "o'brien", "x"}},
		{"master user", "client", []string{"auth", "test", "-a", "SOCKET", "-M", "alice", "dave", "wonder"}},
		{"login", "login", []string{"auth", "login", "-a", "SOCKET", "-m", "MASTER", "alice", "wonder"}},
		{"login with a wrong password", "login", []string{"auth", "login", "-a", "SOCKET", "-m", "MASTER", "alice", "wunder"}},
		{"cache flush", "master", []string{"auth", "cache", "flush", "-a", "SOCKET"}},
		{"cache flush of one user", "master", []string{"auth", "cache", "flush", "-a", "SOCKET", "alice"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			var got [2]outcome
			for i, dir := range []string{ours.dir, j.dir} {
				args := []string{"-c", j.Config()}
				for _, a := range x.args {
					a = strings.ReplaceAll(a, "SOCKET", filepath.Join(dir, "test-"+x.socket))
					args = append(args, strings.ReplaceAll(a, "MASTER", filepath.Join(dir, "test-master")))
				}
				got[i] = run(t, exec.Command("doveadm", args...))
				got[i].stdout = unneeded.ReplaceAllString(tokens.ReplaceAllString(got[i].stdout, "auth_token=#"), "")
				got[i].stderr = sessions.ReplaceAllString(strings.ReplaceAll(got[i].stderr, dir, "DIR"), "<#>")
			}
			if got[0] != got[1] {
				t.Errorf("\nours    %+v\nDovecot %+v\n%s", got[0], got[1], ours.log)
			}
		})
	}
}

var (
	tokens   = regexp.MustCompile(`auth_token=[0-9a-f]+`)
	sessions = regexp.MustCompile(`<[0-9]+>`)
	unneeded = regexp.MustCompile(`(?m)^ +(original_user=o'brien)?\n`) // see masked
)

// A real dovecot-lda asks our userdb socket for the user and delivers to his mailbox, as his uid.
func TestDovecotLDAFindsItsUsers(t *testing.T) {
	const lda = "/usr/lib/dovecot/dovecot-lda"
	dovecot.Need(t)
	if _, err := os.Stat(lda); err != nil {
		t.Skipf("dovecot-lda is not installed: %v", err)
	}
	if os.Getuid() != 0 {
		t.Skip("only root delivers to others")
	}
	dir := tempDir(t)
	home := filepath.Join(dir, "erin")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, 1005, 1005); err != nil {
		t.Fatal(err)
	}
	s := newServerWith(t, fmt.Sprintf("erin:{PLAIN}x:1005:1005::%s::\n", home))
	path := s.listen("auth-userdb", 0o600)
	conf := write(t, dir, "dovecot.conf", fmt.Sprintf(`base_dir = %[1]s/run
log_path = %[1]s/log
auth_socket_path = %[2]s
mail_location = maildir:~/Maildir
first_valid_uid = 1000
postmaster_address = postmaster@example.org
`, dir, path))
	deliver := func(user string) outcome {
		cmd := exec.Command(lda, "-c", conf, "-d", user)
		cmd.Stdin = strings.NewReader("From: a@example.org\nSubject: hello\n\nhello\n")
		return run(t, cmd)
	}
	logText := func() string { b, _ := os.ReadFile(filepath.Join(dir, "log")); return string(b) }
	if got := deliver("erin"); got.code != 0 {
		t.Fatalf("%+v\n%s\n%s", got, logText(), s.log)
	}
	mail, err := filepath.Glob(filepath.Join(home, "Maildir/new/*"))
	if err != nil || len(mail) != 1 {
		t.Fatalf("delivered %q, %v\n%s", mail, err, logText())
	}
	if got := deliver("nosuch"); got.code != 67 {
		t.Errorf("an unknown user ends with %+v\n%s", got, logText())
	}
}

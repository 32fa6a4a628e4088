package main

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// authSite writes files and a dovecot.conf in whose texts DIR is their folder, for Dovecot's users to read, too.
func authSite(t *testing.T, conf string, files map[string]string) (path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "auth-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "dovecot.conf")
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "DIR", dir)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(conf, "DIR", dir)), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const judgedUsers = `ann:{PLAIN}secret:1001:1002::/h/ann::fa=1 userdb_quota_rule=*:storage=1M
bob:{PLAIN}secret:1003:1004
blocked:{PLAIN}secret:1001:1002::/h/b::nologin reason=Closed userdb_bare
zoe@example.org:{PLAIN}secret:1001:1002::/h/%n::user=zed userdb_mail=mbox:~/mail:INBOX=/var/mail/%u
zed:{PLAIN}other:1009:1009::/h/zed
nets:{PLAIN}secret:1001:1002::/h/nets::allow_nets=192.0.2.0/24
name
two:{PLAIN}secret
`

const judgedConf = `protocols = imap pop3
ssl = no
auth_failure_delay = 0
auth_username_chars =
auth_master_user_separator = *
first_valid_uid = 1
mail_location = maildir:/srv/%d/%n
mail_home = /home/%n/%u
passdb {
  driver = passwd-file
  args = scheme=PLAIN DIR/masters
  master = yes
  result_success = continue
}
passdb {
  driver = passwd-file
  args = scheme=PLAIN DIR/users
}
userdb {
  driver = passwd-file
  args = DIR/users
}
`

// The same command lines to doveadm, which asks a real Dovecot, and to dovetail, give the same output and exit codes.
func TestAskingForUsersAsDoveadmDoes(t *testing.T) {
	for name, tc := range map[string]struct {
		conf  string
		lines []string
	}{
		"R-022 R-081 R-100 accounts in a file": {judgedConf, []string{
			"auth test ann secret", "auth test ann wrong", "auth test ANN secret", "auth test nosuch secret", "auth test blocked secret",
			"auth test zoe@example.org secret", "auth test nets secret", "auth test -x rip=192.0.2.7 nets secret",
			"auth test -x rip=198.51.100.7 nets secret", "auth test -x service=imap -x session=abc -x foo=bar bob secret", "auth test name x",
			"auth test ann*boss masterpass", "auth test -M boss ann masterpass", "auth test -M boss ann wrong", "auth test -M boss nosuch masterpass",
			"auth test nosuch*boss masterpass", "auth test boss masterpass", "auth test two secret",
			"auth lookup ann", "auth lookup ann nosuch bob", "auth lookup -f fa ann", "auth lookup -f user zoe@example.org", "auth lookup -f nosuch ann",
			"auth lookup nosuch", "auth lookup -f fa nosuch", "auth lookup zoe@example.org", "auth lookup blocked", "auth lookup name",
			"user ann", "user ANN", "user bob", "user blocked", "user nosuch", "user ann nosuch", "user nosuch ann", "user ann bob", "user zoe@example.org",
			"user two", "user -f home ann", "user -f home ann bob", "user -f nosuch ann", "user -f home nosuch", "user -f uid nosuch ann",
			"user -u ann", "user -u bob nosuch", "user -u zoe@example.org", "user -u -f home ann", "user -u blocked",
			"user *", "user a* B*", "user zz*", "user ?nn", "user -u *", "user -f home *", "user *@example.org",
			"user -e %u=%h ann", "user -e %{userdb:quota_rule}%n,%d,%s ann", "user -e %u nosuch", "user -e %u -u ann", "user -e %u -f home ann",
			"auth test", "auth lookup", "user", "auth test -x rip=bad ann secret", "auth lookup -x lport=x ann",
			"auth cache flush", "auth cache flush ann",
		}},
		"R-073 one password for all": {`protocols = imap
ssl = no
auth_failure_delay = 0
passdb {
  driver = static
  args = password=ThisIsABadPassword proxy_field=%n
}
userdb {
  driver = static
  args = uid=5000 gid=5000 home=/srv/%d/%n
}
`, []string{"auth test nobody@x ThisIsABadPassword", "auth test nobody@x wrong", "user nobody@x", "user -u nobody@x", "user -f home Nobody@X", "auth lookup nobody@x", "user *"}},
		"no userdb": {`protocols = imap
ssl = no
auth_failure_delay = 0
mail_location = mbox:~/mail
passdb {
  driver = passwd-file
  args = scheme=PLAIN DIR/users
}
`, []string{"user ann", "user nosuch", "user -u ann", "user -u nosuch", "user *", "auth test ann secret"}},
	} {
		t.Run(name, func(t *testing.T) {
			conf := authSite(t, tc.conf, map[string]string{"users": judgedUsers, "masters": "boss:{PLAIN}masterpass\n"})
			d := dovecot.ServeConf(t, conf)
			greeted(t, d)
			for _, line := range tc.lines {
				sameAsDoveadm(t, d, conf, strings.Fields(line))
			}
		})
	}
}

func sameAsDoveadm(t *testing.T, d *dovecot.Daemon, conf string, line []string) {
	t.Helper()
	var theirs, theirErr, ours, ourErr bytes.Buffer
	judge := d.Command(line...)
	judge.SysProcAttr = nil // the sockets are for whoever started the service
	judge.Stdout, judge.Stderr = &theirs, &theirErr
	want := 0
	if err := judge.Run(); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			t.Fatal(err)
		}
		want = exit.ExitCode()
	}
	verb := 1
	if line[0] == "auth" {
		verb = 2
	}
	if len(line) > 2 && line[1] == "cache" {
		verb = 3
	}
	text := theirs.String()
	if want == exitUsage {
		text = "" // doveadm prints its usage there
	}
	// By our own service, and by asking the same one as doveadm does.
	socket := filepath.Join(filepath.Dir(d.Config()), "run", map[bool]string{true: "auth-client", false: "auth-master"}[len(line) > 1 && line[1] == "test"])
	for _, more := range [][]string{{"-c", conf}, {"-c", conf, "-a", socket}} {
		if slices.Contains(line, "flush") && len(more) == 2 {
			continue // there is nothing to be asked but a running service
		}
		ours.Reset()
		ourErr.Reset()
		compareRun(t, slices.Concat(line[:verb], more, line[verb:]), want, text, &ours, &ourErr, theirErr.String()+d.Log())
		d.ForgetLog()
	}
}

func compareRun(t *testing.T, args []string, want int, text string, ours, ourErr *bytes.Buffer, theirErr string) {
	t.Helper()
	got := run(args, ours, ourErr)
	if got != want || !slices.Equal(outputLines(ours.String()), outputLines(text)) {
		t.Errorf("%s\ndovetail: exit code %d\n%s%sdoveadm: exit code %d\n%s%s", strings.Join(args, " "), got, ours.String(), ourErr.String(),
			want, text, theirErr)
	}
}

// greeted waits until the service is there: its sockets are made before the login process answers.
func greeted(t *testing.T, d *dovecot.Daemon) {
	t.Helper()
	c, err := net.Dial("tcp", d.IMAPAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		t.Fatalf("greeting %q, %v", line, err)
	}
}

// outputLines are what is compared. In doveadm, tables of several users come before all other output, because it is held
// back elsewhere, so order counts only within one kind of line; and empty lines stand for fields that are hidden.
func outputLines(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	slices.SortStableFunc(lines, func(a, b string) int { return tabs(b) - tabs(a) })
	return lines
}

func tabs(line string) int { return min(1, strings.Count(line, "\t")) }

func TestR101UsersThatCannotBeListed(t *testing.T) {
	conf := authSite(t, "passdb {\n  driver = static\n  args = password=x\n}\nuserdb {\n  driver = static\n  args = uid=5000 gid=5000\n}\n", nil)
	var out, errs bytes.Buffer
	code := run([]string{"user", "-c", conf, "*"}, &out, &errs)
	want := "Error: auth-master: userdb list: User listing returned failure\nFatal: user listing failed\n"
	if code != exitTryAgain || out.Len() > 0 || !strings.HasSuffix(errs.String(), want) {
		t.Errorf("exit code %d, output %q, errors\n%s", code, out.String(), errs.String())
	}
}

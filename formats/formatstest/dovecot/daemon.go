package dovecot

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dovetail/formats/formatstest/bound"
	"dovetail/formats/formatstest/client"
)

// Daemon is a whole Dovecot that listens for IMAP and POP3 on 127.0.0.1, for what a pipe cannot show: logins, users,
// clients that are programs of their own. It is set up as after a cut-over from Courier: namespace "INBOX." with
// separator ".", pop3_uidl_format = UID%u-%v.
type Daemon struct {
	*Judge                   // its log; its sessions are not of use here
	IMAPAddr, POPAddr string // host:port
	SubmissionAddr    string // "" without it

	cmd *exec.Cmd
}

// Serve starts a daemon for the users of a passwd-file (user:password:uid:gid::home::extra). settings are further lines of
// dovecot.conf; later lines win, so they may replace any of those given here. It is stopped when the test ends. As another
// user than root it serves the mail of that user alone.
//
// The sockets are opened here and handed over, as systemd would do: no port is chosen twice and nobody waits.
func Serve(t testing.TB, passwdFile string, settings ...string) *Daemon {
	t.Helper()
	return serve(t, 2, func(dir string, ports []any) string {
		return fmt.Sprintf(daemonConf, passwdFile) + places(dir, ports) + ownUser(t) + strings.Join(settings, "\n") + "\n"
	})
}

// ServeConf starts a daemon with a configuration as it is made for an operator. Of it only ports and addresses are replaced, the
// places of sockets and logs, and how long a wrong password makes all clients of an address wait.
func ServeConf(t testing.TB, conf string) *Daemon {
	t.Helper()
	return serve(t, 2, func(dir string, ports []any) string {
		return "!include " + conf + "\n" + places(dir, ports) + noPenalty + ownUser(t)
	})
}

// ServeSubmission is ServeConf with a port for submission, too. It is skipped where that part of Dovecot is not installed.
func ServeSubmission(t testing.TB, conf string) *Daemon {
	t.Helper()
	if _, err := os.Stat("/usr/lib/dovecot/submission-login"); err != nil {
		t.Skip("Dovecot's submission is not installed (apt-get install dovecot-submissiond)")
	}
	return serve(t, 3, func(dir string, ports []any) string {
		return "!include " + conf + "\n" + places(dir, ports[:2]) + fmt.Sprintf(submissionConf, ports[2]) + noPenalty + ownUser(t)
	})
}

func places(dir string, ports []any) string {
	return fmt.Sprintf(placesConf, append([]any{dir}, ports...)...)
}

func serve(t testing.TB, sockets int, text func(dir string, ports []any) string) *Daemon {
	t.Helper()
	Need(t)
	// The paths of its sockets may be 107 bytes long, and the names of tests get into t.TempDir.
	dir, err := os.MkdirTemp("", "dovecot-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // the login processes are another user
		t.Fatal(err)
	}
	d := &Daemon{Judge: &Judge{t: t, dir: dir}}
	d.conf = filepath.Join(d.dir, "dovecot.conf")
	var files []*os.File
	var ports []any
	addresses := [3]string{}
	for i := range sockets {
		f, a := listen(t)
		files, ports, addresses[i] = append(files, f), append(ports, a.Port), a.String()
	}
	d.IMAPAddr, d.POPAddr, d.SubmissionAddr = addresses[0], addresses[1], addresses[2]
	if err := os.WriteFile(d.conf, []byte(text(dir, ports)), 0o644); err != nil {
		t.Fatal(err)
	}
	d.start(files...)
	return d
}

// placesConf takes the folder of the daemon and the ports of both services.
const placesConf = `base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/dovecot.log
info_log_path = %[1]s/info.log
listen = 127.0.0.1
service imap-login {
  inet_listener imap {
    address = 127.0.0.1
    port = %[2]d
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  inet_listener pop3 {
    address = 127.0.0.1
    port = %[3]d
  }
  inet_listener pop3s {
    port = 0
  }
}
`

// submissionConf takes the port.
const submissionConf = `service submission-login {
  inet_listener submission {
    address = 127.0.0.1
    port = %d
  }
}
`

const noPenalty = `auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`

// daemonConf takes the passwd-file.
const daemonConf = `protocols = imap pop3
ssl = no
disable_plaintext_auth = no
auth_username_chars =
auth_failure_delay = 0
first_valid_uid = 1
mail_fsync = never
mail_location = maildir:~/Maildir
mail_max_userip_connections = 1000
pop3_uidl_format = UID%%u-%%v
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u %[1]s
}
userdb {
  driver = passwd-file
  args = username_format=%%u %[1]s
}
namespace inbox {
  type = private
  separator = .
  prefix = INBOX.
  inbox = yes
}
`

// ownUser lets one user run all of it. Dovecot wants names; a user without one cannot run it.
func ownUser(t testing.TB) string {
	t.Helper()
	if os.Getuid() == 0 {
		return ""
	}
	who, err := user.Current()
	if err != nil {
		t.Skipf("Dovecot's daemon wants its user to have a name: %v", err)
	}
	group, err := user.LookupGroupId(who.Gid)
	if err != nil {
		t.Skipf("Dovecot's daemon wants its group to have a name: %v", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "default_internal_user = %[1]s\ndefault_login_user = %[1]s\ndefault_internal_group = %[2]s\n", who.Username, group.Name)
	for _, service := range []string{"imap-login", "pop3-login", "anvil", "stats"} {
		fmt.Fprintf(&b, "service %s {\n  chroot =\n}\n", service)
	}
	return b.String()
}

func listen(t testing.TB) (*os.File, *net.TCPAddr) {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	return f, l.Addr().(*net.TCPAddr)
}

func (d *Daemon) start(sockets ...*os.File) {
	d.t.Helper()
	// LISTEN_PID is the shell's own number, which exec keeps.
	d.cmd = exec.Command("sh", "-c", fmt.Sprintf("LISTEN_FDS=%d LISTEN_PID=$$ exec dovecot -F -c %s", len(sockets), d.conf))
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TZ=UTC"}
	d.cmd.ExtraFiles = sockets
	stderr, err := os.OpenFile(filepath.Join(d.dir, "stderr.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		d.t.Fatal(err)
	}
	defer stderr.Close()
	d.cmd.Stderr = stderr
	if err := bound.Start(d.cmd, syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	for _, s := range sockets {
		s.Close()
	}
	d.t.Cleanup(d.Stop)
}

// Stop ends the daemon and all its sessions.
func (d *Daemon) Stop() {
	if d.cmd.ProcessState != nil {
		return
	}
	d.cmd.Process.Signal(syscall.SIGTERM)
	d.cmd.Wait() // it ends as it was told
}

// Login starts an IMAP session.
func (d *Daemon) Login(user, password string) *Session {
	d.t.Helper()
	s := client.Dial(d.t, client.IMAP, d.IMAPAddr, d.Log)
	if greeting := s.Next(); !strings.HasPrefix(greeting, "* OK ") {
		d.t.Fatalf("greeting %q\n%s", greeting, d.Log())
	}
	s.Cmd(fmt.Sprintf("LOGIN %s {%d+}\r\n%s", client.Quote(user), len(password), password))
	return s
}

// LoginPOP starts a POP3 session.
func (d *Daemon) LoginPOP(user, password string) POP3 {
	d.t.Helper()
	p := POP3{Session: client.Dial(d.t, client.POP, d.POPAddr, d.Log)}
	if greeting := p.Next(); !strings.HasPrefix(greeting, "+OK") {
		d.t.Fatalf("greeting %q\n%s", greeting, d.Log())
	}
	p.Cmd("USER " + user)
	p.Cmd("PASS " + password)
	return p
}

package socket_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dovetail/auth/authtest"
)

const eximConf = `exim_user = mail
exim_group = mail
never_users =
primary_hostname = mail.example.org
spool_directory = %[1]s/spool
log_file_path = %[1]s/log/%%slog
keep_environment =
tls_advertise_hosts =
begin authenticators
`

// exim is one that speaks SMTP on its standard input; its package is only unpacked, because it cannot be beside Postfix.
type exim struct {
	dir, program, libraries string
	t                       *testing.T
}

func newExim(t *testing.T, path string) *exim {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("Exim is started by root")
	}
	program := authtest.Unpacked(t, "usr/sbin/exim4")
	root := strings.TrimSuffix(program, "/usr/sbin/exim4")
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		t.Skipf("Exim wants a user Debian-exim, which needs an /etc/passwd of its own: %v\n%s", err, out)
	}
	dir := tempDir(t)
	conf := fmt.Sprintf(eximConf, dir)
	for _, name := range []string{"PLAIN", "LOGIN", "CRAM-MD5"} {
		conf += fmt.Sprintf("d_%[1]s:\n  driver = dovecot\n  public_name = %[1]s\n  server_socket = %[2]s\n  server_set_id = $auth1\n", name, path)
	}
	write(t, dir, "exim.conf", strings.ReplaceAll(conf, "d_CRAM-MD5", "d_CRAM"))
	for _, name := range []string{"passwd", "group"} {
		text, err := os.ReadFile("/etc/" + name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, name, string(text)+map[string]string{"passwd": "Debian-exim:x:8:8::/nonexistent:/bin/false\n", "group": "Debian-exim:x:8:\n"}[name])
	}
	for _, sub := range []string{"spool", "log"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, sub), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return &exim{dir, program, root + "/usr/lib:" + root + "/usr/lib/x86_64-linux-gnu", t}
}

// session is one SMTP session after EHLO.
func (x *exim) session() *talk {
	x.t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		x.t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	defer theirs.Close()
	c, err := net.FileConn(ours)
	if err != nil {
		x.t.Fatal(err)
	}
	cmd := exec.Command("unshare", "-m", "sh", "-c",
		`mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group && exec "$2" -C "$1/exim.conf" -bs -oMa 127.0.0.1`, "sh", x.dir, x.program)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+x.libraries)
	cmd.Stdin, cmd.Stdout = theirs, theirs
	if err := cmd.Start(); err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() {
		c.Close()
		cmd.Wait() // its input has ended
	})
	c.SetDeadline(time.Now().Add(time.Minute))
	s := &talk{c, bufio.NewReader(c), x.t}
	s.reply("220")
	s.send("EHLO client.example.org\r")
	if text := s.reply("250"); !strings.Contains(text, "AUTH PLAIN LOGIN CRAM-MD5") {
		x.t.Fatalf("EHLO offers %q", text)
	}
	return s
}

// A real Exim lets users in and keeps others out as our service says, and tells of a database that is away.
func TestEximAuthenticates(t *testing.T) {
	s := newServer(t)
	x := newExim(t, s.listen("auth", 0o666))
	defer func() {
		if t.Failed() {
			logs, _ := filepath.Glob(filepath.Join(x.dir, "log/*"))
			for _, name := range logs {
				b, _ := os.ReadFile(name)
				t.Logf("%s:\n%s", name, b)
			}
			t.Logf("our log:\n%s", s.log)
		}
	}()
	smtpAuth(t, x.session)
}

func TestEximTellsOfATemporaryFailure(t *testing.T) {
	s, db := newAwayServer(t)
	x := newExim(t, s.listen("auth", 0o666))
	for _, y := range []struct {
		away bool
		code string
	}{{true, "435"}, {false, "235"}} {
		db.is.Store(y.away)
		c := x.session()
		c.send("AUTH PLAIN " + b64("\x00alice\x00wonder") + "\r")
		c.reply(y.code)
	}
}

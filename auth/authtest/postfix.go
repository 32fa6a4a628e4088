package authtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Postfix is a private instance: its own queue and configuration, and smtpd on a unix socket in place of a port.
type Postfix struct {
	SMTP  string // the socket
	Queue string // the folder of its queues
	Conf  string // the folder of its configuration

	log string
	t   testing.TB
}

const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.example.org
inet_interfaces = loopback-only
inet_protocols = ipv4
maillog_file = %[1]s/maillog
maillog_file_prefixes = %[1]s
%[2]s
`

const postfixMaster = `smtp unix n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
rewrite unix - - n - - trivial-rewrite
cleanup unix n - n - 0 cleanup
proxymap unix - - n - - proxymap
pickup unix n - n 60 1 pickup
qmgr unix n - n 300 1 qmgr
showq unix n - n - - showq
tlsmgr unix - - n 1000? 1 tlsmgr
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
scache unix - - n - 1 scache
`

// StartPostfix runs it until the test ends; main is what main.cf has beside the places of files, and services are further
// lines of master.cf. It is skipped where Postfix is not installed, and without root.
func StartPostfix(t testing.TB, main string, services ...string) *Postfix {
	t.Helper()
	const master = "/usr/lib/postfix/sbin/master"
	if _, err := os.Stat(master); err != nil {
		t.Skipf("Postfix is not installed: %v (apt-get install postfix)", err)
	}
	if os.Getuid() != 0 {
		t.Skip("Postfix is started by root only")
	}
	dir, err := os.MkdirTemp("", "postfix") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"conf", "queue", "data"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p := &Postfix{SMTP: filepath.Join(dir, "queue/public/smtp"), Queue: filepath.Join(dir, "queue"), Conf: filepath.Join(dir, "conf"),
		log: filepath.Join(dir, "maillog"), t: t}
	for name, text := range map[string]string{"main.cf": fmt.Sprintf(postfixMain, dir, main), "master.cf": postfixMaster + strings.Join(services, "")} {
		if err := os.WriteFile(filepath.Join(p.Conf, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("chown", "postfix", filepath.Join(dir, "data")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p.run("postfix", "-c", p.Conf, "check")
	// -w: it returns when all sockets are there, -d would stay with our descriptors.
	p.run(master, "-w", "-c", p.Conf)
	t.Cleanup(p.stop)
	return p
}

func (p *Postfix) run(name string, args ...string) {
	p.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "MAIL_CONFIG="+p.Conf)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// Flush has it try everything in its queue now.
func (p *Postfix) Flush() {
	p.t.Helper()
	p.run("postqueue", "-c", p.Conf, "-f")
}

// Log is what it has logged.
func (p *Postfix) Log() string {
	b, _ := os.ReadFile(p.log)
	return string(b)
}

// stop ends the master of this instance, and with it all of its process group.
func (p *Postfix) stop() {
	pidFile := filepath.Join(p.Queue, "pid/master.pid")
	text, err := os.ReadFile(pidFile)
	if err != nil {
		p.t.Error(err)
		return
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil || pid < 2 {
		p.t.Errorf("pid file %q: %v", text, err)
		return
	}
	lock, err := os.Open(pidFile)
	if err != nil {
		p.t.Error(err)
		return
	}
	defer lock.Close()
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		p.t.Error(err)
	}
	syscall.Flock(int(lock.Fd()), syscall.LOCK_EX) // the master holds it as long as it lives
}

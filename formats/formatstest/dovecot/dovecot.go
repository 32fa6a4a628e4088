// Package dovecot puts questions about mail on disk to a real Dovecot 2.3, for tests.
//
// A Judge is one private configuration in a temporary folder. No daemon runs and no port is opened: each session is one
// imap or pop3 process on a pipe (doveadm exec), already logged in, started in about 25 ms. Everything that Dovecot logs
// is kept; a test ends with MustBeClean, because a Dovecot that had to repair something says so only there.
//
// Mailbox names are those of package formats: UTF-8, parts joined by "/", "INBOX".
//
// As root, Dovecot runs as the user "nobody" (it refuses to open mail as root), so mail must belong to that user: use
// TempDir, FS and Own. As any other user everything belongs to that user.
package dovecot

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"dovetail/formats/disk"
)

// nobody is the mail user of tests that run as root.
const nobody = 65534

// Judge is a Dovecot with one user.
type Judge struct {
	t    testing.TB
	dir  string
	conf string
}

// New writes a configuration for mailLocation ("sdbox:/path", as in dovecot.conf). settings are further lines of it, for
// instance "mail_plugins = zlib" or "mail_attachment_dir = /path". The test is skipped where Dovecot is not installed.
func New(t testing.TB, mailLocation string, settings ...string) *Judge {
	t.Helper()
	Need(t)
	j := &Judge{t: t, dir: TempDir(t)}
	j.conf = filepath.Join(j.dir, "dovecot.conf")
	uid, gid := IDs()
	text := fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/run
log_path = %[1]s/dovecot.log
info_log_path = /dev/null
mail_location = %[2]s
mail_home = %[1]s/home
mail_uid = %[3]d
mail_gid = %[4]d
first_valid_uid = 1
ssl = no
mail_fsync = never
stats_writer_socket_path =
namespace inbox {
  inbox = yes
  separator = /
}
%[5]s
`, j.dir, mailLocation, uid, gid, strings.Join(settings, "\n"))
	if err := os.WriteFile(j.conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"run", "home"} {
		if err := os.Mkdir(filepath.Join(j.dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	Own(t, j.dir)
	return j
}

// Need skips the test where Dovecot 2.3 is not installed.
func Need(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("doveadm"); err != nil {
		t.Skip("real Dovecot is not installed: no doveadm on PATH")
	}
	out, err := exec.Command("dovecot", "--version").Output()
	if err != nil {
		t.Fatalf("doveadm is installed, but dovecot --version does not answer: %v", err) // a skip would hide it for ever
	}
	if !strings.HasPrefix(string(out), "2.3.") {
		t.Skipf("the judge is Dovecot 2.3; installed is %q", strings.TrimSpace(string(out)))
	}
}

// IDs gives the mail user of the tests: the one who runs them, or nobody for root.
func IDs() (uid, gid int) {
	if os.Getuid() == 0 {
		return nobody, nobody
	}
	return os.Getuid(), os.Getgid()
}

// FS makes files that belong to the mail user.
func FS() *disk.FS {
	uid, gid := IDs()
	return &disk.FS{Own: os.Getuid() == 0, UID: uid, GID: gid}
}

// TempDir is t.TempDir, owned by the mail user and within that user's reach.
func TempDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if os.Getuid() != 0 {
		return dir
	}
	// The testing package makes the parent for root alone.
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	Own(t, dir)
	return dir
}

// Own gives a tree to the mail user, following no link.
func Own(t testing.TB, root string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	uid, gid := IDs()
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Config is the path of the configuration file.
func (j *Judge) Config() string { return j.conf }

// Command prepares doveadm with this configuration, run as the mail user in UTC; stderr goes to the log.
func (j *Judge) Command(args ...string) *exec.Cmd {
	j.t.Helper()
	cmd := exec.Command("doveadm", append([]string{"-c", j.conf}, args...)...)
	cmd.Dir = j.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "USER=tester", "HOME=" + filepath.Join(j.dir, "home"), "TZ=UTC"}
	if os.Getuid() == 0 {
		uid, gid := IDs()
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	stderr, err := os.OpenFile(filepath.Join(j.dir, "stderr.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		j.t.Fatal(err)
	}
	j.t.Cleanup(func() { stderr.Close() })
	cmd.Stderr = stderr
	return cmd
}

// Doveadm runs one command to its end and gives what it printed; a failure ends the test.
func (j *Judge) Doveadm(args ...string) string {
	j.t.Helper()
	out, err := j.Command(args...).Output()
	if err != nil {
		j.t.Fatalf("doveadm %q: %v\n%s", args, err, j.Log())
	}
	return string(out)
}

// Log is everything logged so far above the level of information, by daemonless processes too.
func (j *Judge) Log() string {
	var kept strings.Builder
	for _, name := range []string{"dovecot.log", "stderr.log"} {
		b, err := os.ReadFile(filepath.Join(j.dir, name))
		if err != nil {
			continue // nothing was logged there
		}
		for line := range strings.Lines(string(b)) {
			if !slices.ContainsFunc(noComplaints, func(text string) bool { return strings.Contains(line, text) }) {
				kept.WriteString(line)
			}
		}
	}
	return kept.String()
}

// noComplaints are in lines that say nothing about mail: how many sessions a machine may have watch files is its own.
var noComplaints = []string{": Info: ", ": Debug: ", "master: Warning: Killed with signal 15", ": Warning: Inotify instance limit "}

// ForgetLog empties the log, for tests that provoke a complaint.
func (j *Judge) ForgetLog() {
	for _, name := range []string{"dovecot.log", "stderr.log"} {
		os.Truncate(filepath.Join(j.dir, name), 0) // absent is as good as empty
	}
}

// MustBeClean fails the test if Dovecot logged anything.
func (j *Judge) MustBeClean() {
	j.t.Helper()
	if log := j.Log(); log != "" {
		j.t.Errorf("Dovecot complained:\n%s", log)
	}
}

// Package courier puts questions about Maildirs to a real Courier-IMAP 5 (Debian's 5.0.13), for tests.
//
// Courier cannot be installed beside Dovecot, so its packages are only unpacked, by scripts/deps, into one of
//
//	$DOVETAIL_COURIER
//	/var/cache/dovetail-test/courier             when root did it
//	<user's cache>/dovetail-test/courier         ~/.cache on Linux
//
// No daemon runs: imapd and pop3d are started on a pipe as its own login process would start them, logged in already, in the
// home of the user and with the rights of the owner of the Maildir. They are set up as in Debian's /etc/courier, with
// keywords, ACLs and no expiry of the trash. Courier changes what it is shown: it moves new mail to cur/, numbers what has
// no UID and rewrites its lists. Look at a copy where that matters.
//
// Mailbox names are as clients see them, decoded: "INBOX", "INBOX.Entwürfe.2019".
package courier

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"dovetail/formats/formatstest/client"
)

// Judge is a Courier with one user.
type Judge struct {
	t       testing.TB
	root    string // of the unpacked packages
	maildir string
	user    string
	log     string
}

// What sessions give and take.
type (
	Session    = client.Session
	POP3       = client.POP3
	Msg        = client.Msg
	PopMessage = client.PopMessage
	Entry      = client.Entry
)

// New is the judge of one Maildir, whose folder is the user's home. The test is skipped where Courier is not unpacked.
func New(t testing.TB, maildir string) *Judge {
	t.Helper()
	return &Judge{t: t, root: Need(t), maildir: maildir, user: "tester@example.com", log: filepath.Join(t.TempDir(), "courier.log")}
}

// Need skips the test where Courier is not unpacked, and gives the folder where it is.
func Need(t testing.TB) string {
	t.Helper()
	places := []string{os.Getenv("DOVETAIL_COURIER"), "/var/cache/dovetail-test/courier"}
	if cache, err := os.UserCacheDir(); err == nil {
		places = append(places, filepath.Join(cache, "dovetail-test", "courier"))
	}
	for _, root := range places {
		if _, err := os.Stat(filepath.Join(root, imapd)); root != "" && err == nil {
			return root
		}
	}
	t.Skipf("real Courier-IMAP 5 is not unpacked in any of %q (scripts/deps does that)", places)
	return ""
}

// The programs, below the root.
const (
	imapd = "usr/bin/imapd"
	pop3d = "usr/lib/courier/courier/courierpop3d"
)

// Command prepares a program of Courier, run in the user's home as the owner of the Maildir.
func (j *Judge) Command(program string, args ...string) *exec.Cmd {
	j.t.Helper()
	cmd := exec.Command(filepath.Join(j.root, program), args...)
	cmd.Dir = filepath.Dir(j.maildir)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir, "TZ=UTC", "LC_ALL=C.UTF-8", "LD_LIBRARY_PATH=" + j.libraries(),
		"AUTHENTICATED=" + j.user, "AUTHADDR=" + j.user, "TCPREMOTEIP=127.0.0.1",
		"IMAP_CAPABILITY=IMAP4rev1 UIDPLUS CHILDREN NAMESPACE QUOTA ACL ACL2=UNION", "IMAP_KEYWORDS=1", "IMAP_ACL=1",
		"IMAP_USELOCKS=0", "IMAP_ENHANCEDIDLE=0", "IMAP_TRASHFOLDERNAME=Trash", "IMAP_OBSOLETE_CLIENT=0",
		"GAM_CLIENT_ID=" + watchID(),
	}
	uid := os.Getuid()
	if os.Getuid() == 0 {
		info, err := os.Stat(j.maildir)
		if err != nil {
			j.t.Fatal(err)
		}
		owner := info.Sys().(*syscall.Stat_t)
		uid = int(owner.Uid)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	watch(uid)
	log, err := os.OpenFile(j.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		j.t.Fatal(err)
	}
	j.t.Cleanup(func() { log.Close() })
	cmd.Stderr = log
	return cmd
}

// libraries are where the unpacked packages keep theirs.
func (j *Judge) libraries() string {
	var dirs []string
	for _, pattern := range []string{"usr/lib", "lib", "usr/lib/*-linux-gnu*", "lib/*-linux-gnu*"} {
		found, _ := filepath.Glob(filepath.Join(j.root, pattern)) // the patterns are good
		dirs = append(dirs, found...)
	}
	return strings.Join(dirs, ":")
}

// noise is said in every session: a login, a logout, and that there is no server that watches files.
var noise = []string{"INFO: ", "failed to find gam_server", "Failed to connect to socket /tmp/fam-"}

// Log is what Courier complained of so far.
func (j *Judge) Log() string {
	b, err := os.ReadFile(j.log)
	if err != nil {
		return "" // nothing was logged
	}
	var kept strings.Builder
	for line := range strings.Lines(string(b)) {
		if !slices.ContainsFunc(noise, func(n string) bool { return strings.HasPrefix(line, n) }) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// MustBeClean fails the test if Courier complained.
func (j *Judge) MustBeClean() {
	j.t.Helper()
	if log := j.Log(); log != "" {
		j.t.Errorf("Courier complained:\n%s", log)
	}
}

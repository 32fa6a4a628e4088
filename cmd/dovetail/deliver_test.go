package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"dovetail/formats/formatstest/dovecot"
)

// Half a message is not delivered: the MTA is told to try again.
func TestADeliveryThatIsInterruptedDeliversNothing(t *testing.T) {
	s := prepareServer(t, "maildir")
	for _, f := range s.ExtraFiles {
		f.Close()
	}
	cmd := exec.Command("dovetail", "deliver", "-c", filepath.Join(s.dir, "dovecot.conf"), "-d", "ann")
	in, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	// More than a pipe holds: when it is written, the program reads.
	if _, err := io.WriteString(theirs, "Subject: half\r\n\r\n"+string(make([]byte, 1<<20))); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	theirs.Close()
	if code := cmd.ProcessState.ExitCode(); code != exitTryAgain {
		t.Errorf("exit code %d", code)
	}
	if found, _ := filepath.Glob(s.dir + "/home/ann/mail/*/*.*"); len(found) > 0 {
		t.Errorf("delivered: %v", found)
	}
}

// deliver runs the verb with a message.
func (s *mailServer) deliver(message string, args ...string) (code int, said string) {
	s.t.Helper()
	cmd := exec.Command("dovetail", append([]string{"deliver", "-c", filepath.Join(s.dir, "dovecot.conf")}, args...)...)
	cmd.Stdin = strings.NewReader(message)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// prepareDelivery writes a configuration for deliveries alone: ann has mail, and further users are as in lines of a
// passwd-file.
func prepareDelivery(t *testing.T, kind string, users string, settings ...string) *mailServer {
	t.Helper()
	s := prepareServer(t, kind)
	for _, f := range s.ExtraFiles {
		f.Close()
	}
	s.configure(kind, append(settings, "userdb {\n driver = passwd-file\n args = "+s.dir+"/users\n}")...)
	for _, f := range s.ExtraFiles {
		f.Close()
	}
	s.edit(withoutStaticUserdb)
	uid, gid := dovecot.IDs()
	text := strings.NewReplacer("IDS", fmt.Sprintf("%d:%d", uid, gid), "HOME", s.dir+"/home").Replace("ann::IDS::HOME/ann\n" + users)
	if err := os.WriteFile(filepath.Join(s.dir, "users"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

// withoutStaticUserdb takes the userdb of all other tests off, which takes everybody.
func withoutStaticUserdb(conf string) string {
	first := strings.Index(conf, "userdb {")
	end := first + strings.Index(conf[first:], "}\n") + 2
	return conf[:first] + conf[end:]
}

const delivered = "From sender@example.net Thu Jan  1 00:00:00 2026\nSubject: hello\n\nbody\n"

func TestDeliverTellsTheMTAWhatToDo(t *testing.T) {
	const quota = "mail_plugins = quota\nplugin {\n quota = count:User\n quota_vsizes = yes\n quota_rule = *:bytes=20\n quota_grace = 0\n}"
	for _, c := range []struct {
		name     string
		settings string
		args     []string
		code     int
		says     string
	}{
		{"it is delivered", "", []string{"-d", "ann"}, exitDone, ""},
		{"with everything that MTAs say", "", []string{"-d", "ann", "-f", "sender@example.net", "-a", "ann+x@example.org", "-r", "ann@example.org", "-k"}, exitDone, ""},
		{"there is no such user", "", []string{"-d", "nobody", "-e"}, exitNoUser, "User doesn't exist: nobody"},
		{"an address that is none", "", []string{"-d", "ann", "-f", "a b"}, exitUsage, "Invalid -f parameter"},
		{"the user database is broken", "userdb {\n driver = passwd-file\n args = /tmp\n}", []string{"-d", "nobody", "-e"}, exitTryAgain, ""},
		{"the user has no home", "", []string{"-d", "homeless", "-e"}, exitTryAgain, "Home directory not set"},
		{"the home cannot be made", "", []string{"-d", "closed", "-e"}, exitTryAgain, ""},
		{"the configuration is broken", "mail_fsync = sometimes", []string{"-d", "ann"}, exitTryAgain, "Invalid value: sometimes"},
		{"there is no room", quota, []string{"-d", "ann", "-e"}, exitPermission, "Quota exceeded (mailbox for user is full)"},
		{"there is no room now", quota + "\nquota_full_tempfail = yes", []string{"-d", "ann", "-e"}, exitTryAgain, "Quota exceeded"},
		{"a mailbox that is missing", "", []string{"-d", "ann", "-m", "Lists"}, exitDone, ""},
		{"a mailbox that is made", "lda_mailbox_autocreate = yes\nlda_mailbox_autosubscribe = yes", []string{"-d", "ann", "-m", "Lists"}, exitDone, ""},
		{"no bytes for a name", "", []string{"-d", "ann", "-m", "\xff"}, exitTryAgain, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := prepareDelivery(t, "maildir", "homeless::IDS::\nclosed::IDS::/proc/nothing\n", c.settings)
			if code, said := s.deliver(delivered, c.args...); code != c.code || !strings.Contains(said, c.says) {
				t.Errorf("exit code %d, %s", code, said)
			}
			inbox, _ := filepath.Glob(s.dir + "/home/ann/mail/new/*")
			lists, _ := filepath.Glob(s.dir + "/home/ann/mail/.Lists/new/*")
			want := [2]int{}
			switch {
			case c.code == exitDone && strings.Contains(c.settings, "autocreate"):
				want[1] = 1
			case c.code == exitDone:
				want[0] = 1
			}
			if len(inbox) != want[0] || len(lists) != want[1] {
				t.Errorf("in INBOX %q, in Lists %q", inbox, lists)
			}
			for _, name := range append(inbox, lists...) {
				if text, err := os.ReadFile(name); string(text) != "Subject: hello\n\nbody\n" {
					t.Errorf("%q, %v", text, err)
				}
			}
			if subscribed, _ := os.ReadFile(s.dir + "/home/ann/mail/subscriptions"); want[1] == 1 != strings.Contains(string(subscribed), "Lists") {
				t.Errorf("subscribed: %q", subscribed)
			}
		})
	}
}

// What is delivered into each format is what Dovecot reads.
func TestDeliverIntoEveryFormat(t *testing.T) {
	dovecot.Need(t)
	for _, kind := range []string{"maildir", "mbox", "sdbox", "mdbox"} {
		t.Run(kind, func(t *testing.T) {
			s := prepareDelivery(t, kind, "")
			file := filepath.Join(s.dir, "message")
			if err := os.WriteFile(file, []byte(delivered), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"-d", "ann"}, {"-d", "ann", "-p", file}} {
				if code, said := s.deliver(delivered, args...); code != exitDone {
					t.Fatalf("exit code %d, %s", code, said)
				}
			}
			judge := dovecot.New(t, dovecot.Location(kind, filepath.Join(s.dir, "home", "ann", "mail")))
			if n := strings.Count(judge.Doveadm("fetch", "hdr.subject", "mailbox", "INBOX"), "hello"); n != 2 {
				t.Errorf("Dovecot finds %d messages", n)
			}
			judge.MustBeClean()
		})
	}
}

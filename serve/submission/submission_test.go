package submission_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
	"dovetail/serve"
	"dovetail/serve/namespace"
	"dovetail/serve/servetest"
	"dovetail/serve/submission"
	"dovetail/sync/watch"
)

// conf takes the folder, the ids of the files and further settings.
const conf = `protocols = submission imap
ssl = no
first_valid_uid = 1
mail_location = maildir:%[1]s/mail/%%u
login_greeting = Ready.
hostname = sub.example.org
passdb {
  driver = passwd-file
  args = scheme=PLAIN %[1]s/users
}
userdb {
  driver = static
  args = uid=%[2]d gid=%[3]d home=%[1]s/mail/%%u
}
%[4]s
`

// site writes a configuration with the users ann, whose password is pass, and bob, whose password is secret.
func site(t testing.TB, settings ...string) (path, dir string) {
	t.Helper()
	dir = dovecot.TempDir(t)
	uid, gid := dovecot.IDs()
	if err := os.Chmod(dir, 0o755); err != nil { // Dovecot's auth process is another user
		t.Fatal(err)
	}
	mail := filepath.Join(dir, "mail")
	if err := os.Mkdir(mail, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(mail, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	path = filepath.Join(dir, "dovecot.conf")
	for name, text := range map[string]string{filepath.Join(dir, "users"): "ann:pass\nbob:secret\n", path: fmt.Sprintf(conf, dir, uid, gid, strings.Join(settings, "\n"))} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return path, dir
}

// start serves a configuration on a port of 127.0.0.1.
func start(t testing.TB, path string) (address string, log *servetest.Log) {
	t.Helper()
	return startOn(t, path, servetest.Listen(t))
}

// listenHAProxy opens a port on which a proxy says who its client is.
func listenHAProxy(t testing.TB) serve.Listener {
	l := servetest.Listen(t)
	l.HAProxy = true
	return l
}

func startOn(t testing.TB, path string, l serve.Listener) (address string, log *servetest.Log) {
	t.Helper()
	p := servetest.Prepare(t, path)
	s := &submission.Protocol{Hub: watch.NewHub(0), Stores: &namespace.Stores{}, Log: p.Logger}
	s.Hub.Hold = s.Stores.Hold
	s.Server = p.Server("submission", s, l)
	servetest.Run(t, s.Server, s.Hub.Close)
	return l.Addr().String(), p.Log
}

// client is one connection.
type client struct{ *servetest.SMTP }

func dial(t testing.TB, address string) *client {
	t.Helper()
	return &client{servetest.DialSMTP(t, "tcp", address)}
}

// expect says a line and wants a reply that begins so.
func (c *client) expect(line, want string) {
	c.T.Helper()
	if got := c.Say(line + "\r\n"); !strings.HasPrefix(got, want) {
		c.T.Fatalf("%.100q: %q, want %q", line, got, want)
	}
}

// login is as far as MAIL.
func (c *client) login() {
	c.T.Helper()
	c.Reply()
	c.expect("EHLO me.example", "250-")
	c.expect("AUTH PLAIN AGFubgBwYXNz", "235 2.7.0 Logged in.")
}

// Scripts in testdata/transcripts are given to our server and to Dovecot.
func TestAnswersAreDovecots(t *testing.T) {
	dovecot.Need(t)
	theirRelay, ourRelay := startMTA(t), startMTA(t)
	theirConf, _ := site(t, theirRelay.settings()...)
	theirs := dovecot.ServeSubmission(t, theirConf)
	ourConf, _ := site(t, ourRelay.settings()...)
	ours, _ := start(t, ourConf)
	paths, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want, got := dial(t, theirs.SubmissionAddr).Run(string(script)), dial(t, ours).Run(string(script))
			for i := range max(len(want), len(got)) {
				if i >= len(want) || i >= len(got) || want[i] != got[i] {
					t.Fatalf("after %q\ndovecot %q\nwe      %q", got[:min(i, len(got))], want[min(i, len(want)):], got[min(i, len(got)):])
				}
			}
			if want, got := relayed(theirRelay), relayed(ourRelay); !slices.Equal(want, got) {
				t.Errorf("Dovecot relays\n%q\nwe relay\n%q", want, got)
			}
		})
	}
}

// relayed are the messages that a relay has got. Without CHUNKING a message ends with a line end, whether it had one or not.
func relayed(m *mta) []string {
	_, list := m.got()
	for i := range list {
		list[i] = strings.TrimSuffix(masked(list[i]), "\r\n")
	}
	return list
}

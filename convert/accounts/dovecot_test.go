package accounts

import (
	"context"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"dovetail/formats/disk"
	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/couriersite"
	"dovetail/formats/formatstest/dovecot"
)

// server is a real Dovecot with the configuration that Config writes.
type server struct {
	t *testing.T
	*dovecot.Daemon
}

// quick takes the pauses out that Dovecot makes after a wrong password.
const quick = `service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`

// serve starts Dovecot with what was written: the daemon's own list of users is empty.
func serve(t *testing.T, conf string) *server {
	t.Helper()
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	nobody := filepath.Join(t.TempDir(), "nobody")
	if err := os.WriteFile(nobody, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s := &server{t, dovecot.Serve(t, nobody, string(text), quick, "base_dir = "+shortDir(t))}
	client.Dial(t, client.IMAP, s.IMAPAddr, s.Log).Next() // it is there when it greets
	return s
}

// shortDir is for sockets: their paths are 108 bytes at most, and a test's own folder has its name in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dovetail")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (s *server) doveadm(args ...string) (string, error) {
	out, err := exec.Command("doveadm", append([]string{"-c", s.Config()}, args...)...).CombinedOutput()
	return string(out), err
}

// knows asks whether a user may log in to a service with a password.
func (s *server) knows(service, user, password string) bool {
	s.t.Helper()
	out, err := s.doveadm("auth", "test", "-x", "service="+service, user, password)
	switch {
	case err == nil && strings.Contains(out, "auth succeeded"):
		return true
	case err != nil && strings.Contains(out, "auth failed"):
		return false
	}
	s.t.Errorf("%s as %s: %v\n%s\n%s", user, service, err, out, s.Log())
	return false
}

// home asks where a user's mail is.
func (s *server) home(user string) string {
	s.t.Helper()
	out, err := s.doveadm("user", "-f", "home", user)
	if err != nil {
		s.t.Errorf("%s: %v\n%s\n%s", user, err, out, s.Log())
	}
	return strings.TrimSpace(out)
}

// carry reads one list and writes another, for real.
func carry(t *testing.T, src, dst Place, o Options) *Report {
	t.Helper()
	ctx := context.Background()
	list, err := Read(ctx, src)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Prepare(ctx, list, src, dst, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Apply(ctx); err != nil {
		t.Fatal(err)
	}
	return plan.Report
}

func place(t *testing.T, spec, root string) Place {
	t.Helper()
	p, err := ParsePlace(spec, root)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// outside is a folder that Dovecot's other users can look into.
func outside(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// dovecotReads makes files for the user whom Dovecot's auth process runs as, as the verb does for root.
func dovecotReads(t *testing.T) *disk.FS {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("dovecot")
	if err != nil {
		t.Fatal(err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return &disk.FS{Own: true, UID: uid, GID: gid}
}

func TestEveryAccountOfTheSiteLogsIntoRealDovecot(t *testing.T) {
	dovecot.Need(t)
	site := couriersite.Unpack(t)
	for _, tc := range []struct {
		name, source string
		preferHash   bool
	}{
		{"from vpopmail, clear text", "vpopmail:/home/vpopmail", false},
		{"from vpopmail, hashes", "vpopmail:/home/vpopmail", true},
		{"from Courier's userdb", "userdb:/etc/courier/userdb", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			users := filepath.Join(outside(t), "users")
			report := carry(t, place(t, tc.source, site.Root), place(t, "passwd-file:"+users, ""), Options{PreferHash: tc.preferHash, FS: dovecotReads(t)})
			if report.Totals.Carried != 17 || report.LeftOver() {
				t.Errorf("report %+v", report)
			}
			checkLogins(t, serve(t, users+".conf"), site, strings.HasPrefix(tc.source, "vpopmail"))
		})
	}
}

// checkLogins tries every account of the truth. All of them at once: Dovecot lets who failed wait half a second.
func checkLogins(t *testing.T, s *server, site *couriersite.Site, aliases bool) {
	t.Helper()
	var all sync.WaitGroup
	for name, u := range site.Users {
		local, domain, _ := strings.Cut(name, "@")
		addresses := []string{name}
		for alias, real := range site.Aliases {
			if aliases && real == domain {
				addresses = append(addresses, local+"@"+alias)
			}
		}
		for _, address := range addresses {
			all.Go(func() { s.check(address, u) })
		}
	}
	all.Wait()
}

// check asks for each service, with the right password and a wrong one, and where the mail is.
func (s *server) check(address string, u couriersite.User) {
	for _, x := range []struct {
		service, password string
		want              bool
	}{
		{"imap", u.Password, u.IMAPAllowed},
		{"pop3", u.Password, u.POP3Allowed},
		{"smtp", u.Password, true},
		{"smtp", u.Password + "x", false},
		{"smtp", "", false},
	} {
		if got := s.knows(x.service, address, x.password); got != x.want {
			s.t.Errorf("%s, %s with %q: %v, want %v", address, x.service, x.password, got, x.want)
		}
	}
	if got, want := s.home(address), "/"+filepath.Dir(u.Maildir); got != want {
		s.t.Errorf("%s: home %s, want %s", address, got, want)
	}
}

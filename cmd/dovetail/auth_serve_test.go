package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dovetail/auth"
	"dovetail/auth/socket"
)

// served is "dovetail auth serve" as a process of its own.
type served struct {
	*exec.Cmd
	dir string
	log *lockedBuffer
	t   *testing.T
}

type lockedBuffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{} // closed by the next Write
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	return l.b.Write(p)
}

// wait goes on until what was written fits, or nothing more comes for a minute.
func (l *lockedBuffer) wait(fits func(string) bool) bool {
	for {
		l.mu.Lock()
		if l.more == nil {
			l.more = make(chan struct{})
		}
		text, more := l.b.String(), l.more
		l.mu.Unlock()
		if fits(text) {
			return true
		}
		select {
		case <-more:
		case <-time.After(time.Minute):
			return false
		}
	}
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const servedConf = `protocols = none
ssl = no
base_dir = %DIR%/run
auth_mechanisms = plain login
auth_failure_delay = 0
auth_verbose = yes
auth_cache_size = 1M
default_internal_user = %USER%
default_login_user = %USER%
first_valid_uid = 1
passdb {
  driver = passwd-file
  args = scheme=PLAIN %DIR%/users
}
userdb {
  driver = passwd-file
  args = %DIR%/users
}
service auth {
  unix_listener %DIR%/queue/auth {
    mode = 0660
  }
  unix_listener %DIR%/no/such/folder/auth {
    mode = 0660
  }
}
`

// serveAuth starts it and waits until it tells that it is ready, or ends.
func serveAuth(t *testing.T, dir string) *served {
	t.Helper()
	return serveConf(t, dir, servedConf)
}

// serveConf does that with another configuration, in which %DIR% and %USER% are replaced.
func serveConf(t *testing.T, dir, conf string) *served {
	t.Helper()
	whoami, err := exec.Command("id", "-un").Output()
	if err != nil {
		t.Skipf("whoever runs it must have a name: %v", err)
	}
	conf = strings.NewReplacer("%DIR%", dir, "%USER%", strings.TrimSpace(string(whoami))).Replace(conf)
	for name, text := range map[string]string{"dovecot.conf": conf, "users": "alice:wonder:1001:1001::/home/alice::\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "queue"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "notify")
	os.Remove(path)
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	s := &served{exec.Command("dovetail", "auth", "serve", "-c", filepath.Join(dir, "dovecot.conf")), dir, &lockedBuffer{}, t}
	s.Env = append(os.Environ(), "NOTIFY_SOCKET="+path)
	s.Stderr = s.log
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Process.Kill()
		s.Wait()
	})
	notify.SetReadDeadline(time.Now().Add(time.Minute))
	said := make([]byte, 100)
	n, err := notify.Read(said)
	if err != nil || string(said[:n]) != "READY=1" {
		t.Fatalf("%q, %v\n%s", said[:n], err, s.log)
	}
	return s
}

// The sockets are there when it says that it is ready, with their modes; it answers on them, empties its cache on SIGHUP
// and takes its sockets away when SIGTERM ends it.
func TestAuthServe(t *testing.T) {
	dir, err := os.MkdirTemp("", "auth") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := serveAuth(t, dir)
	ctx := t.Context()
	for name, mode := range map[string]os.FileMode{
		"queue/auth": 0o660, "run/auth-client": 0o600, "run/auth-login": 0o600, "run/auth-userdb": 0o666,
		"run/auth-master": 0o600, "run/login/login": 0o666, "run/token-login/tokenlogin": 0o666,
	} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.Mode() != mode|os.ModeSocket {
			t.Errorf("R-460 %s: %v, %v; want mode %v", name, st, err, mode)
		}
	}
	logins, err := socket.DialLogins(ctx, filepath.Join(dir, "queue/auth"))
	if err != nil {
		t.Fatal(err)
	}
	defer logins.Close()
	for password, want := range map[string]bool{"wonder": true, "wrong": false} {
		r, _, err := logins.Login(ctx, auth.Request{Service: "smtp"}, "PLAIN", []byte("\x00alice\x00"+password), nil)
		if err != nil || r.OK != want {
			t.Errorf("%s: %+v, %v", password, r, err)
		}
	}
	users, err := socket.DialUsers(ctx, filepath.Join(dir, "run/auth-master"))
	if err != nil {
		t.Fatal(err)
	}
	defer users.Close()
	if u, err := users.User(ctx, auth.Request{Service: "smtp"}, "alice"); err != nil || u.Home != "/home/alice" {
		t.Errorf("%+v, %v", u, err)
	}
	second := exec.Command("dovetail", "auth", "serve", "-c", filepath.Join(dir, "dovecot.conf"))
	if out, err := second.CombinedOutput(); err == nil || !strings.Contains(string(out), "another program listens on it") {
		t.Errorf("a second one: %v\n%s", err, out)
	}
	s.signal(ctx, unix.SIGHUP, users)
	if err := s.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(); err != nil {
		t.Errorf("%v\n%s", err, s.log)
	}
	for _, want := range []string{
		"auth: Info: listening on ", "no/such/folder does not exist", "auth: Info: passwd-file(alice): Password mismatch",
		"auth: Info: SIGHUP received, ",
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, s.log)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "queue/auth")); err == nil {
		t.Error("its socket is still there")
	}
	serveAuth(t, dir) // and can be started again
}

// signal sends a signal and waits until its effect is in the log: requests in between let time pass.
func (s *served) signal(ctx context.Context, sig os.Signal, users *socket.Users) {
	s.t.Helper()
	if err := s.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
	for range 100000 {
		if strings.Contains(s.log.String(), "SIGHUP received") {
			return
		}
		if _, err := users.User(ctx, auth.Request{Service: "smtp"}, "alice"); err != nil {
			s.t.Fatal(err)
		}
	}
}

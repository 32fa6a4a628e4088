package authconf

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"dovetail/auth"
	"dovetail/serve/config"
)

// site is a configuration with its files in one folder.
type site struct {
	t    testing.TB
	dir  string // DIR in texts
	conf string
	log  journal
}

// journal is a log that many may write at once.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *journal) Reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text.Reset()
}

// newSite writes files and a dovecot.conf in whose texts DIR is the folder.
func newSite(t testing.TB, conf string, files map[string]string) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "authconf-") // short, and for other users, as Dovecot reads it too
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: dir, conf: filepath.Join(dir, "dovecot.conf")}
	s.write("dovecot.conf", conf)
	for name, text := range files {
		s.write(name, text)
	}
	return s
}

func (s *site) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", s.dir)), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// build makes the service.
func (s *site) build() (*auth.Service, error) {
	s.t.Helper()
	c, problems := config.Load(context.Background(), s.conf, config.Options{Expand: true})
	if c == nil || problems.Fatal() != nil {
		s.t.Fatalf("%+v", problems.Fatal())
	}
	service, err := Build(context.Background(), c, nil, slog.New(lines{&s.log}))
	if err == nil {
		s.t.Cleanup(func() { service.Close() })
	}
	return service, err
}

func (s *site) must() *auth.Service {
	s.t.Helper()
	service, err := s.build()
	if err != nil {
		s.t.Fatal(err)
	}
	return service
}

// lines is a log with a level and a text in each line.
type lines struct{ to *journal }

func (l lines) Enabled(context.Context, slog.Level) bool { return true }
func (l lines) Handle(_ context.Context, r slog.Record) error {
	l.to.mu.Lock()
	defer l.to.mu.Unlock()
	_, err := fmt.Fprintf(&l.to.text, "%s: %s\n", r.Level, r.Message)
	return err
}
func (l lines) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l lines) WithGroup(string) slog.Handler      { return l }

const fileChain = `passdb {
  driver = passwd-file
  args = scheme=PLAIN DIR/users
}
userdb {
  driver = passwd-file
  args = DIR/users
}
auth_failure_delay = 0
`

func TestAConfigurationLogsIn(t *testing.T) {
	for dialect, conf := range map[string]string{
		"2.3": fileChain,
		"2.4": "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\nauth_failure_delay = 0\npasswd_file_path = DIR/users\n" +
			"passdb passwd-file {\n  default_password_scheme = plain\n}\nuserdb passwd-file {\n}\n",
	} {
		t.Run(dialect, func(t *testing.T) {
			s := newSite(t, conf, map[string]string{"users": "ann:secret:1001:1002::/h/ann::fa=1 userdb_x=2\n"})
			service := s.must()
			reply := service.Login(context.Background(), auth.Request{Service: "imap"}, "ANN", "secret")
			if !reply.OK || reply.User != "ann" || reply.Fields.Value("fa") != "1" {
				t.Fatalf("%+v\n%s", reply, s.log.String())
			}
			user, err := service.Finish(context.Background(), reply)
			if err != nil || user.UID != 1001 || user.GID != 1002 || user.Home != "/h/ann" || user.Fields.Value("x") != "2" {
				t.Errorf("%+v, %v\n%s", user, err, s.log.String())
			}
			if reply := service.Login(context.Background(), auth.Request{Service: "imap"}, "ann", "wrong"); reply.OK || reply.Code != auth.CodeNone {
				t.Errorf("a wrong password: %+v", reply)
			}
		})
	}
}

func TestOwnAddressesOfProxies(t *testing.T) {
	files := map[string]string{"users": "ann:secret:1001:1002::::proxy_maybe=y host=192.0.2.5\n"}
	s := newSite(t, fileChain+"auth_proxy_self = 192.0.2.4 192.0.2.5\n", files)
	reply := s.must().Login(context.Background(), auth.Request{Service: "imap"}, "ann", "secret")
	if !reply.OK || reply.Fields.Has("proxy") || reply.Fields.Has("host") {
		t.Errorf("%+v\n%s", reply, s.log.String())
	}
	s = newSite(t, fileChain+"auth_proxy_self = 192.0.2.4 mail.example\n", files)
	if _, err := s.build(); err == nil || !strings.Contains(err.Error(), `auth_proxy_self: "mail.example" is no address`) {
		t.Errorf("a name: %v", err)
	}
}

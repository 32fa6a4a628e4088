package imap_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dovetail/auth"
	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/serve"
	"dovetail/serve/authconf"
	"dovetail/serve/config"
	"dovetail/serve/imap"
	"dovetail/sync/watch"
)

// server is ours, with one user, who is let in with any password.
type server struct {
	t       testing.TB
	address string
	log     *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start serves mailLocation as dovecot.New does, with further settings.
func start(t testing.TB, mailLocation string, settings ...string) *server {
	t.Helper()
	return startWith(t, append([]string{static(mailLocation)}, settings...)...)
}

// static is a configuration for one user.
func static(mailLocation string) string {
	return `mail_location = ` + mailLocation + `
namespace inbox {
  inbox = yes
  separator = /
}
passdb {
  driver = static
  args = nopassword=y
}`
}

// prepared is what a server is made of.
type prepared struct {
	config  *config.Config
	service *auth.Service
	log     *slog.Logger
	text    *syncBuffer // of log
}

// prepare reads a configuration.
func prepare(t testing.TB, settings ...string) *prepared {
	t.Helper()
	dir := dovecot.TempDir(t)
	uid, gid := dovecot.IDs()
	text := fmt.Sprintf(`protocols = imap
ssl = no
disable_plaintext_auth = no
mail_max_userip_connections = 0
userdb {
  driver = static
  args = uid=%[1]d gid=%[2]d home=%[3]s
}
%[4]s
`, uid, gid, filepath.Join(dir, "home"), strings.Join(settings, "\n"))
	path := filepath.Join(dir, "dovecot.conf")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p := &prepared{text: &syncBuffer{}}
	live, problems := config.Start(t.Context(), path, config.Options{Expand: true})
	if live == nil {
		t.Fatal(problems.Fatal())
	}
	p.log = slog.New(slog.NewTextHandler(p.text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p.config = live.Config()
	var err error
	p.service, err = authconf.Build(t.Context(), p.config, nil, p.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.service.Close() })
	return p
}

// serve makes a server that is still to be run and whose Hub is still to be closed.
func (p *prepared) serve(t testing.TB, l serve.Listener) *imap.Protocol {
	t.Helper()
	mail := &imap.Protocol{Hub: watch.NewHub(time.Hour), Log: p.log} // what sessions are told of, the kernel has told us, not the clock
	mail.Hub.Hold, mail.Hub.Linger = mail.Stores.Hold, time.Minute
	var err error
	mail.Server, err = serve.New(serve.Options{Config: p.config, Auth: p.service, Log: p.log, Protocols: map[string]serve.Protocol{"imap": mail},
		Listeners: []serve.Listener{l}})
	if err != nil {
		t.Fatal(err)
	}
	return mail
}

// startWith serves a configuration.
func startWith(t testing.TB, settings ...string) *server {
	t.Helper()
	return startSet(t, func(*imap.Protocol) {}, settings...)
}

// startSet serves a configuration, in a way that set may change.
func startSet(t testing.TB, set func(*imap.Protocol), settings ...string) *server {
	t.Helper()
	p := prepare(t, settings...)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, address: l.Addr().String(), log: p.text}
	mail := p.serve(t, serve.Listener{Listener: l, Protocol: "imap"})
	set(mail)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mail.Server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended: %v", err)
		}
		if err := mail.Hub.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// dial starts a session that is not logged in; the greeting is still to be read.
func (s *server) dial() *client.Session {
	s.t.Helper()
	return client.Dial(s.t, client.IMAP, s.address, s.log.String)
}

// login starts a session of the user.
func (s *server) login() *client.Session {
	s.t.Helper()
	return s.loginAs("tester")
}

// loginAs starts a session of another user.
func (s *server) loginAs(user string) *client.Session {
	s.t.Helper()
	c := s.dial()
	c.Next()
	c.Cmd("LOGIN " + user + " x")
	return c
}

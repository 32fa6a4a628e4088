package imap_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/serve"
	"dovetail/serve/imap"
	"dovetail/serve/servetest"
	"dovetail/sync/watch"
)

// server is ours, with one user, who is let in with any password.
type server struct {
	t       testing.TB
	address string
	log     *servetest.Log
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
type prepared struct{ *servetest.Prepared }

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
	return &prepared{servetest.Prepare(t, path)}
}

// serve makes a server that is still to be run and whose Hub is still to be closed.
func (p *prepared) serve(t testing.TB, l serve.Listener) *imap.Protocol {
	t.Helper()
	mail := &imap.Protocol{Hub: watch.NewHub(time.Hour), Log: p.Logger} // what sessions are told of, the kernel has told us, not the clock
	mail.Hub.Hold, mail.Hub.Linger = mail.Stores.Hold, time.Minute
	mail.Server = p.Server("imap", mail, l)
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
	l := servetest.Listen(t)
	s := &server{t: t, address: l.Addr().String(), log: p.Log}
	mail := p.serve(t, l)
	set(mail)
	servetest.Run(t, mail.Server, mail.Hub.Close)
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

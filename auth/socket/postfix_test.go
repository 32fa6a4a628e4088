package socket_test

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/auth/passwdfile"
	"dovetail/auth/socket"
)

// postfix is one that lets in whom our service knows.
type postfix struct {
	*authtest.Postfix
	t testing.TB
}

// startPostfix runs it until the test ends; path is smtpd_sasl_path.
func startPostfix(t *testing.T, path string) *postfix {
	t.Helper()
	return &postfix{authtest.StartPostfix(t, `smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = `+path+`
smtpd_sasl_security_options = noanonymous
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
local_recipient_maps =`), t}
}

// session is one SMTP session after EHLO.
func (p *postfix) session() *talk {
	p.t.Helper()
	c := dial(p.t, p.SMTP)
	c.reply("220")
	c.send("EHLO client.example.org\r")
	if text := c.reply("250"); !strings.Contains(text, "AUTH PLAIN LOGIN CRAM-MD5") {
		p.t.Fatalf("EHLO offers %q\n%s", text, p.Log())
	}
	return c
}

// reply reads an SMTP reply of one or more lines, which must have this code.
func (c *talk) reply(code string) string {
	c.t.Helper()
	var text strings.Builder
	for {
		line := strings.TrimSuffix(c.next(), "\r")
		text.WriteString(line + "\n")
		if !strings.HasPrefix(line, code) {
			c.t.Fatalf("got %q, want %s", text.String(), code)
		}
		if len(line) < 4 || line[3] != '-' {
			return text.String()
		}
	}
}

// smtpAuth tries the ways to log in, each in a session of its own that start makes.
func smtpAuth(t *testing.T, start func() *talk) {
	t.Helper()
	for _, x := range []struct{ password, code string }{{"wonder", "235"}, {"wrong", "535"}} {
		c := start()
		c.send("AUTH PLAIN " + b64("\x00alice\x00"+x.password) + "\r")
		c.reply(x.code)

		c = start()
		c.send("AUTH PLAIN\r")
		c.reply("334")
		c.send(b64("\x00alice\x00"+x.password) + "\r")
		c.reply(x.code)

		c = start()
		c.send("AUTH LOGIN\r")
		c.reply("334")
		c.send(b64("alice") + "\r")
		c.reply("334")
		c.send(b64(x.password) + "\r")
		c.reply(x.code)

		c = start()
		c.send("AUTH CRAM-MD5\r")
		challenge := strings.TrimSpace(strings.TrimPrefix(c.reply("334"), "334 "))
		text, err := base64.StdEncoding.DecodeString(challenge)
		if err != nil {
			t.Fatalf("challenge %q: %v", challenge, err)
		}
		mac := hmac.New(md5.New, []byte(x.password))
		mac.Write(text)
		c.send(b64(fmt.Sprintf("alice %x", mac.Sum(nil))) + "\r")
		c.reply(x.code)
	}
}

// A real Postfix lets users in and keeps others out as our service says.
func TestPostfixAuthenticates(t *testing.T) {
	for _, way := range []string{"unix socket", "R-105 TCP"} {
		t.Run(way, func(t *testing.T) {
			s := newServer(t)
			path := ""
			if way == "unix socket" {
				path = s.listen("auth", 0o666)
			} else {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				s.serve(l, socket.Client, "auth")
				path = "inet:" + l.Addr().String()
			}
			p := startPostfix(t, path)
			defer func() {
				if t.Failed() {
					t.Logf("maillog:\n%s\nour log:\n%s", p.Log(), s.log)
				}
			}()
			smtpAuth(t, p.session)
			c := p.session()
			c.send("AUTH PLAIN !!!\r")
			c.reply("5")
			c.send("AUTH LOGIN\r")
			c.reply("334")
			c.send("*\r")
			c.reply("501") // given up
			c.send("AUTH PLAIN " + b64("\x00alice\x00wonder") + "\r")
			c.reply("235")
			c.send("MAIL FROM:<alice@example.org>\r")
			c.reply("250")
		})
	}
}

// away is a database whose server can be away.
type away struct {
	auth.PassDB
	is atomic.Bool
}

func (a *away) Find(ctx context.Context, r *auth.Request) (auth.Fields, error) {
	if a.is.Load() {
		return nil, errors.New("Connect failed to database")
	}
	return a.PassDB.Find(ctx, r)
}

// newAwayServer is one with such a database.
func newAwayServer(t *testing.T) (*server, *away) {
	t.Helper()
	log := &logged{}
	db := &away{PassDB: passwdfile.NewPassDB(passwdfile.Options{Files: files(t, write(t, tempDir(t), "users", accounts))})}
	service, err := auth.New(auth.Options{Mechanisms: []string{"PLAIN", "LOGIN", "CRAM-MD5"}, Log: slog.New(log)},
		[]auth.PassEntry{{Driver: "sql", DB: db, Scheme: "PLAIN", ImportAll: true}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { service.Close() })
	return &server{&socket.Server{Auth: service, Log: slog.New(log)}, log, tempDir(t), t}, db
}

// A database that is away is no wrong password for a client of Postfix: it tries again later, and is let in once the
// database is back.
func TestPostfixTellsOfATemporaryFailure(t *testing.T) {
	s, db := newAwayServer(t)
	p := startPostfix(t, s.listen("auth", 0o666))
	for _, x := range []struct {
		away bool
		code string
	}{{true, "454"}, {false, "235"}, {true, "454"}, {false, "235"}} {
		db.is.Store(x.away)
		c := p.session()
		c.send("AUTH PLAIN " + b64("\x00alice\x00wonder") + "\r")
		c.reply(x.code)
	}
}

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
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"dovetail/auth"
	"dovetail/auth/passwdfile"
	"dovetail/auth/socket"
)

// postfix is a private instance: its own queue and configuration, and smtpd on a unix socket in place of a port.
type postfix struct {
	smtp string
	log  string
	t    testing.TB
}

const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.example.org
inet_interfaces = loopback-only
inet_protocols = ipv4
maillog_file = %[1]s/maillog
maillog_file_prefixes = %[1]s
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = %[2]s
smtpd_sasl_security_options = noanonymous
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
local_recipient_maps =
`

const postfixMaster = `smtp unix n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
rewrite unix - - n - - trivial-rewrite
cleanup unix n - n - 0 cleanup
proxymap unix - - n - - proxymap
`

// startPostfix runs it until the test ends; path is smtpd_sasl_path.
func startPostfix(t *testing.T, path string) *postfix {
	t.Helper()
	const master = "/usr/lib/postfix/sbin/master"
	if _, err := os.Stat(master); err != nil {
		t.Skipf("Postfix is not installed: %v (apt-get install postfix)", err)
	}
	if os.Getuid() != 0 {
		t.Skip("Postfix is started by root only")
	}
	dir := tempDir(t)
	for _, sub := range []string{"conf", "queue", "data"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	conf := filepath.Join(dir, "conf")
	write(t, conf, "main.cf", fmt.Sprintf(postfixMain, dir, path))
	write(t, conf, "master.cf", postfixMaster)
	if out, err := exec.Command("chown", "postfix", filepath.Join(dir, "data")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command("postfix", "-c", conf, "check").CombinedOutput(); err != nil {
		t.Fatalf("postfix check: %v\n%s", err, out)
	}
	// -w: it returns when all sockets are there, -d would stay with our descriptors.
	cmd := exec.Command(master, "-w", "-c", conf)
	cmd.Env = append(os.Environ(), "MAIL_CONFIG="+conf)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("postfix: %v\n%s", err, out)
	}
	p := &postfix{smtp: filepath.Join(dir, "queue/public/smtp"), log: filepath.Join(dir, "maillog"), t: t}
	pidFile := filepath.Join(dir, "queue/pid/master.pid")
	t.Cleanup(func() { stopPostfix(t, pidFile) })
	return p
}

// stopPostfix ends the master of this instance, and with it all of its process group.
func stopPostfix(t *testing.T, pidFile string) {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Error(err)
		return
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil || pid < 2 {
		t.Errorf("pid file %q: %v", text, err)
		return
	}
	lock, err := os.Open(pidFile)
	if err != nil {
		t.Error(err)
		return
	}
	defer lock.Close()
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	syscall.Flock(int(lock.Fd()), syscall.LOCK_EX) // the master holds it as long as it lives
}

// session is one SMTP session after EHLO.
func (p *postfix) session() *talk {
	p.t.Helper()
	c := dial(p.t, p.smtp)
	c.reply("220")
	c.send("EHLO client.example.org\r")
	if text := c.reply("250"); !strings.Contains(text, "AUTH PLAIN LOGIN CRAM-MD5") {
		p.t.Fatalf("EHLO offers %q\n%s", text, p.logText())
	}
	return c
}

func (p *postfix) logText() string {
	b, _ := os.ReadFile(p.log)
	return string(b)
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
					t.Logf("maillog:\n%s\nour log:\n%s", p.logText(), s.log)
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

package socket_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dovetail/auth"
	"dovetail/auth/passwdfile"
	"dovetail/auth/socket"
	"dovetail/formats/conf/variable"
)

// accounts are what all tests of this package authenticate against, with our service and with Dovecot's.
const accounts = `alice:{PLAIN}wonder:1001:1001::/home/alice::userdb_quota_rule=*:storage=1G
bob:{PLAIN}builder:1002:1002::/home/bob::nologin reason=closed allow_nets=127.0.0.0/8
carol:{PLAIN}secret:1003:1003::/home/carol::proxy host=10.0.0.9 user=caroline
dave:{PLAIN}x:8:12::/home/dave::nodelay
`

// denied are refused whatever their password is.
const denied = "mallory\n"

var mechanisms = []string{"PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "ANONYMOUS", "EXTERNAL", "OAUTHBEARER", "XOAUTH2"}

// logged is the text of all log lines of a test.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Enabled(context.Context, slog.Level) bool { return true }
func (l *logged) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logged) WithGroup(string) slog.Handler            { return l }

func (l *logged) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(&l.text, "%s: %s\n", r.Level, r.Message)
	return nil
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// tempDir is short: the path of a socket can have 107 bytes, and everybody may look into it.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func template(t testing.TB, text string) *variable.Template {
	t.Helper()
	tpl, err := variable.Parse23(text)
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

func files(t testing.TB, path string) *passwdfile.Files {
	t.Helper()
	f, err := passwdfile.NewFiles(template(t, path), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// service is ours, with accounts in a passwd-file.
func service(t testing.TB, log slog.Handler, accounts string) *auth.Service {
	t.Helper()
	dir := tempDir(t)
	users := files(t, write(t, dir, "users", accounts))
	deny := files(t, write(t, dir, "deny", denied))
	s, err := auth.New(auth.Options{
		Chars:      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890.-_@",
		Format:     template(t, "%Lu"),
		Mechanisms: mechanisms, Anonymous: "nobody", Verbose: true, AllowWeak: true,
		Log: slog.New(log), FirstUID: 1,
	}, []auth.PassEntry{
		{Driver: "passwd-file", DB: passwdfile.NewPassDB(passwdfile.Options{Files: deny}), Deny: true, ImportAll: true},
		{Driver: "passwd-file", DB: passwdfile.NewPassDB(passwdfile.Options{Files: users}), Scheme: "PLAIN", ImportAll: true},
	}, []auth.UserEntry{
		{Driver: "passwd-file", DB: passwdfile.NewUserDB(passwdfile.Options{Files: users}), ImportAll: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// server serves a service on sockets in a folder of its own, each named like its kind; the test ends it.
type server struct {
	*socket.Server
	log *logged
	dir string
	t   testing.TB
}

func newServer(t testing.TB) *server {
	t.Helper()
	return newServerWith(t, accounts)
}

func newServerWith(t testing.TB, accounts string) *server {
	t.Helper()
	log := &logged{}
	return &server{&socket.Server{Auth: service(t, log, accounts), Log: slog.New(log)}, log, tempDir(t), t}
}

// listen opens a socket and gives its path.
func (s *server) listen(name string, mode os.FileMode) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	l, err := socket.ListenFile(socket.File{Path: path, Mode: mode, UID: -1, GID: -1})
	if err != nil {
		s.t.Fatal(err)
	}
	s.serve(l, socket.KindOf(path), path)
	return path
}

func (s *server) serve(l net.Listener, kind socket.Kind, name string) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l, kind, name) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("serve %s: %v", name, err)
		}
	})
}

// talk is a connection on which lines are written by hand.
type talk struct {
	net.Conn
	in *bufio.Reader
	t  testing.TB
}

func dial(t testing.TB, path string) *talk {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(path, "/") {
		network = "unix"
	}
	c, err := net.Dial(network, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute)) // a server that hangs fails the test
	return &talk{c, bufio.NewReader(c), t}
}

func (c *talk) send(lines ...string) {
	c.t.Helper()
	if _, err := io.WriteString(c, strings.Join(lines, "\n")+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

// next is the next line, "EOF" at the end.
func (c *talk) next() string {
	c.t.Helper()
	line, err := c.in.ReadString('\n')
	if err != nil {
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			c.t.Fatalf("no line within a minute: %v", err)
		}
		return "EOF"
	}
	return strings.TrimSuffix(line, "\n")
}

// greeting reads up to the word that ends it.
func (c *talk) greeting(until string) (lines []string) {
	c.t.Helper()
	for {
		line := c.next()
		lines = append(lines, line)
		word, _, _ := strings.Cut(line, "\t")
		if word == until {
			return lines
		}
		if line == "EOF" {
			c.t.Fatalf("greeting %q", lines)
		}
	}
}

// value is what stands behind a word of a greeting.
func value(greeting []string, word string) string {
	for _, line := range greeting {
		if v, ok := strings.CutPrefix(line, word+"\t"); ok {
			return v
		}
	}
	return ""
}

func (c *talk) want(lines ...string) {
	c.t.Helper()
	for _, want := range lines {
		if got := c.next(); got != want {
			c.t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// plain is resp= of PLAIN.
func plain(authzid, user, password string) string {
	return "resp=" + b64(authzid+"\x00"+user+"\x00"+password)
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// hands shakes hands on a SASL socket.
func sasl(t testing.TB, path string, pid int) (*talk, []string) {
	t.Helper()
	c := dial(t, path)
	greeting := c.greeting("DONE")
	c.send("VERSION\t1\t2", fmt.Sprintf("CPID\t%d", pid))
	return c, greeting
}

// master shakes hands on a userdb or master socket.
func master(t testing.TB, path string) *talk {
	t.Helper()
	c := dial(t, path)
	c.greeting("SPID")
	c.send("VERSION\t1\t1")
	return c
}

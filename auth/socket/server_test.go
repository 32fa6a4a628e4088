package socket_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"dovetail/auth"
	"dovetail/auth/socket"
)

// slow is a database that answers when it is told to, or when it is no longer asked.
type slow struct {
	asked, answer chan struct{}
	gaveUp        chan struct{}
}

func (s *slow) Find(ctx context.Context, r *auth.Request) (auth.Fields, error) {
	if r.User != "slow" {
		return auth.Fields{{Key: "password", Value: "{PLAIN}wonder"}}, nil
	}
	s.asked <- struct{}{}
	select {
	case <-s.answer:
		return auth.Fields{{Key: "password", Value: "{PLAIN}wonder"}}, nil
	case <-ctx.Done():
		close(s.gaveUp)
		return nil, ctx.Err()
	}
}

func newSlowServer(t *testing.T) (*server, *slow) {
	t.Helper()
	log := &logged{}
	db := &slow{make(chan struct{}), make(chan struct{}), make(chan struct{})}
	service, err := auth.New(auth.Options{Mechanisms: []string{"PLAIN"}, Log: slog.New(log)},
		[]auth.PassEntry{{Driver: "sql", DB: db, ImportAll: true}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { service.Close() })
	return &server{&socket.Server{Auth: service, Log: slog.New(log)}, log, tempDir(t), t}, db
}

func authLine(id int, user string) string {
	return fmt.Sprintf("AUTH\t%d\tPLAIN\tservice=smtp\t%s", id, plain("", user, "wonder"))
}

func TestRequests(t *testing.T) {
	t.Run("a slow one does not hold up others", func(t *testing.T) {
		s, db := newSlowServer(t)
		c, _ := sasl(t, s.listen("auth", 0o600), 1)
		c.send(authLine(1, "slow"))
		<-db.asked
		c.send(authLine(2, "fast"))
		c.want("OK\t2\tuser=fast")
		close(db.answer)
		c.want("OK\t1\tuser=slow")
	})
	t.Run("CANCEL ends the lookup and leaves no answer", func(t *testing.T) {
		s, db := newSlowServer(t)
		c, _ := sasl(t, s.listen("auth", 0o600), 1)
		c.send(authLine(1, "slow"))
		<-db.asked
		c.send("CANCEL\t1")
		<-db.gaveUp
		c.send(authLine(1, "fast")) // the number is free again
		c.want("OK\t1\tuser=fast")
	})
	t.Run("a client that goes ends its lookups", func(t *testing.T) {
		s, db := newSlowServer(t)
		c, _ := sasl(t, s.listen("auth", 0o600), 1)
		c.send(authLine(1, "slow"))
		<-db.asked
		c.Close()
		<-db.gaveUp
		if want := "auth client 0 disconnected with 1 pending requests: EOF"; !strings.Contains(s.log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, s.log)
		}
	})
	t.Run("too many at once are refused for now", func(t *testing.T) {
		s, db := newSlowServer(t)
		s.Requests = 1
		c, _ := sasl(t, s.listen("auth", 0o600), 1)
		c.send(authLine(1, "slow"))
		<-db.asked
		c.send(authLine(2, "fast"))
		c.want("FAIL\t2\tcode=temp_fail\treason=Too many authentication requests")
		close(db.answer)
		c.want("OK\t1\tuser=slow")
		c.send(authLine(3, "fast"))
		c.want("OK\t3\tuser=fast")
	})
	t.Run("a conversation that nobody continues is forgotten", func(t *testing.T) {
		s, _ := newSlowServer(t)
		s.RequestTimeout = time.Millisecond
		c, _ := sasl(t, s.listen("auth", 0o600), 1)
		c.send("AUTH\t1\tPLAIN\tservice=smtp")
		c.want("CONT\t1\t")
		for !strings.Contains(s.log.String(), "Request timed out waiting for client to continue authentication") {
			runtime.Gosched()
		}
		c.send("CONT\t1\t" + b64("\x00fast\x00wonder"))
		c.want("FAIL\t1\treason=Authentication request timed out")
	})
	t.Run("a continuation that nobody asked for", func(t *testing.T) {
		s, db := newSlowServer(t)
		c, _ := sasl(t, s.listen("auth", 0o600), 1)
		c.send(authLine(1, "slow"))
		<-db.asked
		c.send("CONT\t1\t" + b64("\x00fast\x00wonder"))
		c.want("FAIL\t1\treason=Unexpected continuation")
		<-db.gaveUp
	})
}

func TestConnections(t *testing.T) {
	t.Run("lines have a limit", func(t *testing.T) {
		s := newServer(t)
		for name, limit := range map[string]int{"auth": 16384, "auth-master": 1024} {
			c := dial(t, s.listen(name, 0o600))
			c.send(strings.Repeat("x", limit))
			for line := c.next(); line != "EOF"; line = c.next() {
				if strings.HasPrefix(line, "OK") {
					t.Errorf("%s: %q", name, line)
				}
			}
			if want := fmt.Sprintf("sent us more than %d bytes", limit); !strings.Contains(s.log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, s.log)
			}
		}
	})
	t.Run("the longest line is taken", func(t *testing.T) {
		s := newServer(t)
		c, _ := sasl(t, s.listen("auth", 0o600), 1)
		line := authLine(1, "alice")
		at := strings.Index(line, "\tresp=")
		c.send(line[:at] + "\tx=" + strings.Repeat("x", 16383-len(line)-3) + line[at:])
		if got := c.next(); !strings.HasPrefix(got, "OK\t1\tuser=alice") {
			t.Error(got)
		}
	})
	t.Run("who does not say who he is, is sent away", func(t *testing.T) {
		s := newServer(t)
		s.HandshakeTimeout = time.Millisecond
		for _, name := range []string{"auth", "auth-userdb"} {
			c := dial(t, s.listen(name, 0o666))
			for c.next() != "EOF" {
			}
		}
	})
	t.Run("more wait until one ends", func(t *testing.T) {
		s := newServer(t)
		s.Connections = 1
		path := s.listen("auth", 0o600)
		first, _ := sasl(t, path, 1)
		first.send(authLine(1, "alice"))
		first.next()
		second := dial(t, path)
		first.Close()
		second.greeting("DONE")
	})
	t.Run("a client that does not read is cut off", func(t *testing.T) {
		s := newServer(t)
		s.WriteTimeout = 10 * time.Millisecond
		path := s.listen("auth-userdb", 0o600)
		c := master(t, path)
		c.Conn.(*net.UnixConn).SetReadBuffer(1)
		c.SetWriteDeadline(time.Now().Add(time.Minute))
		for range 1000000 {
			if _, err := c.Write([]byte("USER\t1\talice\tservice=x\n")); err != nil {
				return
			}
		}
		t.Error("a million answers are held for it")
	})
	t.Run("words that end lines or look like others", func(t *testing.T) {
		s := newServer(t)
		c := master(t, s.listen("auth-userdb", 0o600))
		for i, name := range []string{"a\tb", "a\nUSER\t9\talice\tservice=x", "a\x00b", "\x01", "../../etc/passwd", strings.Repeat("a", 900), "alice\r", "%u", "*"} {
			c.send(fmt.Sprintf("USER\t%d\t%s\tservice=x", i+1, socket.Escape(name)))
			c.want(fmt.Sprintf("NOTFOUND\t%d", i+1))
		}
		c.send("USER\t1\ta\x00b\tservice=x")
		c.want("EOF")
	})
	t.Run("the log has no passwords and no lines of a client", func(t *testing.T) {
		s := newServer(t)
		path := s.listen("auth", 0o600)
		for _, line := range []string{
			authLine(1, "alice"), "CONT\t7\t" + b64("\x00alice\x00hush"), "hush", "AUTH\thush", "hush\tAUTH",
			"AUTH\t1\tPLAIN\tservice=smtp\tresp=\x02hush", "AUTH\t1\tPLAIN\tservice=smtp\tresp=" + b64("hush"),
			"AUTH\t1\tPLAIN\tservice=smtp\tresp=" + b64("\x00al\nice\x00hush"), "FOO\x1b[2J\tpass=hush",
		} {
			c, _ := sasl(t, path, 1)
			c.send(line, "END")
			for c.next() != "EOF" {
			}
		}
		for name, until := range map[string]string{"auth": "DONE", "auth-userdb": "SPID", "auth-master": "SPID", "auth-login": "DONE"} {
			if name != "auth" {
				path = s.listen(name, 0o600)
			}
			for _, hello := range []string{"", "VERSION\t1\t1\n", "VERSION\t1\t2\n"} { // a handshake missed out, or the wrong socket
				for _, line := range []string{authLine(1, "alice"), "CONT\t1\t" + b64("hush"), "AUTH=" + b64("hush"), "PASS\thush", "REQUEST\t1\t2\t3\t" + b64("hush")} {
					c := dial(t, path)
					c.greeting(until)
					c.send(hello+line, "END", "END")
					for c.next() != "EOF" {
					}
				}
			}
		}
		for _, bad := range []string{"wonder", b64("hush"), b64("\x00alice\x00wonder"), "\x1b", "pass=hush", "\x02"} {
			if strings.Contains(s.log.String(), bad) {
				t.Errorf("the log has %q:\n%s", bad, s.log)
			}
		}
	})
}

// A process that connects anew finds its number free at once; two at a time cannot have one.
func TestLoginProcessesHaveOneConnection(t *testing.T) {
	s := newServer(t)
	path := s.listen("auth-login", 0o600)
	for range 50 {
		c, _ := sasl(t, path, 4711)
		c.send(authLine(1, "alice"))
		if got := c.next(); !strings.HasPrefix(got, "OK\t1") {
			t.Fatalf("%q\n%s", got, s.log)
		}
		c.Close()
	}
	first, _ := sasl(t, path, 4711)
	first.send(authLine(1, "alice"))
	first.next()
	second, _ := sasl(t, path, 4711)
	second.want("EOF")
	if want := "BUG: Authentication client gave a PID 4711 of existing connection"; !strings.Contains(s.log.String(), want) {
		t.Errorf("the log lacks %q:\n%s", want, s.log)
	}
	first.send(authLine(2, "alice"))
	if got := first.next(); !strings.HasPrefix(got, "OK\t2") {
		t.Errorf("the first has lost its connection: %q", got)
	}
}

// The end of a connection on which a login was made ends what it was good for.
func TestR458ALoginEndsWithItsConnection(t *testing.T) {
	s := newServer(t)
	c, greeting := sasl(t, s.listen("auth-login", 0o600), 4711)
	m := master(t, s.listen("auth-master", 0o600))
	c.send(authLine(1, "alice"))
	c.next()
	c.Close()
	m.send("REQUEST\t1\t4711\t1\t" + value(greeting, "COOKIE"))
	m.want("FAIL\t1")
}

// A token that one service got with a login opens another one, for that user and once the secret is known only to ours.
func TestTokens(t *testing.T) {
	s := newServer(t)
	c, greeting := sasl(t, s.listen("auth-login", 0o600), 4711)
	m := master(t, s.listen("auth-master", 0o600))
	c.send("AUTH\t1\tPLAIN\tservice=imap\tsession=abc\t" + plain("", "alice", "wonder"))
	c.next()
	m.send(fmt.Sprintf("REQUEST\t1\t4711\t1\t%s\tsession_pid=%d\trequest_auth_token", value(greeting, "COOKIE"), os.Getpid()))
	_, token, ok := strings.Cut(m.next(), "auth_token=")
	if !ok {
		t.Fatal("no token")
	}
	k, greeting := sasl(t, s.listen("auth-tokenlogin", 0o600), 4712)
	if got := value(greeting, "MECH"); got != "DOVECOT-TOKEN" {
		t.Errorf("offers %q", got)
	}
	for i, x := range []struct{ service, user, session, token, want string }{
		{"imap", "alice", "abc", token, "OK"}, {"imap", "bob", "abc", token, "FAIL"}, {"pop3", "alice", "abc", token, "FAIL"},
		{"imap", "alice", "abd", token, "FAIL"}, {"imap", "alice", "abc", "", "FAIL"},
	} {
		k.send(fmt.Sprintf("AUTH\t%d\tDOVECOT-TOKEN\tservice=imap-urlauth\tresp=%s", i+1,
			b64(strings.Join([]string{x.service, fmt.Sprint(os.Getpid()), x.user, x.session, x.token}, "\x00"))))
		if got := k.next(); !strings.HasPrefix(got, fmt.Sprintf("%s\t%d\tuser=%s", x.want, i+1, x.user)) {
			t.Errorf("%+v: %q", x, got)
		}
	}
	m.send("REQUEST\t2\t4712\t1\t" + value(greeting, "COOKIE"))
	if got := m.next(); !strings.HasPrefix(got, "USER\t2\talice\t") {
		t.Error(got)
	}
}

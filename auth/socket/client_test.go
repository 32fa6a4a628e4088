package socket_test

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"dovetail/auth"
	"dovetail/auth/socket"
)

// Our client asks real Dovecot and our server; both tell it the same.
func TestClientAsksDovecotAndUs(t *testing.T) {
	j, ours := newJudge(t), newServer(t)
	for _, kind := range []string{"client", "login", "master", "userdb"} {
		ours.listen("test-"+kind, 0o666)
	}
	for who, dir := range map[string]string{"Dovecot": j.dir, "ours": ours.dir} {
		at := func(kind string) string { return filepath.Join(dir, "test-"+kind) }
		t.Run(who+", users", func(t *testing.T) { askUsers(t, at("userdb")) })
		t.Run(who+", logins", func(t *testing.T) { askLogins(t, at("client")) })
		t.Run(who+", both halves of a login", func(t *testing.T) { askBoth(t, at("login"), at("master")) })
		t.Run(who+", a socket of another kind", func(t *testing.T) {
			if _, err := socket.DialUsers(t.Context(), at("client")); err == nil {
				u, err := socket.DialUsers(t.Context(), at("client"))
				if err == nil {
					_, err = u.User(t.Context(), auth.Request{Service: "x"}, "alice")
				}
				if err == nil {
					t.Error("a client socket looked up a user")
				}
			}
		})
	}
}

func askUsers(t *testing.T, path string) {
	ctx, r := t.Context(), auth.Request{Service: "lmtp", Session: "a\tb"}
	u, err := socket.DialUsers(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	got, err := u.User(ctx, r, "ALICE")
	if err != nil || got.Name != "alice" || got.UID != 1001 || !got.HasGID || got.Home != "/home/alice" || got.Fields.Value("quota_rule") != "*:storage=1G" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, name := range []string{"nosuch", "a\tb", "a\nb", "", strings.Repeat("x", 2000)} {
		if _, err := u.User(ctx, r, name); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%q: %v", name, err)
		}
	}
	fields, err := u.Pass(ctx, r, "carol")
	if err != nil || fields.Value("user") != "caroline" || fields.Value("host") != "10.0.0.9" || !fields.Has("proxy") {
		t.Errorf("%+v, %v", fields, err)
	}
	if _, err := u.Pass(ctx, r, "mallory"); !errors.Is(err, auth.ErrUnknown) {
		t.Error(err)
	}
	var names []string
	for name, err := range u.All(ctx, r, "*") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if !slices.Equal(names, []string{"alice", "bob", "carol", "dave"}) {
		t.Errorf("listed %q", names)
	}
	for range u.All(ctx, r, "") { // whoever has seen enough stops
		break
	}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			want := []string{"alice", "bob", "carol", "dave"}[i%4]
			if got, err := u.User(ctx, r, want); err != nil || got.Name != want {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	all.Wait()
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := u.User(gone, r, "alice"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got, err := u.User(ctx, r, "dave"); err != nil || got.UID != 8 {
		t.Errorf("after a lookup that was given up: %+v, %v", got, err)
	}
}

func askLogins(t *testing.T, path string) {
	ctx, r := t.Context(), auth.Request{Service: "smtp"}
	l, err := socket.DialLogins(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var names []string
	for _, m := range l.Mechanisms() {
		names = append(names, m.Name)
	}
	if !slices.Equal(names, mechanisms) || !l.Mechanisms()[0].Plaintext || !l.Mechanisms()[3].MutualAuth {
		t.Errorf("offered are %+v", l.Mechanisms())
	}
	for _, password := range []string{"wonder", "wrong"} {
		reply, _, err := l.Login(ctx, r, "PLAIN", []byte("\x00alice\x00"+password), nil)
		if err != nil || reply.OK != (password == "wonder") || reply.User != "alice" {
			t.Errorf("%s: %+v, %v", password, reply, err)
		}
		reply, _, err = l.Login(ctx, r, "CRAM-MD5", nil, func(_ context.Context, challenge []byte) ([]byte, error) {
			mac := hmac.New(md5.New, []byte(password))
			mac.Write(challenge)
			return fmt.Appendf(nil, "alice %x", mac.Sum(nil)), nil
		})
		if err != nil || reply.OK != (password == "wonder") {
			t.Errorf("CRAM-MD5, %s: %+v, %v", password, reply, err)
		}
	}
	reply, _, err := l.Login(ctx, r, "PLAIN", []byte("\x00mallory\x00x"), nil)
	if err != nil || reply.OK || reply.Code != auth.CodeUserDisabled {
		t.Errorf("%+v, %v", reply, err)
	}
	r.Remote = netip.MustParseAddrPort("127.0.0.1:1")
	reply, _, err = l.Login(ctx, r, "PLAIN", []byte("\x00bob\x00builder"), nil)
	if err != nil || !reply.OK || !reply.Fields.Has("nologin") || reply.Reason != "closed" {
		t.Errorf("%+v, %v", reply, err)
	}
	enough := errors.New("enough")
	if _, _, err = l.Login(ctx, r, "LOGIN", nil, func(context.Context, []byte) ([]byte, error) { return nil, enough }); err != enough {
		t.Errorf("a client that gives up: %v", err)
	}
	if reply, _, err = l.Login(ctx, r, "PLAIN", []byte("\x00alice\x00wonder"), nil); err != nil || !reply.OK {
		t.Errorf("after that: %+v, %v", reply, err)
	}
	if reply, _, err = l.Login(ctx, r, "PLAIN", []byte("\x00alice\x00"+strings.Repeat("x", 1<<20)), nil); err != nil || reply.OK {
		t.Errorf("a password of a megabyte: %+v, %v", reply, err)
	}
	if reply, _, err = l.Login(ctx, r, "PLAIN", []byte("\x00alice\x00wonder"), nil); err != nil || !reply.OK {
		t.Errorf("after that: %+v, %v", reply, err)
	}
}

func askBoth(t *testing.T, login, master string) {
	ctx, r := t.Context(), auth.Request{Service: "imap"}
	l, err := socket.DialLogins(ctx, login)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m, err := socket.DialUsers(ctx, master)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	reply, ticket, err := l.Login(ctx, r, "PLAIN", []byte("\x00alice\x00wonder"), nil)
	if err != nil || !reply.OK {
		t.Fatalf("%+v, %v", reply, err)
	}
	u, err := m.Finish(ctx, ticket, os.Getpid())
	if err != nil || u.Name != "alice" || u.UID != 1001 || u.Fields.Value("auth_mech") != "PLAIN" {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := m.Finish(ctx, ticket, os.Getpid()); !errors.Is(err, socket.ErrLookup) {
		t.Errorf("again: %v", err)
	}
	if n, err := m.Flush(ctx, "alice"); err != nil || n != 0 {
		t.Errorf("flushed %d, %v", n, err)
	}
}

// A service that was restarted is asked again without an error.
func TestClientConnectsAgain(t *testing.T) {
	first := newServer(t)
	path := filepath.Join(tempDir(t), "auth-userdb")
	clientPath := filepath.Join(filepath.Dir(path), "auth")
	start := func() func() {
		ctx, cancel := context.WithCancel(context.Background())
		var served sync.WaitGroup
		for _, p := range []string{path, clientPath} {
			l, err := socket.ListenFile(socket.File{Path: p, Mode: 0o600, UID: -1, GID: -1})
			if err != nil {
				t.Fatal(err)
			}
			served.Go(func() { first.Serve(ctx, l, socket.KindOf(p), p) })
		}
		return func() { cancel(); served.Wait() }
	}
	stop := start()
	ctx := t.Context()
	u, err := socket.DialUsers(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	l, err := socket.DialLogins(ctx, clientPath)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 5 {
		if _, err := u.User(ctx, auth.Request{Service: "x"}, "alice"); err != nil {
			t.Fatal(err)
		}
		if r, _, err := l.Login(ctx, auth.Request{Service: "x"}, "PLAIN", []byte("\x00alice\x00wonder"), nil); err != nil || !r.OK {
			t.Fatal(r, err)
		}
		stop()
		if _, err := u.User(ctx, auth.Request{Service: "x"}, "alice"); err == nil {
			t.Error("nobody answered, and there was an answer")
		}
		stop = start()
	}
	stop()
}

// What a broken or hostile server says is an error and no panic.
func TestClientOfAServerThatIsNone(t *testing.T) {
	for _, said := range []string{
		"", "HTTP/1.0 200 OK\n", "VERSION\t2\t0\n", "VERSION\n", "VERSION\t1\t1\nVERSION\t1\t1\n", "SPID\t1\n", "\n",
		"VERSION\t1\t1\nSPID\t1\nUSER\n", "VERSION\t1\t1\nSPID\t1\nUSER\tx\n", "VERSION\t1\t1\nSPID\t1\nUSER\t1\n",
		"VERSION\t1\t1\nSPID\t1\nUSER\t1\talice\tuid=x\n", "VERSION\t1\t1\nSPID\t1\nOK\t1\n", "VERSION\t1\t1\nSPID\t1\n",
		"VERSION\t1\t1\nSPID\t1\nFAIL\t1\treason=x\n", strings.Repeat("x", 2<<20),
	} {
		path := filepath.Join(tempDir(t), "s")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Write([]byte(said))
				c.(*net.UnixConn).CloseWrite()
			}
		}()
		u, err := socket.DialUsers(t.Context(), path)
		if err == nil {
			_, err = u.User(t.Context(), auth.Request{Service: "x"}, "alice")
			u.Close()
		}
		if err == nil {
			t.Errorf("%.40q was an answer", said)
		}
	}
}

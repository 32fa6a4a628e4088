package socket_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"dovetail/auth/socket"
)

func TestKindOf(t *testing.T) {
	for path, want := range map[string]socket.Kind{
		"/run/dovecot/auth-client": socket.Client, "/run/dovecot/auth-login": socket.Login, "/run/dovecot/login/login": socket.Login,
		"/run/dovecot/token-login/tokenlogin": socket.TokenLogin, "/x/auth-userdb": socket.UserDB, "foo-userdb": socket.UserDB,
		"/x/auth-master": socket.Master, "bar-client": socket.Client, "/var/spool/postfix/private/auth": socket.Client,
		"/x-master/plainname": socket.Client, "/x/userdb": socket.UserDB, "/x/auth-userdb2": socket.Client, "": socket.Client,
	} {
		if got := socket.KindOf(path); got != want {
			t.Errorf("R-455 %q is %v, want %v", path, got, want)
		}
	}
	for _, x := range []struct {
		word, path string
		want       socket.Kind
	}{
		{"", "auth-userdb", socket.UserDB}, {"default", "auth-master", socket.Master}, {"auth", "auth-userdb", socket.Client},
		{"userdb", "/x/auth", socket.UserDB}, {"token-login", "/x", socket.TokenLogin}, {"login", "", socket.Login},
	} {
		if got := socket.KindNamed(x.word, x.path); got != x.want {
			t.Errorf("type %q of %q is %v, want %v", x.word, x.path, got, x.want)
		}
	}
}

func listenFile(t *testing.T, path string, mode fs.FileMode) (net.Listener, error) {
	t.Helper()
	l, err := socket.ListenFile(socket.File{Path: path, Mode: mode, UID: -1, GID: -1})
	if err == nil {
		t.Cleanup(func() { l.Close() })
	}
	return l, err
}

func TestListenFile(t *testing.T) {
	t.Run("the mode is what was asked for whatever the umask", func(t *testing.T) {
		for _, mode := range []fs.FileMode{0o600, 0o660, 0o666, 0o777} {
			path := filepath.Join(tempDir(t), "s")
			if _, err := listenFile(t, path, mode); err != nil {
				t.Fatal(err)
			}
			if st, err := os.Lstat(path); err != nil || st.Mode() != mode|fs.ModeSocket {
				t.Errorf("%v, %v; want %v", st, err, mode)
			}
		}
	})
	t.Run("owner and group", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("only root gives sockets away")
		}
		path := filepath.Join(tempDir(t), "s")
		l, err := socket.ListenFile(socket.File{Path: path, Mode: 0o660, UID: 1234, GID: 4321})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		st, err := os.Lstat(path)
		if sys := st.Sys().(*syscall.Stat_t); err != nil || sys.Uid != 1234 || sys.Gid != 4321 || st.Mode().Perm() != 0o660 {
			t.Errorf("%+v, %v", sys, err)
		}
	})
	t.Run("R-445 a socket on which nobody listens is replaced", func(t *testing.T) {
		path := filepath.Join(tempDir(t), "s")
		old, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		old.(*net.UnixListener).SetUnlinkOnClose(false)
		old.Close()
		if _, err := listenFile(t, path, 0o600); err != nil {
			t.Error(err)
		}
	})
	t.Run("one on which somebody listens is not", func(t *testing.T) {
		path := filepath.Join(tempDir(t), "s")
		if _, err := listenFile(t, path, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := listenFile(t, path, 0o600); !errors.Is(err, socket.ErrInUse) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("files and links are left alone", func(t *testing.T) {
		dir := tempDir(t)
		file := write(t, dir, "file", "precious")
		link := filepath.Join(dir, "link")
		if err := os.Symlink(file, link); err != nil {
			t.Fatal(err)
		}
		dangling := filepath.Join(dir, "dangling")
		if err := os.Symlink(filepath.Join(dir, "elsewhere"), dangling); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{file, link, dangling, dir} {
			if _, err := listenFile(t, path, 0o600); !errors.Is(err, fs.ErrExist) {
				t.Errorf("%s: %v", path, err)
			}
		}
		if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
			t.Errorf("%q, %v", b, err)
		}
		if _, err := os.Lstat(filepath.Join(dir, "elsewhere")); err == nil {
			t.Error("a dangling link was followed")
		}
	})
	t.Run("a path that is too long", func(t *testing.T) {
		_, err := listenFile(t, "/"+strings.Repeat("x", 107), 0o600)
		if err == nil || !strings.Contains(err.Error(), "108 bytes and a socket's can have 107") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a missing folder is made on request", func(t *testing.T) {
		path := filepath.Join(tempDir(t), "a/b/s")
		if _, err := listenFile(t, path, 0o600); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
		l, err := socket.ListenFile(socket.File{Path: path, Mode: 0o600, UID: -1, GID: -1, MakeParent: true})
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	})
	t.Run("closing removes its own socket and no other", func(t *testing.T) {
		path := filepath.Join(tempDir(t), "s")
		l, err := listenFile(t, path, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		os.Remove(path)
		write(t, filepath.Dir(path), "s", "another's")
		l.Close()
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	})
}

// While a socket of mode 0600 is made and removed a hundred times, another user tries to connect without a pause.
func TestR434NobodyElseConnectsWhileASocketIsMade(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can try as somebody else")
	}
	path := filepath.Join(tempDir(t), "s")
	var tried, connected atomic.Int64
	stop := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		// Root without its rights is another user for the file system: the thread is thrown away afterwards.
		done <- asNobody(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				tried.Add(1)
				if c, err := net.Dial("unix", path); err == nil {
					connected.Add(1)
					c.Close()
				}
			}
		})
	}()
	for range 100 {
		before := tried.Load()
		l, err := listenFile(t, path, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		for tried.Load() < before+3 && len(done) == 0 {
			l.Addr()
		}
		l.Close()
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if connected.Load() != 0 {
		t.Errorf("%d of %d tries connected", connected.Load(), tried.Load())
	}
}

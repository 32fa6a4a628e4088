package authconf

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/auth/authtest"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/serve/config"
)

// listening opens the sockets of a configuration and serves them until the test ends.
func (s *site) listening() (*Sockets, error) {
	s.t.Helper()
	c, problems := config.Load(context.Background(), s.conf, config.Options{Expand: true, Getenv: os.Getenv})
	if c == nil || problems.Fatal() != nil {
		s.t.Fatalf("%+v", problems.Fatal())
	}
	sockets, err := Listen(context.Background(), c, slog.New(lines{&s.log}))
	if err != nil {
		return nil, err
	}
	service, err := Build(context.Background(), c, nil, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sockets.Serve(ctx, service) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
		service.Close()
	})
	return sockets, nil
}

// greets gives the words with which the lines of a greeting begin.
func greets(t *testing.T, address string) string {
	t.Helper()
	network := "tcp"
	if filepath.IsAbs(address) {
		network = "unix"
	}
	c, err := net.Dial(network, address)
	if err != nil {
		return "nobody"
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	var got []string
	for in := bufio.NewScanner(c); in.Scan(); {
		word, rest, _ := strings.Cut(in.Text(), "\t")
		switch {
		case word == "MECH":
			word = rest
		case word == "VERSION":
			word = in.Text()
		}
		got = append(got, word)
		if word == "DONE" || word == "SPID" && len(got) == 2 {
			break
		}
	}
	return strings.Join(got, "|")
}

const socketsConf = `base_dir = DIR/run
state_dir = DIR/state
log_path = DIR/log
ssl = no
protocols = none
listen = 127.0.0.1
auth_mechanisms = plain login
%[1]s
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=1000 gid=1000 home=/home/%%u allow_all_users=yes
}
service auth {
  unix_listener DIR/queue/private/auth {
    mode = 0660
    %[2]s
  }
  unix_listener DIR/foo-userdb {
    mode = 0666
  }
  unix_listener bar-client {
    mode = 0600
  }
  unix_listener DIR/plainname {
    mode = 0640
  }
  unix_listener DIR/x-login {
    mode = 0666
  }
  unix_listener DIR/x-master {
    mode = 0
  }
  inet_listener {
    port = %[3]d
  }
  inet_listener some-login {
    port = %[4]d
  }
}
`

// The sockets of a configuration are those that real Dovecot makes of it: which, with what mode and owner, and what each
// says first.
func TestR459SocketsAreThoseOfDovecot(t *testing.T) {
	var all [2]map[string]string
	for i, start := range []func(*site){startDovecot, func(s *site) {
		if _, err := s.listening(); err != nil {
			t.Fatal(err)
		}
	}} {
		owner, ids := "", ""
		if os.Getuid() == 0 {
			owner = "user = mail\n    group = mail"
		} else {
			ids = ownIDs(t)
		}
		ports := []int{authtest.FreePort(t), authtest.FreePort(t)}
		s := newSite(t, fmt.Sprintf(socketsConf, ids, owner, ports[0], ports[1]), map[string]string{"queue/private/x": ""})
		start(s)
		all[i] = map[string]string{
			"R-455 an inet_listener":              greets(t, fmt.Sprintf("127.0.0.1:%d", ports[0])),
			"an inet_listener named like a login": greets(t, fmt.Sprintf("127.0.0.1:%d", ports[1])),
		}
		for _, name := range []string{
			"queue/private/auth", "foo-userdb", "run/bar-client", "plainname", "x-login", "x-master", "run/auth-client",
			"run/auth-login", "run/auth-userdb", "run/auth-master", "run/login/login", "run/token-login/tokenlogin",
		} {
			out, _ := exec.Command("stat", "-c", "%A %U:%G", filepath.Join(s.dir, name)).CombinedOutput()
			what := strings.TrimSpace(string(out))
			if strings.Contains(what, "No such file") {
				what = "none"
			}
			all[i]["R-455 R-460 "+name] = what + " " + greets(t, filepath.Join(s.dir, name))
		}
		if os.Getuid() == 0 { // Dovecot of another user has no group for them
			for _, name := range []string{"run/login", "run/token-login"} {
				out, _ := exec.Command("stat", "-c", "%A %U:%G", filepath.Join(s.dir, name)).CombinedOutput()
				all[i][name] = strings.TrimSpace(string(out))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all[0])) {
		if all[0][name] != all[1][name] {
			t.Errorf("%s\n got %q\nwant %q", name, all[1][name], all[0][name])
		}
	}
}

// ownIDs are settings for whoever runs the test.
func ownIDs(t *testing.T) string {
	t.Helper()
	user, err := exec.Command("id", "-un").Output()
	if err != nil {
		t.Skipf("Dovecot wants its user to have a name: %v", err)
	}
	group, err := exec.Command("id", "-gn").Output()
	if err != nil {
		t.Skipf("Dovecot wants its group to have a name: %v", err)
	}
	return fmt.Sprintf("default_internal_user = %[1]s\ndefault_login_user = %[1]s\ndefault_internal_group = %[2]s",
		strings.TrimSpace(string(user)), strings.TrimSpace(string(group)))
}

// startDovecot runs a real one; without -F it returns when all sockets are there.
func startDovecot(s *site) {
	s.t.Helper()
	dovecot.Need(s.t)
	// What it says goes to a file: its processes would hold a pipe as long as they live.
	out, err := os.Create(filepath.Join(s.dir, "said"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("dovecot", "-c", s.conf)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		s.t.Fatalf("dovecot: %v\n%s", err, said)
	}
	s.t.Cleanup(func() {
		if out, err := exec.Command("doveadm", "-c", s.conf, "stop").CombinedOutput(); err != nil {
			s.t.Errorf("doveadm stop: %v\n%s", err, out)
		}
	})
}

func TestSocketsThatCannotBe(t *testing.T) {
	const head = "ssl = no\nprotocols = none\nbase_dir = DIR/run\nlisten = 127.0.0.1\ndefault_internal_user = NOBODY\ndefault_login_user = NOBODY\n"
	me, err := exec.Command("id", "-un").Output()
	if err != nil {
		t.Skipf("whoever runs it must have a name: %v", err)
	}
	for _, x := range []struct{ name, conf, want string }{
		{"an unknown user", "service auth {\n  unix_listener DIR/auth {\n    mode = 0600\n    user = no-such-user\n  }\n}\n", "unix_listener DIR/auth: user: unknown user no-such-user"},
		{"something that is no socket", "service auth {\n  unix_listener DIR/file {\n    mode = 0600\n  }\n}\n", "DIR/file: there is something that is not a socket"},
		{"HAProxy", "service auth {\n  inet_listener x {\n    port = 12345\n    haproxy = yes\n  }\n}\n", "inet_listener x: the auth protocol is spoken without TLS and without HAProxy's header"},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := newSite(t, strings.ReplaceAll(head, "NOBODY", strings.TrimSpace(string(me)))+x.conf, map[string]string{"file": "precious"})
			_, err := s.listening()
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), s.dir, "DIR"), x.want) {
				t.Errorf("got %v, want %q", err, x.want)
			}
			left, _ := filepath.Glob(filepath.Join(s.dir, "run/*"))
			left = slices.DeleteFunc(left, func(path string) bool { st, err := os.Stat(path); return err == nil && st.IsDir() })
			if len(left) > 0 {
				t.Errorf("left open: %q", left)
			}
		})
	}
}

// In 2.4 a setting says what a socket is; without it its name does.
func TestSocketTypesOf24(t *testing.T) {
	me, err := exec.Command("id", "-un").Output()
	if err != nil {
		t.Skipf("whoever runs it must have a name: %v", err)
	}
	s := newSite(t, strings.ReplaceAll(`dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = DIR/run
protocols =
ssl = no
default_internal_user = NOBODY
default_internal_group = GROUP
default_login_user = NOBODY
auth_mechanisms = plain
passdb static {
  password = x
}
service auth {
  unix_listener DIR/a {
    type = userdb
    mode = 0600
  }
  unix_listener DIR/a-userdb {
    type = login
    mode = 0600
  }
  unix_listener DIR/b-master {
    mode = 0600
  }
}
`, "NOBODY", strings.TrimSpace(string(me))), nil)
	group, _ := exec.Command("id", "-gn").Output()
	text, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	s.write("dovecot.conf", strings.ReplaceAll(string(text), "GROUP", strings.TrimSpace(string(group))))
	sockets, err := s.listening()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, name := range sockets.Names() {
		got = append(got, strings.TrimPrefix(name, s.dir+"/"))
	}
	slices.Sort(got)
	want := []string{
		"a (userdb)", "a-userdb (login)", "b-master (master)", "run/auth-client (client)", "run/auth-login (login)",
		"run/auth-master (master)", "run/auth-token (token)", "run/auth-userdb (userdb)", "run/login/login (login)",
		"run/token-login/tokenlogin (tokenlogin)",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

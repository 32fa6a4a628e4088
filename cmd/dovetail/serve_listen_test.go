package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dovetail/formats/formatstest/dovecot"
)

// greetedOn tells what a client is greeted with at an address.
func greetedOn(network, address string) string {
	c, err := net.Dial(network, address)
	if err != nil {
		return ""
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	line, _ := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line)
}

// All addresses of a listener are listened on, those of a host's name among them.
func TestR437AllAddressesOfAListener(t *testing.T) {
	s := prepareServer(t, "sdbox")
	s.configure("sdbox")
	s.edit(listenOn("localhost 127.0.0.2"))
	s.start()
	addresses, err := net.LookupHost("localhost")
	if err != nil {
		t.Skip(err)
	}
	for _, ip := range append(addresses, "127.0.0.2") {
		if line := greetedOn("tcp", s.beside(ip)); !strings.HasPrefix(line, "* OK") {
			t.Errorf("%s: %q", ip, line)
		}
	}
	if line := greetedOn("tcp", s.beside("127.0.0.3")); line != "" {
		t.Errorf("%q", line)
	}
}

// "*" is all of IPv4 and "::" all of IPv6, in sockets of their own; from one address to all and back nothing is lost.
func TestR438BothFamiliesHaveSocketsOfTheirOwn(t *testing.T) {
	s := startServer(t, "sdbox")
	v6 := s.beside("::1")
	if l, err := net.Listen("tcp", v6); err != nil {
		t.Skip(err)
	} else {
		l.Close()
	}
	reached := func() (list []string) {
		for _, ip := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
			if greetedOn("tcp", s.beside(ip)) != "" {
				list = append(list, ip)
			}
		}
		return list
	}
	for _, step := range []struct{ addresses, want string }{
		{"*, ::", "[127.0.0.1 127.0.0.2 ::1]"}, {"::", "[::1]"}, {"127.0.0.2", "[127.0.0.2]"}, {"*", "[127.0.0.1 127.0.0.2]"}, {"[::1] 127.0.0.1", "[127.0.0.1 ::1]"},
	} {
		s.edit(func(conf string) string { return listenOn(step.addresses)(withoutAddresses(conf)) })
		s.reload(reloaded)
		if got := fmt.Sprint(reached()); got != step.want {
			t.Errorf("on %s: %s", step.addresses, got)
		}
	}
	// Nobody else gets the port because it was shared for a moment.
	c := net.ListenConfig{Control: nil}
	if l, err := c.Listen(t.Context(), "tcp", s.imap); err == nil {
		t.Error("another program has the port, too")
		l.Close()
	}
}

func withoutAddresses(conf string) string {
	var kept strings.Builder
	for line := range strings.Lines(conf) {
		if !strings.HasPrefix(strings.TrimSpace(line), "address = ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// What is not an address, and what a socket cannot be, keep the server from starting, and nothing is left open.
func TestServeListenersThatCannotBe(t *testing.T) {
	for _, tc := range []struct{ name, settings, want string }{
		{"R-336 an address that is none", "service imap-login {\n  inet_listener imap {\n    address = 987.65.43.21\n  }\n}", "service(imap-login) Can't resolve address 987.65.43.21: Name or service not known"},
		{"R-430 a socket without a folder", "service imap-login {\n  unix_listener %DIR%/nowhere/imap {\n    mode = 0600\n  }\n}", "/nowhere/imap) failed: No such file or directory"},
		{"R-431 a user that does not exist", "service imap-login {\n  unix_listener imap {\n    user = nosuchuser\n    mode = 0600\n  }\n}", "service(imap-login) User doesn't exist: nosuchuser (See service imap-login { unix_listener"},
		{"a group that does not exist", "service imap-login {\n  unix_listener imap {\n    group = nosuchgroup\n    mode = 0600\n  }\n}", "Group doesn't exist: nosuchgroup"},
		{"R-445 two listeners in one place", "service imap-login {\n  inet_listener second {\n    port = %PORT%\n  }\n}", "duplicate listener"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := prepareServer(t, "sdbox")
			s.configure("sdbox", tc.settings)
			s.edit(func(conf string) string {
				return strings.NewReplacer("%PORT%", portOf(t, s), "%DIR%", s.dir).Replace(conf)
			})
			for _, f := range s.ExtraFiles {
				f.Close()
			}
			for name, code := range map[string]int{"dovetail serve": 78, "dovecot -F": 89} {
				out, status := runAs(name, filepath.Join(s.dir, "dovecot.conf"))
				if !strings.Contains(out, tc.want) || status != code {
					t.Errorf("%s: exit code %d\n%s", name, status, out)
				}
			}
			if line := greetedOn("tcp", s.imap); line != "" {
				t.Errorf("%q", line)
			}
		})
	}
}

func portOf(t *testing.T, s *mailServer) string {
	_, port, err := net.SplitHostPort(s.imap)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// runAs runs the server under one of its names, until it gives up.
func runAs(name, conf string) (out string, code int) {
	words := append(strings.Fields(name), "-c", conf)
	path, err := exec.LookPath(words[0])
	if err != nil || words[0] == "dovecot" {
		path = filepath.Join(filepath.SplitList(scriptPath)[0], words[0])
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // where it starts and should not
	defer cancel()
	cmd := exec.CommandContext(ctx, path, words[1:]...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET=")
	text, _ := cmd.CombinedOutput()
	return string(text), cmd.ProcessState.ExitCode()
}

// Sockets in the file system have their owner and mode, a relative path is below base_dir, a mode of 0 is none; they are
// gone after the end, and one that was left behind is replaced.
func TestR430SocketsInTheFileSystem(t *testing.T) {
	s := prepareServer(t, "sdbox")
	uid, gid := dovecot.IDs()
	owner := ""
	if os.Getuid() == 0 {
		owner = fmt.Sprintf("    user = %d\n    group = %d\n", uid, gid)
	}
	s.configure("sdbox", "service imap-login {\n  unix_listener own {\n    mode = 0660\n"+owner+"  }\n  unix_listener none {\n    mode = 0\n  }\n}")
	run := filepath.Join(s.dir, "run")
	if err := os.MkdirAll(run, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(run, "own")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	s.start()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || st.Mode&0o777 != 0o660 || os.Getuid() == 0 && (int(st.Uid) != uid || int(st.Gid) != gid) {
		t.Errorf("%v, mode %o of %d:%d", err, st.Mode, st.Uid, st.Gid)
	}
	if _, err := os.Lstat(filepath.Join(run, "none")); err == nil {
		t.Error("R-433: a mode of 0 makes a socket")
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(c, "a LOGIN ann secret\r\nb SELECT INBOX\r\nc LOGOUT\r\n")
	if said, err := io.ReadAll(c); err != nil || !strings.Contains(string(said), "\r\nb OK ") || strings.Contains(string(said), "LOGINDISABLED") {
		t.Errorf("%q, %v", said, err)
	}
	s.waitForLog("imap-login: Info: Login: user=<ann>, method=PLAIN, mpid=")
	s.Process.Signal(unix.SIGTERM)
	s.Wait()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is still there")
	}
}

// With ssl = no what speaks TLS at once is not opened, and with ssl = yes it is without being told.
func TestR441WithoutTLSItsPortsAreNotOpened(t *testing.T) {
	for setting, open := range map[string]bool{"ssl = no": false, "ssl = yes": true, "ssl = required": true} {
		s := prepareServer(t, "sdbox")
		s.configure("sdbox", setting)
		s.start()
		c, err := net.Dial("tcp", s.tls)
		if (err == nil) != open {
			t.Errorf("R-092 %s: %v", setting, err)
		}
		if err == nil {
			c.Close()
		}
	}
}

// Listeners of any name, and a port of their own each.
func TestR090ListenersOfAnyName(t *testing.T) {
	s := prepareServer(t, "sdbox")
	s.configure("sdbox", "service imap-login {\n  inet_listener courier-was-here {\n    address = 127.0.0.2\n    port = %PORT%\n  }\n  inet_listener other {\n    address = 127.0.0.3\n    port = %PORT%\n    ssl = yes\n  }\n  inet_listener off {\n    address = 127.0.0.4\n    port = 0\n  }\n}")
	s.edit(func(conf string) string {
		return strings.NewReplacer("%PORT%", portOf(t, s), "%DIR%", s.dir).Replace(conf)
	})
	s.start()
	s.dial(s.beside("127.0.0.2")).wants("* OK")
	s.dial(s.beside("127.0.0.3")).mustSecure(anybody).wants("* OK")
	if line := greetedOn("tcp", s.beside("127.0.0.4")); line != "" {
		t.Errorf("R-091: %q", line)
	}
}

// What is set for one of our addresses, a client's network or a name holds for those connections alone.
func TestServeSectionsForAddressesAndNames(t *testing.T) {
	s := prepareServer(t, "sdbox")
	s.configure("sdbox", "login_greeting = Anybody.",
		"local 127.0.0.2 {\n  login_greeting = Second.\n  protocol imap {\n    imap_capability = +X-SECOND\n  }\n}",
		"remote 127.0.0.5 {\n  imap_id_send = name five\n}",
		"remote 127.0.0.6/31 {\n  login_greeting = Network.\n  disable_plaintext_auth = yes\n  ssl = required\n}",
		"local 127.0.0.2 {\n  remote 127.0.0.9 {\n    login_greeting = Both.\n  }\n}",
		"protocol imap {\n  imap_logout_format = gone\n}", "protocol pop3 {\n  login_greeting = No.\n}")
	s.edit(listenOn("127.0.0.1 127.0.0.2"))
	s.start()
	for _, tc := range []struct{ from, to, want string }{
		{"127.0.0.1", "127.0.0.1", "Anybody."}, {"127.0.0.1", "127.0.0.2", "Second."}, {"127.0.0.5", "127.0.0.1", "Anybody."},
		{"127.0.0.9", "127.0.0.2", "Both."}, {"127.0.0.6", "127.0.0.1", "Network."}, {"127.0.0.7", "127.0.0.1", "Network."}, {"127.0.0.8", "127.0.0.1", "Anybody."},
	} {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(tc.from)}}
		conn, err := d.Dial("tcp", s.beside(tc.to))
		if err != nil {
			t.Fatal(err)
		}
		c := &talk{conn, t, bufio.NewReader(conn)}
		line := c.wants("* OK")
		if !strings.HasSuffix(line, "] "+tc.want) {
			t.Errorf("from %s to %s: %q", tc.from, tc.to, line)
		}
		if disabled := strings.Contains(line, "LOGINDISABLED"); disabled != (tc.want == "Network.") {
			t.Errorf("from %s to %s: %q", tc.from, tc.to, line)
		}
		c.say("a LOGIN ann secret\r\nb ID NIL\r\n")
		if tc.want != "Network." {
			if line := c.wants("a OK"); strings.Contains(line, "X-SECOND") != (tc.to == "127.0.0.2") {
				t.Errorf("from %s to %s: %q", tc.from, tc.to, line)
			}
			if line := c.wants("* ID"); strings.Contains(line, `"five"`) != (tc.from == "127.0.0.5") {
				t.Errorf("from %s to %s: %q", tc.from, tc.to, line)
			}
		}
		conn.Close()
	}
	s.waitForLog("Disconnected: Connection closed gone")
}

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"dovetail/formats/formatstest/client"
)

// edit changes the configuration of a server that runs.
func (s *mailServer) edit(change func(conf string) string) {
	s.t.Helper()
	path := filepath.Join(s.dir, "dovecot.conf")
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path+".new", []byte(change(string(text))), 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// reload has the server read its configuration again and waits for a text in what it logs of that.
func (s *mailServer) reload(log string) {
	s.t.Helper()
	before := len(s.log.String())
	if err := s.Process.Signal(unix.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
	if !s.log.wait(func(text string) bool { return strings.Contains(text[before:], log) }) {
		s.t.Fatalf("the log lacks %q", log)
	}
}

// beside is the address of a port on another address of this machine, which nobody else listens on.
func (s *mailServer) beside(ip string) string {
	_, port, err := net.SplitHostPort(s.imap)
	if err != nil {
		s.t.Fatal(err)
	}
	return net.JoinHostPort(ip, port)
}

func (s *mailServer) answersOn(address string) bool {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	defer c.Close()
	n, err := c.Read(make([]byte, 1))
	return n == 1 && err == nil
}

func listenOn(addresses string) func(string) string {
	return func(conf string) string {
		return strings.ReplaceAll(conf, "inet_listener imap {\n", "inet_listener imap {\n    address = "+addresses+"\n")
	}
}

const reloaded = "configuration reloaded"

func TestR273PortsOpenAndCloseOnReload(t *testing.T) {
	s := startServer(t, "sdbox")
	second := s.beside("127.0.0.2")
	if s.answersOn(second) {
		t.Skip("somebody listens on 127.0.0.2")
	}
	old := s.login("ann")
	s.edit(listenOn("127.0.0.1 127.0.0.2"))
	s.reload(reloaded)
	for _, address := range []string{s.imap, second} {
		if !s.answersOn(address) {
			t.Errorf("%s does not answer", address)
		}
	}
	new := client.Dial(t, client.IMAP, second, s.log.String)
	new.Next()
	new.Cmd("LOGIN ann secret")
	s.edit(func(conf string) string {
		return strings.ReplaceAll(conf, "address = 127.0.0.1 127.0.0.2", "address = 127.0.0.2")
	})
	s.reload(reloaded)
	if s.answersOn(s.imap) {
		t.Errorf("%s answers", s.imap)
	}
	if !s.answersOn(second) {
		t.Errorf("%s does not answer", second)
	}
	s.edit(func(conf string) string { return strings.Replace(conf, "protocols = imap", "protocols = none", 1) })
	s.reload(reloaded)
	for _, address := range []string{s.imap, second, s.tls} {
		if s.answersOn(address) {
			t.Errorf("without a protocol %s answers", address)
		}
	}
	for _, c := range []*client.Session{old, new} {
		c.Select("INBOX")
		c.Close()
	}
}

func TestServeAPortThatCannotBeOpenedChangesNothing(t *testing.T) {
	s := startServer(t, "sdbox")
	taken, err := net.Listen("tcp", s.beside("127.0.0.2"))
	if err != nil {
		t.Skip(err)
	}
	defer taken.Close()
	s.edit(func(conf string) string {
		return strings.Replace(listenOn("127.0.0.3 127.0.0.2")(conf), "password=secret", "password=changed", 1)
	})
	s.reload("the old configuration stays: service(imap-login): listen(127.0.0.2, ")
	if s.answersOn(s.beside("127.0.0.3")) {
		t.Error("the port beside it is open")
	}
	s.login("ann").Close()
}

// What a port is for may change while it stays open, and a socket's owner and mode.
func TestServeWhatAPortIsForChangesOnReload(t *testing.T) {
	s := prepareServer(t, "sdbox")
	path := filepath.Join(s.dir, "clients")
	listener := func(mode string) string {
		return fmt.Sprintf("service imap-login {\n  unix_listener %s {\n    mode = %s\n  }\n}\n", path, mode)
	}
	s.configure("sdbox", listener("0600"), "haproxy_trusted_networks = 127.0.0.0/8")
	s.start()
	s.dial(s.imap).wants("* OK")
	s.edit(func(conf string) string {
		conf = strings.Replace(conf, listener("0600"), listener("0666"), 1)
		return strings.ReplaceAll(conf, "inet_listener imap {\n", "inet_listener imap {\n    haproxy = yes\n")
	})
	s.reload(reloaded)
	c := s.dial(s.imap)
	c.say("PROXY TCP4 192.0.2.1 198.51.100.7 4711 143\r\n")
	c.wants("* OK")
	c.say("a LOGIN ann secret\r\n")
	c.wants("a OK")
	s.waitForLog("rip=192.0.2.1, lip=198.51.100.7")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("the socket is %v, %v", info, err)
	}
	local, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	local.Close()
}

// While configurations change, each connection has all from one of them: who is greeted with the words of one has its
// passwords.
func TestServeAConnectionHasAllFromOneConfiguration(t *testing.T) {
	s := startServer(t, "sdbox", "login_greeting = secret")
	done := make(chan struct{})
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			for tries := 0; ; tries++ {
				select {
				case <-done:
					return
				default:
				}
				if text := s.loginWithTheGreeting(); text != "" {
					t.Errorf("try %d: %s", tries, text)
					return
				}
			}
		})
	}
	words := []string{"secret", "changed"}
	for i := range 10 {
		from, to := words[i%2], words[(i+1)%2]
		s.edit(func(conf string) string {
			return strings.NewReplacer("password="+from, "password="+to, "login_greeting = "+from, "login_greeting = "+to).Replace(conf)
		})
		s.reload(reloaded)
	}
	close(done)
	clients.Wait()
}

// loginWithTheGreeting logs in with the password that the server's greeting tells.
func (s *mailServer) loginWithTheGreeting() string {
	c, err := net.Dial("tcp", s.imap)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	t := &talk{c, s.t, nil}
	greeting := t.line()
	fmt.Fprintf(c, "a LOGIN ann %s\r\n", greeting[strings.LastIndexByte(greeting, ' ')+1:])
	if answer := t.line(); !strings.HasPrefix(answer, "a OK") {
		return fmt.Sprintf("greeting %q, answer %q", greeting, answer)
	}
	return ""
}

// line reads byte by byte, for any goroutine.
func (c *talk) line() string {
	var b []byte
	for one := make([]byte, 1); ; b = append(b, one[0]) {
		if _, err := c.Read(one); err != nil || one[0] == '\n' {
			return strings.TrimRight(string(b), "\r")
		}
	}
}

package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dovetail/formats/formatstest/client"
)

// popServer is a server that serves POP3, too.
type popServer struct {
	*mailServer
	pop, pops string // host:port
}

// startPOP3 is startServer with ports for POP3.
func startPOP3(t *testing.T, kind string, settings ...string) *popServer {
	t.Helper()
	s := &popServer{mailServer: prepareServer(t, kind)}
	s.configurePOP3(kind, settings...)
	s.start()
	return s
}

func (s *popServer) configurePOP3(kind string, settings ...string) {
	pop, popPort := handOver(s.t)
	pops, popsPort := handOver(s.t)
	s.pop, s.pops = fmt.Sprintf("127.0.0.1:%d", popPort), fmt.Sprintf("127.0.0.1:%d", popsPort)
	s.configure(kind, append([]string{"protocols = imap pop3", fmt.Sprintf(
		"service pop3-login {\n  inet_listener pop3 {\n    port = %d\n  }\n  inet_listener pop3s {\n    port = %d\n  }\n}", popPort, popsPort)}, settings...)...)
	s.Args[2] = strings.Replace(s.Args[2], "LISTEN_FDS=2", "LISTEN_FDS=4", 1)
	s.ExtraFiles = append(s.ExtraFiles, pop, pops)
}

// LoginPOP starts a POP3 session.
func (s *popServer) LoginPOP(user, password string) client.POP3 {
	s.t.Helper()
	p := client.POP3{Session: client.Dial(s.t, client.POP, s.pop, s.log.String)}
	if greeting := p.Next(); !strings.HasPrefix(greeting, "+OK") {
		s.t.Fatalf("greeting %q", greeting)
	}
	p.Cmd("USER " + user)
	p.Cmd("PASS " + password)
	return p
}

// afar is a connection from another address than the server's, so that it is not taken for a secure one.
func (s *popServer) afar(address string) *talk {
	s.t.Helper()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	c, err := from.Dial("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return &talk{c, s.t, bufio.NewReader(c)}
}

// until gives the lines up to one.
func (c *talk) until(last string) (lines []string) {
	c.t.Helper()
	for line := c.hear(); line != last; line = c.hear() {
		lines = append(lines, line)
	}
	return lines
}

func TestR030POP3(t *testing.T) {
	s := startPOP3(t, "sdbox")
	c := s.dial(s.pop)
	c.wants("+OK")
	for _, step := range [][2]string{{"USER ann", "+OK"}, {"PASS secret", "+OK Logged in."}, {"STAT", "+OK 0 0"}, {"QUIT", "+OK Logging out."}} {
		c.say(step[0] + "\r\n")
		if got := c.hear(); got != step[1] {
			t.Errorf("%s: %q, want %q", step[0], got, step[1])
		}
	}
}

// What Thunderbird does with the settings that people are told: STARTTLS at one port, TLS at the other. With a wrong one it is
// told so before it has shown a password, and Dovecot does the same.
func TestR175WaysToPOP3(t *testing.T) {
	s := startPOP3(t, "sdbox", "disable_plaintext_auth = yes")
	config := s.tlsConfig()
	plain := "AUTH PLAIN AGFubgBzZWNyZXQ=\r\n"
	t.Run("STARTTLS", func(t *testing.T) {
		c := s.afar(s.pop)
		c.wants("+OK")
		c.say("CAPA\r\n")
		if all := strings.Join(c.until("."), " "); !strings.Contains(all, " STLS") || strings.Contains(all, " USER") || strings.Contains(all, "PLAIN") {
			t.Errorf("before: %q", all)
		}
		c.say("STLS\r\n")
		c.wants("+OK Begin TLS negotiation now.")
		over := c.mustSecure(config)
		over.say("CAPA\r\n")
		if all := strings.Join(over.until("."), " "); strings.Contains(all, " STLS") || !strings.Contains(all, " USER SASL PLAIN") {
			t.Errorf("after: %q", all)
		}
		over.say(plain)
		over.wants("+OK Logged in.")
	})
	t.Run("TLS", func(t *testing.T) {
		over := s.afar(s.pops).mustSecure(config)
		over.wants("+OK")
		over.say(plain)
		over.wants("+OK Logged in.")
	})
	t.Run("a password in clear", func(t *testing.T) {
		c := s.afar(s.pop)
		c.wants("+OK")
		c.say("USER ann\r\nPASS secret\r\n" + plain)
		c.wants("-ERR [AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.")
		c.wants("-ERR [AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.")
		c.wants("-ERR [AUTH] Plaintext authentication disabled.")
	})
	t.Run("no TLS at the port for it", func(t *testing.T) {
		c := s.afar(s.pops)
		c.say("USER ann\r\n")
		if line, err := c.r.ReadString('\n'); err == nil && strings.HasPrefix(line, "+OK") {
			t.Errorf("%q", line)
		}
	})
	t.Run("TLS at the port without", func(t *testing.T) {
		if _, err := s.afar(s.pop).secure(config); err == nil {
			t.Error("it was accepted")
		}
	})
}

func TestR269POP3IsOff(t *testing.T) {
	s := &popServer{mailServer: prepareServer(t, "sdbox")}
	s.configurePOP3("sdbox", "protocols = imap", "pop3_lock_session = yes")
	pop := s.ExtraFiles[2:]
	s.ExtraFiles = s.ExtraFiles[:2]
	for _, f := range pop {
		f.Close()
	}
	s.Args[2] = strings.Replace(s.Args[2], "LISTEN_FDS=4", "LISTEN_FDS=2", 1)
	s.start()
	s.login("ann").Close()
	for _, address := range []string{s.pop, s.pops} {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			t.Errorf("%s is open", address)
		}
	}
}

// tlsConfig trusts the server's certificate.
func (s *mailServer) tlsConfig() *tls.Config {
	s.t.Helper()
	cert, err := os.ReadFile(filepath.Join(s.dir, "cert.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

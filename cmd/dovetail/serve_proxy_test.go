package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dovetail/formats/formatstest/dovecot"
)

// proxied is a server behind a proxy that tells where clients come from.
func proxied(t *testing.T, settings ...string) *mailServer {
	t.Helper()
	s := prepareServer(t, "sdbox")
	s.configure("sdbox", append([]string{"haproxy_trusted_networks = 127.0.0.0/8",
		"service imap-login {\n  inet_listener imap {\n    haproxy = yes\n  }\n}"}, settings...)...)
	s.start()
	return s
}

func (s *mailServer) from(address string) *talk {
	s.t.Helper()
	c := s.dial(s.imap)
	c.say("PROXY TCP4 " + address + " 198.51.100.7 4711 143\r\n")
	return c
}

// proxy2 is a header of version 2: command, family, addresses, fields.
func proxy2(command, family byte, addresses string, fields ...string) string {
	body := addresses + strings.Join(fields, "")
	return "\r\n\r\n\x00\r\nQUIT\n" + string([]byte{command, family, byte(len(body) >> 8), byte(len(body))}) + body
}

func tlv(kind byte, value string) string {
	return string([]byte{kind, byte(len(value) >> 8), byte(len(value))}) + value
}

const (
	ends4 = "\xcb\x00\x71\x05\xc6\x33\x64\x07\x12\x67\x00\x8f" // 203.0.113.5:4711, 198.51.100.7:143
	ends6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x12\x67\x00\x8f"
	overT = "\x01\x00\x00\x00\x00" // TLS, nothing checked
)

// proxyHeaders are what proxies say first; rip is what the log has then, "" if the connection is cut.
var proxyHeaders = []struct {
	name, header, rip string
	secured           bool // a password may be sent
	not               bool // as Dovecot does
}{
	{name: "version 1", header: "PROXY TCP4 192.0.2.1 198.51.100.7 4711 143\r\n", rip: "192.0.2.1"},
	{name: "version 1 with IPv6", header: "PROXY TCP6 2001:db8::9 2001:db8::2 4711 143\r\n", rip: "2001:db8::9"},
	{name: "version 1 of an unknown client", header: "PROXY UNKNOWN\r\n", rip: "127.0.0.1"},
	{name: "version 1 with the wrong family", header: "PROXY TCP4 2001:db8::9 2001:db8::2 4711 143\r\n"},
	{name: "version 1 without addresses", header: "PROXY TCP4 x y 1 2\r\n"},
	{name: "version 1 with one address", header: "PROXY TCP4 1.2.3.4\r\n"},
	{name: "version 1 without an end", header: "PROXY " + strings.Repeat("x", 200)},
	{name: "version 1 with a port too high", header: "PROXY TCP4 192.0.2.1 198.51.100.7 65536 143\r\n"},
	{name: "no header", header: "a LOGIN ann secret\r\nb LOGOUT\r\n"},
	{name: "version 2", header: proxy2(0x21, 0x11, ends4), rip: "203.0.113.5"},
	{name: "version 2 with IPv6", header: proxy2(0x21, 0x21, ends6), rip: "2001:db8::1"},
	{name: "version 2 of the proxy itself", header: proxy2(0x20, 0, ""), rip: "127.0.0.1"},
	{name: "version 2 with TLS", header: proxy2(0x21, 0x11, ends4, tlv(0x20, overT)), rip: "203.0.113.5", secured: true},
	{name: "version 2 with TLS, its version and a name", rip: "203.0.113.5", secured: true,
		header: proxy2(0x21, 0x11, ends4, tlv(0x01, "imap"), tlv(0x02, "mail.example"), tlv(0x20, overT+tlv(0x21, "TLSv1.3")+tlv(0x23, "AES")))},
	{name: "version 2 without TLS", header: proxy2(0x21, 0x11, ends4, tlv(0x20, "\x00\x00\x00\x00\x00")), rip: "203.0.113.5"},
	{name: "version 2 with fields of others", header: proxy2(0x21, 0x11, ends4, tlv(0x04, "noop"), tlv(0xe5, "own"), tlv(0x03, "crc!")), rip: "203.0.113.5"},
	{name: "version 2 with half a field", header: proxy2(0x21, 0x11, ends4, "\x20\x00\x09\x01")},
	{name: "version 2 with half a field of TLS", header: proxy2(0x21, 0x11, ends4, tlv(0x20, overT+"\x21\x00\x09x"))},
	{name: "version 2 with too little of TLS", header: proxy2(0x21, 0x11, ends4, tlv(0x20, "\x01"))},
	{name: "version 2 with half an address", header: proxy2(0x21, 0x11, ends4[:6])},
	{name: "version 2 with datagrams", header: proxy2(0x21, 0x12, ends4)},
	{name: "version 2 with another command", header: proxy2(0x22, 0x11, ends4)},
	{name: "version 3", header: proxy2(0x31, 0x11, ends4)},
	{name: "version 2 of a client that is not known", header: proxy2(0x21, 0, ""), rip: "127.0.0.1", not: true},
	{name: "version 2 of a unix socket", header: proxy2(0x21, 0x31, strings.Repeat("\x00", 216)), rip: "127.0.0.1", not: true},
}

// What a proxy says of a client's address is in the log, and of its TLS decides what may be sent; who is no proxy is cut
// off. Dovecot does the same.
func TestR442ProxiesTellWhereClientsComeFrom(t *testing.T) {
	ours := proxied(t, "disable_plaintext_auth = yes")
	theirs := ""
	if os.Getuid() == 0 {
		theirs = proxiedDovecot(t).IMAPAddr
	}
	for _, tc := range proxyHeaders {
		want := "cut off"
		if tc.rip != "" {
			want = fmt.Sprintf("greeted, secured %v", tc.secured)
		}
		if got := behindProxy(t, ours.imap, tc.header); got != want {
			t.Errorf("%s: %s, want %s", tc.name, got, want)
		}
		if got := behindProxyOf(t, theirs, tc.header); got != want && got != "" && !tc.not {
			t.Errorf("%s: Dovecot: %s, want %s", tc.name, got, want)
		}
		if tc.rip != "" {
			ours.waitForLog("rip=" + tc.rip + ", lip=")
		}
	}
	ours.waitForLog("imap-login: Error: haproxy: Client disconnected: Failed to read valid HAproxy data (rip=127.0.0.1)")
}

func proxiedDovecot(t *testing.T) *dovecot.Daemon {
	users := filepath.Join(dovecot.TempDir(t), "users")
	if err := os.WriteFile(users, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return dovecot.Serve(t, users, "disable_plaintext_auth = yes", "haproxy_trusted_networks = 127.0.0.0/8",
		"service imap-login {\n  inet_listener imap {\n    haproxy = yes\n  }\n}")
}

func behindProxyOf(t *testing.T, address, header string) string {
	if address == "" {
		return ""
	}
	return behindProxy(t, address, header)
}

// behindProxy tells what comes of a connection on which a proxy says a header.
func behindProxy(t *testing.T, address, header string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, header); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(c).ReadString('\n')
	if line == "" {
		return "cut off"
	}
	return fmt.Sprintf("greeted, secured %v", !strings.Contains(line, "LOGINDISABLED"))
}

// Who sends no header is cut off after haproxy_timeout, and who is not a proxy that is known at once.
func TestServeProxiesHaveToBeKnownAndQuick(t *testing.T) {
	s := proxied(t, "haproxy_timeout = 1 secs")
	if rest, err := io.ReadAll(s.dial(s.imap).r); len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	s.waitForLog("imap-login: Error: haproxy: Client timed out (rip=127.0.0.1)")
	s = proxied(t, "haproxy_trusted_networks = 192.0.2.0/24")
	if got := behindProxy(t, s.imap, "PROXY TCP4 192.0.2.1 198.51.100.7 4711 143\r\n"); got != "cut off" {
		t.Error(got)
	}
	s.waitForLog("imap-login: Error: haproxy: Client not trusted (rip=127.0.0.1)")
}

// The name in a certificate that the proxy has checked is who logs in, and the name that the client asked for decides what
// holds, as do the addresses that the proxy tells.
func TestServeWhatTheProxyKnowsOfTLSHolds(t *testing.T) {
	s := proxied(t, "auth_ssl_username_from_cert = yes", "local_name other.example {\n  login_greeting = Other.\n}",
		"local 198.51.100.0/24 {\n  login_greeting = There.\n}", "remote 2001:db8::/32 {\n  login_greeting = Six.\n}")
	for header, greeting := range map[string]string{
		proxy2(0x21, 0x11, ends4, tlv(0x20, "\x03"+overT[1:]+tlv(0x22, "carol"))): "There.",
		proxy2(0x21, 0x11, ends4, tlv(0x02, "other.example")):                     "Other.",
		proxy2(0x21, 0x21, ends6):                                                 "Six.",
		"PROXY TCP4 192.0.2.1 198.51.100.9 4711 143\r\n":                          "There.",
	} {
		c := s.dial(s.imap)
		c.say(header + "a LOGIN ann secret\r\n")
		if line := c.wants("* OK"); !strings.HasSuffix(line, greeting) {
			t.Errorf("%q: %q", header, line)
		}
		c.wants("a OK")
	}
	c := s.dial(s.imap)
	c.say(proxy2(0x21, 0x11, ends4, tlv(0x20, "\x03\x00\x00\x00\x01"+tlv(0x22, "mallory"))) + "a LOGIN bob secret\r\n")
	c.wants("* OK")
	c.wants("a OK")
	s.waitForLog("Login: user=<bob>, method") // the certificate was not found good
	s.waitForLog("Login: user=<carol>, method=PLAIN, rip=203.0.113.5")
}

// the header comes first, then TLS.
func TestR443TLSBehindAProxy(t *testing.T) {
	s := prepareServer(t, "sdbox")
	s.configure("sdbox", "haproxy_trusted_networks = 127.0.0.0/8", "service imap-login {\n  inet_listener imaps {\n    haproxy = yes\n  }\n}")
	s.start()
	c := s.dial(s.tls)
	c.say(proxy2(0x21, 0x11, ends4))
	over := c.mustSecure(anybody)
	over.wants("* OK")
	over.say("a LOGIN ann secret\r\n")
	over.wants("a OK")
	s.waitForLog("Login: user=<ann>, method=PLAIN, rip=203.0.113.5, lip=198.51.100.7, mpid=")
	if c, err := s.dial(s.tls).secure(anybody); err == nil {
		c.wants("nothing: it was no proxy")
	}
}

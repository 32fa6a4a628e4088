package main

import (
	"strings"
	"testing"
)

// Whom webmail speaks for is in the log, and counts, if the webmail is trusted; whoever else says so is not believed.
func TestServeTrustedClientsTellWhomTheySpeakFor(t *testing.T) {
	const said = `i ID ("name" "Roundcube" "x-originating-ip" "192.0.2.77" "X-Originating-Port" "4711" "x-connected-ip" "198.51.100.9" "x-connected-port" "143" "x-session-id" "webmail/1" "x-forward-shoe" "42")` + "\r\n"
	for setting, trusted := range map[string]bool{"login_trusted_networks = 127.0.0.0/8": true, "login_trusted_networks = 192.0.2.0/24": false} {
		s := startServer(t, "sdbox", setting, "imap_id_log = name version", "auth_failure_delay = 0", "mail_max_userip_connections = 1")
		c := s.dial(s.imap)
		c.wants("* OK")
		c.say(said + "a LOGIN ann secret\r\n")
		c.wants("* ID")
		c.wants("i OK")
		c.wants("a OK")
		if trusted {
			s.waitForLog("Login: user=<ann>, method=PLAIN, rip=192.0.2.77, lip=198.51.100.9, mpid=")
			s.waitForLog("session=<webmail/1>")
			again := s.dial(s.imap) // another user of the same webmail has connections of his own
			again.wants("* OK")
			again.say(strings.Replace(said, ".77", ".78", 1) + "a LOGIN ann secret\r\n")
			again.wants("* ID")
			again.wants("i OK")
			again.wants("a OK")
		} else {
			s.waitForLog("Login: user=<ann>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, mpid=")
		}
		s.waitForLog("imap-login: Info: ID sent: name=Roundcube: user=<>, rip=")
	}
}

// What a client says once cannot be taken back by what it says later, nor can it write into the log.
func TestServeWhatIsSaidOfOneselfIsBounded(t *testing.T) {
	s := startServer(t, "sdbox", "login_trusted_networks = 127.0.0.0/8", "imap_id_log = *", "imap_id_retain = yes")
	c := s.dial(s.imap)
	c.wants("* OK")
	c.say(`a ID ("x-originating-ip" "nonsense" "x-session-id" "a b>" "k" {3+}` + "\r\n1\r2)\r\nb ID (\"x-originating-ip\" \"192.0.2.1\" \"name\" \"" + strings.Repeat("n", 1000) + "\")\r\nc LOGIN ann secret\r\n")
	c.wants("* ID")
	c.wants("a OK")
	c.wants("* ID")
	c.wants("b OK")
	c.wants("c OK")
	s.waitForLog("Login: user=<ann>, method=PLAIN, rip=127.0.0.1")
	if log := s.log.String(); strings.Contains(log, "\r") || strings.Contains(log, "session=<a b") || strings.Contains(log, strings.Repeat("n", 200)) {
		t.Errorf("%q", log)
	}
}

package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// The words for clients whose passwords would go in clear, in both settings that forbid it.
func TestR065CleartextPasswordsAreRefusedInDovecotsWords(t *testing.T) {
	for setting, refusal := range map[string]string{
		"disable_plaintext_auth = yes": "Plaintext authentication disabled.",
		"ssl = required":               "Authentication not allowed until SSL/TLS is enabled.",
	} {
		t.Run(setting, func(t *testing.T) {
			s := proxied(t, setting)
			c := s.from("192.0.2.1")
			if line := c.wants("* OK [CAPABILITY "); !strings.Contains(line, " STARTTLS LOGINDISABLED]") {
				t.Errorf("greeting %q", line)
			}
			c.say("a LOGIN ann secret\r\n")
			c.wants("* BAD [ALERT] Plaintext authentication not allowed without SSL/TLS, but your client did it anyway. If anyone was listening, the password was exposed.")
			c.wants("a NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.")
			c.say("c LOGOUT\r\n")
			io.Copy(io.Discard, c.r)
			c = s.from("192.0.2.1")
			c.wants("* OK")
			c.say("b AUTHENTICATE PLAIN\r\n")
			c.wants("b NO [PRIVACYREQUIRED] " + refusal)
			want := `imap-login: Info: Disconnected: Aborted login by logging out (tried to use disallowed plaintext auth): user=<>, rip=192.0.2.1, lip=198.51.100.7, session=<`
			s.waitForLog(want)
		})
	}
	t.Run("a trusted network", func(t *testing.T) {
		s := startServer(t, "sdbox", "disable_plaintext_auth = yes", "login_trusted_networks = 127.0.0.1")
		s.login("ann").Close()
	})
}

// the lines of the log, as Dovecot writes them and ban rules read them.
func TestR076_R078_R099LogLinesAreDovecots(t *testing.T) {
	s := proxied(t, "disable_plaintext_auth = no")
	session := func(text string) {
		c := s.from("192.0.2.1")
		c.wants("* OK")
		c.say(text)
		io.Copy(io.Discard, c.r)
	}
	plain := base64.StdEncoding.EncodeToString([]byte("\x00bob\x00wrong"))
	session("a LOGIN ann secret\r\nb LOGOUT\r\n")
	session("a LOGIN bob wrong\r\nb LOGOUT\r\n")
	session("a AUTHENTICATE PLAIN " + plain + "\r\nb LOGOUT\r\n")
	session("a AUTHENTICATE PLAIN\r\n*\r\nb LOGOUT\r\n")
	session("a AUTHENTICATE CRAM-MD5\r\nb LOGOUT\r\n")
	session("a LOGOUT\r\n")
	session("GET / HTTP/1.0\r\nHost: x\r\nUser-Agent: y\r\nAccept: */*\r\n\r\n")
	for _, want := range []string{
		`^\w{3} \d\d \d\d:\d\d:\d\d imap-login: Info: Login: user=<ann>, method=PLAIN, rip=192\.0\.2\.1, lip=198\.51\.100\.7, mpid=\d+, session=<([^>]+)>$`,
		`imap\(ann\)<\d+><[^>]+>: Info: Disconnected: Logged out in=\d+ out=\d+ deleted=0 expunged=0 trashed=0 hdr_count=0 hdr_bytes=0 body_count=0 body_bytes=0$`,
		`imap-login: Info: Disconnected: Aborted login by logging out \(auth failed, 1 attempts in \d+ secs\): user=<bob>, method=PLAIN, rip=192\.0\.2\.1, lip=198\.51\.100\.7, session=<[^>]+>$`,
		`auth: Info: static\(bob,192\.0\.2\.1,<[^>]+>\): Password mismatch`,
		`Aborted login by logging out \(aborted authentication\): user=<>, method=PLAIN, rip=`,
		`Aborted login by logging out \(tried to use unsupported auth mechanism\): user=<>, method=CRAM-MD5, rip=`,
		`Aborted login by logging out \(no auth attempts in \d+ secs\): user=<>, rip=`,
		`Disconnected: Too many invalid commands \(no auth attempts in \d+ secs\): user=<>, rip=`,
	} {
		if !s.log.wait(regexp.MustCompile("(?m)" + want).MatchString) {
			t.Errorf("the log lacks %q", want)
		}
	}
	s.ban(t)
}

// ban asks fail2ban's filter for Dovecot, if there is one.
func (s *mailServer) ban(t *testing.T) {
	t.Helper()
	regex, err := exec.LookPath("fail2ban-regex")
	if err != nil {
		return // the lines were compared above
	}
	path := filepath.Join(s.dir, "bans.log")
	if err := os.WriteFile(path, []byte(s.log.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(regex, path, "dovecot").CombinedOutput()
	if err != nil || !regexp.MustCompile(`(?m)^Lines: \d+ lines, \d+ ignored, [1-9]\d* matched`).Match(out) {
		t.Errorf("fail2ban: %v\n%s", err, out)
	}
}

// a user has only so many connections from one address, and as many again from another.
func TestR452ConnectionsOfAUserFromOneAddress(t *testing.T) {
	s := proxied(t, "disable_plaintext_auth = no", "mail_max_userip_connections = 3")
	var open []*talk
	for range 3 {
		c := s.from("192.0.2.1")
		c.wants("* OK")
		c.say("a LOGIN ann secret\r\n")
		c.wants("a OK")
		open = append(open, c)
	}
	c := s.from("192.0.2.1")
	c.wants("* OK")
	c.say("a LOGIN ann secret\r\n")
	c.wants("a NO [LIMIT] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=3)")
	for _, other := range []string{"192.0.2.2 ann", "192.0.2.1 bob"} {
		address, user, _ := strings.Cut(other, " ")
		c := s.from(address)
		c.wants("* OK")
		c.say("a LOGIN " + user + " secret\r\n")
		c.wants("a OK")
	}
	open[0].say("b LOGOUT\r\n")
	io.Copy(io.Discard, open[0].r)
	c = s.from("192.0.2.1")
	c.wants("* OK")
	c.say("a LOGIN ann secret\r\n")
	c.wants("a OK")
}

// when there is no room, who came first and has not logged in goes; who is logged in stays.
func TestR404TheOldestThatIsNotLoggedInMakesRoom(t *testing.T) {
	s := startServer(t, "sdbox", "service imap-login {\n  process_limit = 3\n}")
	in := s.login("ann")
	defer in.Close()
	var idle []*talk
	for range 4 {
		c := s.dial(s.imap)
		c.wants("* OK")
		idle = append(idle, c)
	}
	idle[0].wants("* BYE Connection queue full")
	if _, err := idle[0].r.ReadByte(); err == nil {
		t.Error("it was not closed")
	}
	idle[3].say("a LOGIN bob secret\r\n")
	idle[3].wants("a OK")
	in.Cmd("NOOP")
	s.waitForLog("Disconnected: Connection queue full (no auth attempts in 0 secs)")
}

// mail of ids that are not allowed is not opened.
func TestR084IDsThatAreNotAllowed(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can serve others")
	}
	uid, _ := dovecot.IDs()
	for _, tc := range []struct{ name, settings, log string }{
		{"below first_valid_uid", fmt.Sprintf("first_valid_uid = %d", uid+1),
			fmt.Sprintf("Mail access for users with UID %d not permitted (see first_valid_uid in config file, uid from userdb lookup).", uid)},
		{"above last_valid_uid", fmt.Sprintf("last_valid_uid = %d", uid-1), "Mail access for users with UID"},
		{"root", "first_valid_uid = 0\nuserdb {\n  driver = static\n  args = uid=0 gid=0 home=/nonexistent\n}\n", "userdb returned 0 as uid"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := prepareServer(t, "sdbox")
			s.configure("sdbox", tc.settings)
			if strings.Contains(tc.settings, "userdb") {
				s.replaceConf("userdb {\n  driver = static\n  args = uid", "userdb {\n  driver = static\n  skip = found\n  result_success = continue\n  args = uid")
			}
			s.start()
			c := s.dial(s.imap)
			c.wants("* OK")
			c.say("a LOGIN ann secret\r\n")
			c.wants("* BYE Internal error occurred. Refer to server log for more information.")
			c.wants("a OK Logged in, but initialization failed.")
			s.waitForLog(tc.log)
		})
	}
}

// replaceConf changes the configuration before the start.
func (s *mailServer) replaceConf(old, with string) {
	s.t.Helper()
	path := filepath.Join(s.dir, "dovecot.conf")
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), old) {
		s.t.Fatalf("%q is not in the configuration: %v", old, err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, with, 1)), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// A port that another program has is told by its name, and nothing starts.
func TestServeAPortThatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	s := prepareServer(t, "sdbox")
	s.configure("sdbox", fmt.Sprintf("service imap-login {\n  inet_listener imap {\n    port = %d\n  }\n}", port))
	for name, code := range map[string]int{"dovetail serve": 78, "dovecot -F": 89} {
		words := append(strings.Fields(name), "-c", filepath.Join(s.dir, "dovecot.conf"))
		path, err := exec.LookPath(words[0])
		if err != nil || words[0] == "dovecot" {
			path = filepath.Join(filepath.SplitList(scriptPath)[0], words[0])
		}
		cmd := exec.Command(path, words[1:]...)
		cmd.Env = append(os.Environ(), "NOTIFY_SOCKET=")
		out, _ := cmd.CombinedOutput()
		want := fmt.Sprintf("service(imap-login): listen(127.0.0.1, %d) failed: ", port)
		if cmd.ProcessState.ExitCode() != code || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", name, cmd.ProcessState, out)
		}
	}
}

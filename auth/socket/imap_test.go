package socket_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// Real imap-login and imap processes log users in through our sockets: the first half on a login socket, the second by
// the master socket.
func TestDovecotsIMAPLogsInThroughOurSockets(t *testing.T) {
	dovecot.Need(t)
	if os.Getuid() != 0 {
		t.Skip("the login processes are another user")
	}
	dir := tempDir(t)
	home := filepath.Join(dir, "erin")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, 1005, 1005); err != nil {
		t.Fatal(err)
	}
	s := newServerWith(t, fmt.Sprintf("erin:{PLAIN}x:1005:1005::%s::userdb_imap_id_send=from-the-userdb\nbob:{PLAIN}x:1002:1002::/home/bob::nologin reason=closed\n", home))
	login, master := s.listen("our-login", 0o666), s.listen("our-master", 0o666)
	d := dovecot.Serve(t, write(t, dir, "nobody", ""), fmt.Sprintf(`service imap-login {
  executable = imap-login %s
  chroot =
}
service imap {
  executable = imap -a %s
}
`, login, master))
	c := dial(t, d.IMAPAddr)
	defer func() {
		if t.Failed() {
			t.Logf("Dovecot's log:\n%s\nour log:\n%s", d.Log(), s.log)
		}
	}()
	if greeting := c.next(); !strings.Contains(greeting, "AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5") {
		t.Errorf("it offers %q", greeting)
	}
	for _, x := range []struct{ send, want string }{
		{"a LOGIN erin wrong", "a NO [AUTHENTICATIONFAILED] Authentication failed."},
		{"b LOGIN nosuch x", "b NO [AUTHENTICATIONFAILED] Authentication failed."},
		{"c LOGIN mallory x", "c NO [AUTHENTICATIONFAILED] Authentication failed."},
		{"d AUTHENTICATE PLAIN " + b64("\x00erin\x00x"), "d OK "},
		{"e ID NIL", `* ID ("from-the-userdb" NIL)`},
	} {
		c.send(x.send + "\r")
		got := c.next()
		for strings.HasPrefix(got, "* CAPABILITY") {
			got = c.next()
		}
		if !strings.HasPrefix(got, x.want) {
			t.Errorf("%q gave %q, want %q", x.send, got, x.want)
		}
	}
	c = dial(t, d.IMAPAddr)
	c.next()
	c.send("a LOGIN bob x\r")
	if got := c.next(); !strings.HasPrefix(got, "a NO [CONTACTADMIN] closed") {
		t.Errorf("a login that is not to be: %q", got)
	}
}

package main

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/formatstest/courier"
	"dovetail/formats/formatstest/couriersite"
	"dovetail/formats/formatstest/dovecot"
)

// Clients that leave their mail on the server do not notice which of the two they talk to: what came from real Dovecot does not
// come again from us, nor the other way round.
func TestServePOP3BesideDovecot(t *testing.T) {
	dovecot.Need(t)
	for _, c := range []struct{ name, kind, setting string }{
		{"sdbox", "sdbox", ""}, {"mdbox with GUIDs", "mdbox", "pop3_uidl_format = %g"}, {"maildir as after Courier", "maildir", "pop3_uidl_format = UID%u-%v"},
		{"maildir with names of files, saved", "maildir", "pop3_uidl_format = %f\npop3_save_uidl = yes"}, {"mbox with sums", "mbox", "pop3_uidl_format = %m"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startPOP3(t, c.kind, "auth_mechanisms = plain login cram-md5 apop", c.setting)
			s.fill("ann")
			theirs := s.beside().POPAddr
			door := newDoor(t)
			homes := map[string]*fetcher{}
			fetch := func(t *testing.T, from, when string, want []string) {
				door.leadTo(from)
				for _, client := range fetchers {
					t.Run(client.name+", "+when, func(t *testing.T) {
						if homes[client.name] == nil {
							homes[client.name] = &fetcher{dir: filepath.Join(dovecot.TempDir(t), client.name), cert: filepath.Join(s.dir, "cert.pem"), user: "ann"}
						}
						f := *homes[client.name]
						f.t = t
						if err := client.run(&f, inClear, door.port); err != nil {
							t.Fatal(err)
						}
						f.mustHave(want, when)
					})
				}
			}
			fetch(t, theirs, "from Dovecot", clientMail)
			fetch(t, s.pop, "then from us", clientMail)
			more := append(slices.Clone(clientMail), "Subject: one more\r\nMessage-ID: <i6@example.org>\r\n\r\nx\r\n")
			session := s.login("ann")
			session.Append("INBOX", "", "", more[len(more)-1])
			session.Close()
			fetch(t, s.pop, "what is new", more)
			fetch(t, theirs, "and back", more)
		})
	}
}

// beside starts real Dovecot with the configuration of the server.
func (s *popServer) beside() *dovecot.Daemon {
	s.t.Helper()
	path := filepath.Join(dovecot.TempDir(s.t), "dovecot.conf")
	text := "!include " + filepath.Join(s.dir, "dovecot.conf") + "\n"
	if os.Getuid() == 0 { // it is not served as root there
		text += "default_internal_user = dovecot\ndefault_login_user = dovenull\ndefault_internal_group = dovecot\n"
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return dovecot.ServeConf(s.t, path)
}

// serveOurs is serve with our server in the place of Dovecot.
func (c *cutover) serveOurs(t *testing.T) *popServer {
	t.Helper()
	uid, gid := couriersite.IDs()
	moved := strings.NewReplacer(":/home/vpopmail/", ":"+c.site.Root+"/home/vpopmail/", ":89:89:", fmt.Sprintf(":%d:%d:", uid, gid))
	for _, name := range []string{"users.userdb", "users.vpopmail"} {
		c.edit(filepath.Join(c.etc, name), moved)
	}
	c.edit(filepath.Join(c.etc, "dovecot.conf"), strings.NewReplacer("</etc/courier/", "<"+c.etc+"/"))
	c.writeKeys()
	dir, err := os.MkdirTemp("", "serve")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &popServer{mailServer: &mailServer{t: t, dir: dir, log: &lockedBuffer{}}}
	var files []*os.File
	var ports [4]int
	for i := range ports {
		var f *os.File
		f, ports[i] = handOver(t)
		files = append(files, f)
	}
	address := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	s.imap, s.tls, s.pop, s.pops = address(0), address(1), address(2), address(3)
	path := filepath.Join(dir, "dovecot.conf")
	if err := os.WriteFile(path, fmt.Appendf(nil, siteConf, filepath.Join(c.etc, "dovecot.conf"), dir, ports[0], ports[1], ports[2], ports[3], ownNames(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Cmd = exec.Command("sh", "-c", "LISTEN_FDS=4 LISTEN_PID=$$ exec dovetail serve -c "+path)
	s.ExtraFiles, s.Stderr = files, s.log
	s.start()
	return s
}

// siteConf takes a configuration, our folder, four ports, and who runs it.
const siteConf = `!include %[1]s
base_dir = %[2]s/run
log_path = /dev/stderr
listen = 127.0.0.1
auth_failure_delay = 0
service imap-login {
  inet_listener imap {
    address = 127.0.0.1
    port = %[3]d
  }
  inet_listener imaps {
    address = 127.0.0.1
    port = %[4]d
  }
}
service pop3-login {
  inet_listener pop3 {
    address = 127.0.0.1
    port = %[5]d
  }
  inet_listener pop3s {
    address = 127.0.0.1
    port = %[6]d
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
%[7]s
`

func ownNames(t *testing.T) string {
	who, err1 := exec.Command("id", "-un").Output()
	group, err2 := exec.Command("id", "-gn").Output()
	if err1 != nil || err2 != nil {
		t.Skipf("whoever runs it must have a name: %v, %v", err1, err2)
	}
	return fmt.Sprintf("default_internal_user = %[1]s\ndefault_login_user = %[1]s\ndefault_internal_group = %[2]s", strings.TrimSpace(string(who)), strings.TrimSpace(string(group)))
}

// The site of Courier and vpopmail behind our server: the checker, which knows what Courier showed, finds all of it.
func TestTheCourierSiteBehindOurServer(t *testing.T) {
	c := newCutover(t)
	c.configure()
	c.convert(0)
	c.letIn()
	s := c.serveOurs(t)
	t.Run("R-378 POP3 shows the UIDLs that it showed, in their order", func(t *testing.T) {
		seen := 0
		for _, name := range c.site.Names() {
			u := c.site.Users[name]
			if slices.ContainsFunc(u.POP3, func(m couriersite.PopMessage) bool { return !m.Known }) {
				continue
			}
			var want []string
			for _, m := range u.POP3 {
				want = append(want, m.UIDL)
			}
			p := s.LoginPOP(name, u.Password)
			if got := popList(p); !slices.Equal(got, want) {
				t.Errorf("%s: UIDL %q, was %q", name, got, want)
			}
			p.Quit()
			seen += len(want)
		}
		if seen < 10 {
			t.Errorf("only %d UIDLs were compared", seen)
		}
	})
	t.Run("R-306 R-301 the checker finds no loss for 17 of 17 users by IMAP and POP3", func(t *testing.T) {
		r := c.site.CheckAt(s.imap, s.pop, s.log.String)
		if len(r.Loss) > 0 || r.Perfect() != 17 {
			t.Errorf("%d of 17 users without loss; lost %v: %v", r.Perfect(), r.Loss, r.Detail)
		}
	})
}

// Clients that fetched from Courier and left everything there download nothing again from us after the move.
func TestServePOP3AfterCourier(t *testing.T) {
	courier.Need(t)
	c := newCutover(t)
	c.configure()
	door := newDoor(t)
	users := []string{"ulla@example.net", "yuki@example.net", "zoe@example.net"}
	homes := map[string]*fetcher{}
	fetch := func(t *testing.T, user, when string) map[string]int {
		counts := map[string]int{}
		for _, client := range fetchers {
			if client.name == "curl" {
				continue // its list is made by UIDL alone, which the checker compares
			}
			name := client.name + " of " + user
			t.Run(name+", "+when, func(t *testing.T) {
				if homes[name] == nil {
					homes[name] = &fetcher{dir: filepath.Join(dovecot.TempDir(t), "home"), user: user, password: c.site.Users[user].Password, plain: true}
				}
				f := *homes[name]
				f.t = t
				if err := client.run(&f, inClear, door.port); err != nil {
					t.Fatal(err)
				}
				counts[client.name] = len(f.fetched())
			})
		}
		return counts
	}
	before := map[string]map[string]int{}
	for _, user := range users {
		door.leadTo(courier.New(t, c.site.Maildir(user)).ListenPOP3())
		before[user] = fetch(t, user, "from Courier")
		for name, n := range before[user] {
			if n != len(c.site.Users[user].POP3) || n == 0 {
				t.Errorf("%s has fetched %d messages of %s, there are %d", name, n, user, len(c.site.Users[user].POP3))
			}
		}
	}
	c.convert(0)
	s := c.serveOurs(t)
	door.leadTo(s.pop)
	for _, user := range users {
		if after := fetch(t, user, "from us"); !maps.Equal(after, before[user]) {
			t.Errorf("%s had fetched %v, has %v", user, before[user], after)
		}
	}
	if _, port, _ := net.SplitHostPort(s.pop); port == door.port {
		t.Error("clients did not come through one door")
	}
}

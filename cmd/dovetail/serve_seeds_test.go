package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"dovetail/formats/formatstest/dovecot"
)

// seed is a configuration as documents have it, on ports that were handed over.
type seed struct {
	*mailServer
	ports map[string]string // what listens for a port of the document: host:port
}

// ports of a configuration, in the words of all dialects.
var seedPort = regexp.MustCompile(`(\n\s*port = |127\.0\.0\.1:)(\d+)`)

// newSeed writes a configuration of the samples, changed by pairs of old and new text, with further settings behind it.
func newSeed(t *testing.T, name string, changes []string, settings ...string) *seed {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../serve/config/testdata/configs", name))
	if err != nil {
		t.Fatal(err)
	}
	s := &seed{prepareServer(t, "maildir"), map[string]string{}}
	for _, f := range s.ExtraFiles {
		f.Close()
	}
	s.ExtraFiles = nil
	all := string(text) + strings.Join(settings, "\n") + "\n"
	all = strings.NewReplacer(append(slices.Clone(changes), "@ROOT@", s.dir)...).Replace(all)
	all = strings.NewReplacer("%DIR%", s.dir, "%USER%", whoami(t), "%GROUP%", ourGroup(t)).Replace(all)
	all = seedPort.ReplaceAllStringFunc(all, func(m string) string {
		parts := seedPort.FindStringSubmatch(m)
		f, port := handOver(t)
		s.ExtraFiles = append(s.ExtraFiles, f)
		s.ports[parts[2]] = fmt.Sprintf("127.0.0.1:%d", port)
		return parts[1] + fmt.Sprint(port)
	})
	path := filepath.Join(s.dir, "dovecot.conf")
	if err := os.WriteFile(path, []byte(all), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"run", "log", "etc", "tls", "tls/certs", "tls/private"} {
		if err := os.Mkdir(filepath.Join(s.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.Cmd.Args[2] = fmt.Sprintf("LISTEN_FDS=%d LISTEN_PID=$$ exec dovetail serve -c %s", len(s.ExtraFiles), path)
	return s
}

func whoami(t *testing.T) string   { return idOfOurs(t, "-un") }
func ourGroup(t *testing.T) string { return idOfOurs(t, "-gn") }

func idOfOurs(t *testing.T, option string) string {
	t.Helper()
	out, err := exec.Command("id", option).Output()
	if err != nil {
		t.Skipf("whoever runs it must have a name: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// write puts a file where the configuration has it.
func (s *seed) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// logged gives what the server has logged to its file, once a text is in it.
func (s *seed) logged(text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, "log/server.log")
	var all []byte
	for range 1000 {
		if all, _ = os.ReadFile(path); strings.Contains(string(all), text) {
			return string(all)
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatalf("the log lacks %q:\n%s", text, all)
	return ""
}

// transcript is what a server answers to lines of a client, without what need not be the same twice.
func (s *seed) transcript(address string, lines ...string) string {
	s.t.Helper()
	c := s.dial(address)
	c.say(strings.Join(lines, "\r\n") + "\r\n")
	var all strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			return regexp.MustCompile(`Dovecot.* ready| \(\d+\.\d+ \+ .*secs\)|\[UIDVALIDITY \d+\]`).ReplaceAllString(all.String(), "")
		}
	}
}

// A server of one user without root, as the page about it has it, in both dialects.
func TestServeRootless(t *testing.T) {
	user := whoami(t)
	if os.Getuid() == 0 {
		user = "games" // one of every system, who is not root
	}
	var said []string
	for _, dialect := range []string{"23", "24"} {
		t.Run("R-016 R-039 "+dialect, func(t *testing.T) {
			changes := []string{"= user", "= %USER%", "= group", "= %GROUP%", "ssl = no", "ssl = yes", "~/Maildir", "%DIR%/home/Maildir"}
			certificates := "ssl_cert = <%DIR%/cert.pem\nssl_key = <%DIR%/key.pem"
			if dialect == "24" {
				certificates = "ssl_server_cert_file = %DIR%/cert.pem\nssl_server_key_file = %DIR%/key.pem"
			}
			s := newSeed(t, "rootless-"+dialect+".conf", changes, certificates, "first_valid_uid = 1")
			if os.Getuid() == 0 {
				if out, err := exec.Command("chown", user, filepath.Join(s.dir, "home")).CombinedOutput(); err != nil {
					t.Skipf("%v: %s", err, out)
				}
			}
			s.write("etc/passwd", user+":{PLAIN}pass\n")
			s.start()
			imap := s.transcript(s.ports["10143"], "a LOGIN "+user+" pass", `b LIST "" *`, "c NAMESPACE", "d CREATE x.y", "e SELECT INBOX", "f LOGOUT")
			if !strings.Contains(imap, "a OK [CAPABILITY IMAP4rev1 ") || !strings.Contains(imap, `* LIST (\HasNoChildren) "." INBOX`) {
				t.Error(imap)
			}
			c := s.dial(s.ports["10993"]).mustSecure(anybody)
			c.wants("* OK [CAPABILITY ")
			s.dial(s.ports["10995"]).mustSecure(anybody).wants("+OK ")
			pop := s.transcript(s.ports["10110"], "USER "+user, "PASS pass", "STAT", "QUIT")
			t.Run("R-030 POP3", func(t *testing.T) {
				if _, rest, _ := strings.Cut(pop, "\r\n"); rest != "+OK\r\n+OK Logged in.\r\n+OK 0 0\r\n+OK Logging out.\r\n" {
					t.Errorf("%q", pop)
				}
			})
			said = append(said, imap+pop)
			log := s.logged("Login: user=<" + user + ">")
			if !strings.Contains(log, "starting up for imap, pop3") {
				t.Error(log)
			}
		})
	}
	t.Run("R-039 both say the same", func(t *testing.T) {
		if len(said) != 2 || said[0] != said[1] {
			t.Errorf("%q", said)
		}
	})
}

// Who runs the server without root has the mail of nobody else.
func TestR024OtherUsersMailIsNotReached(t *testing.T) {
	s := newSeed(t, "rootless-23.conf", []string{"= user", "= %USER%", "= group", "= %GROUP%", "driver = passwd\n", "driver = passwd-file\n  args = %DIR%/etc/passwd\n"},
		"first_valid_uid = 1")
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 { // then it is run as somebody else
		uid, gid = dovecot.IDs()
		s.Cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		if out, err := exec.Command("chown", "-R", fmt.Sprintf("%d:%d", uid, gid), s.dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		name, err := exec.Command("id", "-un", fmt.Sprint(uid)).Output()
		if err != nil {
			t.Skip("the user has no name")
		}
		s.edit(func(conf string) string {
			return strings.ReplaceAll(conf, "_user = root", "_user = "+strings.TrimSpace(string(name)))
		})
		os.Chown(filepath.Join(s.dir, "dovecot.conf"), uid, gid)
		s.ownBinary()
	}
	s.write("etc/passwd", fmt.Sprintf("ann:{PLAIN}pass:%d:%d::%s/home/ann\nbob:{PLAIN}pass:%d:%d::%[3]s/home/bob\n", uid, gid, s.dir, uid+1, gid))
	s.start()
	if said := s.transcript(s.ports["10143"], "a LOGIN ann pass", "b SELECT INBOX", "c LOGOUT"); !strings.Contains(said, "b OK [READ-WRITE]") {
		t.Error(said)
	}
	said := s.transcript(s.ports["10143"], "a LOGIN bob pass")
	if !strings.Contains(said, "a OK Logged in, but initialization failed.") || !strings.Contains(said, "* BYE Internal error occurred.") {
		t.Error(said)
	}
	s.logged(fmt.Sprintf("setuid(%d from userdb lookup) failed with euid=%d: Operation not permitted", uid+1, uid))
}

// ownBinary puts the program where any user may run it.
func (s *seed) ownBinary() {
	s.t.Helper()
	from, err := exec.LookPath("dovetail")
	if err != nil {
		s.t.Fatal(err)
	}
	to := filepath.Join(s.dir, "dovetail")
	if out, err := exec.Command("install", "-m", "755", from, to).CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	s.Cmd.Args[2] = strings.Replace(s.Cmd.Args[2], "exec dovetail", "exec "+to, 1)
}

// The setup of a tutorial: one password for all, one user who owns all mail.
func TestServeTheBasics(t *testing.T) {
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = dovecot.IDs()
	}
	ids := []string{"uid=vmail gid=vmail", fmt.Sprintf("uid=%d gid=%d", uid, gid), "first_valid_uid = 500", "first_valid_uid = 1"}
	ours := []string{"default_internal_user = %USER%", "default_login_user = %USER%", "default_internal_group = %GROUP%"}
	t.Run("R-052 R-060 one password for all", func(t *testing.T) {
		s := newSeed(t, "basics-static.conf", ids, ours...)
		s.vmail()
		s.start()
		said := s.transcript(s.ports["143"], "a LOGIN Bob@Brokkr.net ThisIsABadPassword", "b SELECT INBOX", "c LOGOUT")
		if !strings.Contains(said, "a OK [CAPABILITY ") || !strings.Contains(said, "b OK [READ-WRITE]") {
			t.Error(said)
		}
		if _, err := os.Stat(filepath.Join(s.dir, "vmail/brokkr.net/bob/maildir/cur")); err != nil {
			t.Error(err)
		}
		s.logged("imap-login: Info: Login: user=<bob@brokkr.net>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, mpid=")
		out, err := exec.Command("dovetail", "user", "-c", filepath.Join(s.dir, "dovecot.conf"), "alice@brokkr.net").CombinedOutput()
		if err != nil || !strings.Contains(string(out), s.dir+"/vmail/brokkr.net/alice") || !strings.Contains(string(out), "maildir:~/maildir") {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("R-079 a wrong password is refused after a while", func(t *testing.T) {
		s := newSeed(t, "basics-static.conf", ids, ours...)
		s.vmail()
		s.start()
		began := time.Now()
		said := s.transcript(s.ports["143"], "a LOGIN bob@brokkr.net wrong", "b LOGOUT")
		if !strings.Contains(said, "\r\na NO [AUTHENTICATIONFAILED] Authentication failed.\r\n") || time.Since(began) < 2*time.Second {
			t.Errorf("after %v: %s", time.Since(began), said)
		}
	})
	t.Run("R-063 R-064 R-176 passwords in clear are refused by default", func(t *testing.T) {
		s := newSeed(t, "basics-plaintext-refused.conf", ids, append(ours, "listen = 127.0.0.1", "service imap-login {\n  inet_listener imap {\n    port = 143\n  }\n}")...)
		s.vmail()
		s.start()
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		c, err := from.Dial("tcp", s.ports["143"])
		if err != nil {
			t.Skip(err)
		}
		fmt.Fprint(c, "a LOGIN bob@brokkr.net ThisIsABadPassword\r\nb LOGOUT\r\n")
		said := readAll(c)
		if !strings.Contains(said, " LOGINDISABLED]") || !strings.Contains(said, "\r\na NO [PRIVACYREQUIRED] ") {
			t.Error(said)
		}
		log := s.logged("imap-login: Info: Disconnected: Aborted login by logging out (tried to use disallowed plaintext auth): user=<>, rip=127.0.0.2, lip=127.0.0.1,")
		// As fail2ban 1.0.2 reads it (filter.d/dovecot.conf).
		ban := regexp.MustCompile(`(?m)imap-login: (?:Info: )?(?:Aborted login|Disconnected|Remote closed connection|Client has quit the connection)(?::(?: [^ \(]+)+)? ` +
			`\((?:auth failed, \d+ attempts(?: in \d+ secs)?|tried to use (?:disabled|disallowed) \S+ auth|proxy dest auth failed)\):(?: user=<[^>]*>,)?(?: method=\S+,)? rip=127\.0\.0\.2,`)
		if !ban.MatchString(log) {
			t.Error(log)
		}
	})
}

// vmail makes the folder of all mail.
func (s *seed) vmail() {
	s.t.Helper()
	path := filepath.Join(s.dir, "vmail")
	if err := os.Mkdir(path, 0o755); err != nil {
		s.t.Fatal(err)
	}
	dovecot.Own(s.t, path)
}

// readAll gives what comes until the other end closes.
func readAll(c net.Conn) string {
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	var all []byte
	for b := make([]byte, 4096); ; {
		n, err := c.Read(b)
		all = append(all, b[:n]...)
		if err != nil {
			return string(all)
		}
	}
}

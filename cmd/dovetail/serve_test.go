package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
)

// mailServer is "dovetail serve" as a process of its own, on ports that were handed over to it.
type mailServer struct {
	kind string
	*exec.Cmd
	t    *testing.T
	dir  string // of its configuration, its log and the users' homes
	imap string // host:port
	tls  string
	log  *lockedBuffer
}

const mailConf = `protocols = imap
base_dir = %[1]s/run
listen = 127.0.0.1
ssl_cert = <%[1]s/cert.pem
ssl_key = <%[1]s/key.pem
disable_plaintext_auth = no
auth_failure_delay = 0
auth_verbose = yes
default_internal_user = %[6]s
default_login_user = %[6]s
default_internal_group = %[7]s
first_valid_uid = 1
mail_max_userip_connections = 1000
mail_location = %[2]s
service imap-login {
  inet_listener imap {
    port = %[3]d
  }
  inet_listener imaps {
    port = %[4]d
  }
}
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = %[5]s home=%[1]s/home/%%u
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox Drafts {
    special_use = \Drafts
  }
}
%[8]s
`

// startServer starts a server whose users' mail is in a kind of store, with further settings. It is ready.
func startServer(t *testing.T, kind string, settings ...string) *mailServer {
	t.Helper()
	s := prepareServer(t, kind, settings...)
	s.start()
	return s
}

// prepareServer writes what startServer starts.
func prepareServer(t *testing.T, kind string, settings ...string) *mailServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "serve") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	dovecot.Own(t, home)
	writeCertificate(t, dir)
	s := &mailServer{t: t, kind: kind, dir: dir, log: &lockedBuffer{}}
	s.configure(kind, settings...)
	return s
}

// configure opens the ports and writes the configuration.
func (s *mailServer) configure(kind string, settings ...string) {
	t := s.t
	whoami, err1 := exec.Command("id", "-un").Output()
	group, err2 := exec.Command("id", "-gn").Output()
	if err1 != nil || err2 != nil {
		t.Skipf("whoever runs it must have a name: %v, %v", err1, err2)
	}
	imap, imapPort := handOver(t)
	imaps, imapsPort := handOver(t)
	s.imap, s.tls = fmt.Sprintf("127.0.0.1:%d", imapPort), fmt.Sprintf("127.0.0.1:%d", imapsPort)
	ids := ""
	if os.Getuid() == 0 {
		uid, gid := dovecot.IDs()
		ids = fmt.Sprintf("uid=%d gid=%d", uid, gid)
	}
	conf := fmt.Sprintf(mailConf, s.dir, dovecot.Location(kind, "~/mail"), imapPort, imapsPort, ids, strings.TrimSpace(string(whoami)),
		strings.TrimSpace(string(group)), strings.Join(settings, "\n"))
	path := filepath.Join(s.dir, "dovecot.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Cmd = exec.Command("sh", "-c", "LISTEN_FDS=2 LISTEN_PID=$$ exec dovetail serve -c "+path)
	s.ExtraFiles = []*os.File{imap, imaps}
	s.Stderr = s.log
}

// handOver opens a port for another process.
func handOver(t *testing.T) (*os.File, int) {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	return f, l.Addr().(*net.TCPAddr).Port
}

func (s *mailServer) start() {
	t := s.t
	t.Helper()
	path := filepath.Join(s.dir, "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(path)                         // for the next start
	if err := os.Chmod(path, 0o777); err != nil { // the server may be run by another user
		t.Fatal(err)
	}
	defer notify.Close()
	s.Env = append(os.Environ(), "NOTIFY_SOCKET="+path, "TZ=UTC")
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range s.ExtraFiles {
		f.Close()
	}
	cmd := s.Cmd
	t.Cleanup(func() {
		cmd.Process.Signal(unix.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log)
		}
	})
	notify.SetReadDeadline(time.Now().Add(time.Minute))
	said := make([]byte, 100)
	n, err := notify.Read(said)
	if err != nil || string(said[:n]) != "READY=1" {
		t.Fatalf("%q, %v\n%s", said[:n], err, s.log)
	}
}

// login starts a session of a user.
func (s *mailServer) login(user string) *client.Session {
	s.t.Helper()
	c := client.Dial(s.t, client.IMAP, s.imap, s.log.String)
	if greeting := c.Next(); !strings.HasPrefix(greeting, "* OK ") {
		s.t.Fatalf("greeting %q", greeting)
	}
	c.Cmd("LOGIN " + user + " secret")
	return c
}

// writeCertificate makes cert.pem and key.pem for localhost.
func writeCertificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A session that goes leaves the mailbox to the others that have it open.
func TestServeASessionThatEndsLeavesTheMailboxToOthers(t *testing.T) {
	for _, kind := range []string{"sdbox", "maildir", "mbox"} {
		t.Run(kind, func(t *testing.T) {
			s := startServer(t, kind)
			first := s.login("ann")
			first.Append("INBOX", "", "", "Subject: one\r\n\r\nbody\r\n")
			first.Select("INBOX")
			second := s.login("ann")
			second.Select("INBOX")
			first.Close()
			second.Append("INBOX", `\Seen`, "", "Subject: two\r\n\r\nbody\r\n")
			second.Cmd("NOOP")
			if got := strings.Join(second.Cmd("FETCH 1:2 (UID BODY.PEEK[])"), "\n"); !strings.Contains(got, "Subject: one\r\n\r\nbody") || !strings.Contains(got, "Subject: two\r\n\r\nbody") {
				t.Errorf("%q", got)
			}
			second.Cmd("UID STORE 1:2 +FLAGS (\\Answered)")
			second.Close()
		})
	}
}

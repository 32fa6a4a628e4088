package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// imapServer is a program under measurement.
type imapServer struct {
	name    string
	run     []string // the program and its arguments, but for the configuration
	conf    string
	log     string
	addr    string
	over    *tls.Config // for clients of the other port, addrTLS
	addrTLS string
	cmd     *exec.Cmd
}

// imapConf has Dovecot's login processes serve many clients each, as its documentation advises for speed, and makes the
// domain of a user the format of his mail. Takes the server's folder, the port, the folder of the mail and its owner.
const imapConf = `protocols = imap
ssl = no
listen = 127.0.0.1
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
info_log_path = /dev/null
disable_plaintext_auth = no
auth_failure_delay = 0
first_valid_uid = 1
mail_max_userip_connections = 0
namespace inbox {
  inbox = yes
  separator = /
}
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=%[4]d gid=%[5]d home=%[3]s/home/%%d/%%n mail=%%d:%[3]s/%%d/%%n
}
service imap-login {
  service_count = 0
  client_limit = 10000
  inet_listener imap {
    port = %[2]d
  }
  inet_listener imaps {
    port = 0
  }
}
service imap {
  process_limit = 10000
}
service auth {
  client_limit = 30000
}
service anvil {
  client_limit = 30000
}
service stats {
  client_limit = 30000
}
`

// imapTLS goes behind imapConf. Takes the port, and the file of certificate and key.
const imapTLS = `ssl = yes
ssl_cert = <%[2]s
ssl_key = <%[2]s
service imap-login {
  inet_listener imaps {
    port = %[1]d
    ssl = yes
  }
}
`

// configure writes a server's configuration and starts it.
func (b *imapBench) configure(s *imapServer) error {
	dir := filepath.Join(b.dir, strings.ToLower(s.name)+".d")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var ports [2]int
	for i, addr := range []*string{&s.addr, &s.addrTLS} {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		*addr, ports[i] = free.Addr().String(), free.Addr().(*net.TCPAddr).Port
		free.Close()
	}
	pem := filepath.Join(dir, "key.pem")
	s.over = &tls.Config{InsecureSkipVerify: true}
	if err := writeCertificate(pem); err != nil {
		return err
	}
	uid, gid := ids()
	s.conf, s.log = filepath.Join(dir, "dovecot.conf"), filepath.Join(dir, "log")
	text := fmt.Sprintf(imapConf, dir, ports[0], b.path(), uid, gid) + fmt.Sprintf(imapTLS, ports[1], pem)
	if err := os.WriteFile(s.conf, []byte(text), 0o644); err != nil {
		return err
	}
	return s.start()
}

// start returns when the server greets.
func (s *imapServer) start() error {
	s.cmd = exec.Command(s.run[0], append(s.run[1:], s.conf)...)
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stderr = log
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	const tries = 200
	for range tries {
		var c *imapConn
		if c, err = dialIMAP(s.addr, nil); err == nil {
			c.close()
			return nil
		}
		time.Sleep(25 * time.Millisecond)
	}
	return s.explain(err)
}

func (s *imapServer) stop() {
	if s.cmd != nil {
		s.cmd.Process.Signal(syscall.SIGTERM)
		s.cmd.Wait() // it ends as it was told
		s.cmd = nil
	}
}

func (s *imapServer) cpu() time.Duration { return processorTime(s.cmd.Process.Pid, "") }

func (s *imapServer) explain(err error) error {
	text, _ := os.ReadFile(s.log)
	return fmt.Errorf("%w\n%s", err, text[max(0, len(text)-2000):])
}

// login opens a session, over TLS if secure is set.
func (s *imapServer) login(user string, secure bool) (*imapConn, error) {
	addr, over := s.addr, (*tls.Config)(nil)
	if secure {
		addr, over = s.addrTLS, s.over
	}
	c, err := dialIMAP(addr, over)
	if err != nil {
		return nil, err
	}
	if err := c.cmd("LOGIN " + user + " x"); err != nil {
		c.socket.Close()
		return nil, err
	}
	return c, nil
}

// noDovecot tells why there is none to compare with.
func noDovecot() string {
	if _, err := exec.LookPath("dovecot"); err != nil {
		return err.Error() + " (apt-get install dovecot-imapd)"
	}
	if os.Getuid() != 0 {
		return "its daemon wants to be started by root"
	}
	return ""
}

// bodySize is that of messages in the mailbox "Bodies".
const bodySize = 10 << 10

// mailboxes makes the mail of one format: INBOX and Bodies, and keeps what is beside the messages for cold rows.
func (b *imapBench) mailboxes(format string) error {
	if err := os.MkdirAll(b.path("home", format, "bench"), 0o755); err != nil {
		return err
	}
	source, made := filepath.Join(b.dir, "source"), b.path(format, "bench")
	if !exists(source) {
		if err := b.generate(source); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(b.path(format), 0o755); err != nil {
		return err
	}
	if err := ownAll(b.path()); err != nil {
		return err
	}
	args := []string{"convert", "-q", "maildir:" + source, format + ":" + made}
	if _, err := timed(asUser(b.dir, b.dovetail, args...), 2); err != nil {
		return err
	}
	if kept := b.path("kept", format); !exists(kept) { // else there are caches by now, of a run before this one
		return copyFiles(made, kept)
	}
	return nil
}

func (b *imapBench) generate(source string) error {
	args := []string{"-n", strconv.Itoa(b.n), "-profile", "small", "-control", "dovecot", "-out", source}
	if _, err := timed(command(filepath.Join(b.dir, "mailgen"), args...)); err != nil {
		return err
	}
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(source, ".Bodies", sub), 0o755); err != nil {
			return err
		}
	}
	for i := range b.bodies {
		path := filepath.Join(source, ".Bodies", "cur", fmt.Sprintf("%d.M%dP1.bench:2,S", 1600000000+i, i))
		if err := os.WriteFile(path, bytes.ReplaceAll(bodyOf(i), []byte("\r\n"), []byte("\n")), 0o644); err != nil {
			return err
		}
	}
	return ownAll(source)
}

// bodyOf is a message of bodySize bytes.
func bodyOf(i int) []byte {
	b := fmt.Appendf(make([]byte, 0, bodySize), "Return-Path: <ann@example.com>\r\nReceived: from mail.example.com (mail.example.com [192.0.2.1])\r\n"+
		"\tby mx.example.org (Postfix) with ESMTPS id 4B%08d\r\n\tfor <bob@example.org>; Sun, 13 Sep 2020 14:26:40 +0200 (CEST)\r\n"+
		"From: Ann Example <ann@example.com>\r\nTo: Bob Example <bob@example.org>\r\nSubject: Message %d\r\nDate: Sun, 13 Sep 2020 12:26:40 +0000\r\n"+
		"Message-ID: <%d@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", i, i, i)
	const line = "The quick brown fox jumps over the lazy dog, again and again, until somebody looks.\r\n"
	for len(b)+len(line) < bodySize {
		b = append(b, line...)
	}
	return append(append(b, strings.Repeat("x", bodySize-2-len(b))...), "\r\n"...)
}

// isMessage tells the files with messages from those beside them.
func isMessage(path string) bool {
	dir := filepath.Base(filepath.Dir(path))
	return dir == "cur" || dir == "new" || strings.HasPrefix(filepath.Base(path), "u.")
}

// copyFiles copies what is beside the messages.
func copyFiles(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || isMessage(path) {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, text, 0o600); err != nil {
			return err
		}
		return own(target)
	})
}

// forget makes a user's mail cold: what is beside the messages is as it was in the beginning.
func (b *imapBench) forget(format string, how coldness) error {
	mail := b.path(format, "bench")
	err := filepath.WalkDir(mail, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || isMessage(path) || how == coldStart {
			return err
		}
		return os.Remove(path)
	})
	if err == nil && how != coldStart {
		err = copyFiles(b.path("kept", format), mail)
	}
	if err != nil || !b.disk {
		return err
	}
	syscall.Sync()
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("1"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("-disk: %w", err)
	}
	return nil
}

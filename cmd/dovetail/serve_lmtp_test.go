package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lmtpServer is a server that takes mail for everybody on a unix socket, on a port and on one with TLS.
type lmtpServer struct {
	*mailServer
	socket       string
	plain, lmtps string // host:port
	start        func()
}

// prepareLMTP writes a configuration; s.start starts it.
func prepareLMTP(t *testing.T, kind string, settings ...string) *lmtpServer {
	t.Helper()
	s := &lmtpServer{mailServer: prepareServer(t, kind)}
	for _, f := range s.ExtraFiles { // configure opens them anew
		f.Close()
	}
	s.socket = filepath.Join(s.dir, "lmtp")
	s.start = func() {
		t.Helper()
		plain, plainPort := handOver(t)
		secure, securePort := handOver(t)
		s.plain, s.lmtps = fmt.Sprintf("127.0.0.1:%d", plainPort), fmt.Sprintf("127.0.0.1:%d", securePort)
		s.configure(kind, append(settings, fmt.Sprintf(`protocols = imap lmtp
service lmtp {
  unix_listener %s {
    mode = 0600
  }
  inet_listener lmtp {
    port = %d
  }
  inet_listener lmtps {
    port = %d
    ssl = yes
  }
}`, s.socket, plainPort, securePort))...)
		s.ExtraFiles = append(s.ExtraFiles, plain, secure)
		s.Args[2] = strings.Replace(s.Args[2], "LISTEN_FDS=2", "LISTEN_FDS=4", 1)
		s.mailServer.start()
	}
	return s
}

func (s *lmtpServer) open(network, address string) *talk {
	s.t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return &talk{c, s.t, bufio.NewReader(c)}
}

// hello gives the extensions.
func (c *talk) hello() (list []string) {
	c.t.Helper()
	for c.say("LHLO client\r\n"); ; {
		line := c.wants("250")
		list = append(list, line[4:])
		if line[3] == ' ' {
			return list[1:]
		}
	}
}

// ask sends a line and gives the answer.
func (c *talk) ask(line string) string {
	c.t.Helper()
	c.say(line + "\r\n")
	return c.hear()
}

// give delivers a message and gives the answer to each recipient.
func (c *talk) give(text string, to ...string) (answers []string) {
	c.t.Helper()
	c.ask("MAIL FROM:<sender@example.net>")
	for _, r := range to {
		if got := c.ask("RCPT TO:<" + r + ">"); !strings.HasPrefix(got, "250") {
			c.t.Fatal(got)
		}
	}
	c.ask("DATA")
	c.say(text + "\r\n.\r\n")
	for range to {
		answers = append(answers, c.hear())
	}
	return answers
}

func TestLMTPListeners(t *testing.T) {
	s := prepareLMTP(t, "maildir")
	s.start()
	t.Run("R-253 R-254 a socket at a path of its own has its mode", func(t *testing.T) {
		info, err := os.Stat(s.socket)
		if err != nil || info.Mode() != os.ModeSocket|0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	})
	t.Run("R-252 the socket of base_dir is for everybody", func(t *testing.T) {
		info, err := os.Stat(filepath.Join(s.dir, "run", "lmtp"))
		if err != nil || info.Mode() != os.ModeSocket|0o666 {
			t.Errorf("%v, %v", info, err)
		}
	})
	c := s.open("tcp", s.plain)
	t.Run("R-255 LMTP over TCP", func(t *testing.T) { c.wants("220 ") })
	t.Run("R-256 extensions", func(t *testing.T) {
		for _, want := range []string{"8BITMIME", "CHUNKING", "ENHANCEDSTATUSCODES", "PIPELINING", "STARTTLS"} {
			if list := c.hello(); !slices.Contains(list, want) {
				t.Errorf("no %s in %q", want, list)
			}
		}
	})
	insecure := &tls.Config{InsecureSkipVerify: true}
	t.Run("R-257 STARTTLS", func(t *testing.T) {
		c.ask("MAIL FROM:<before@example.net>")
		c.say("STARTTLS\r\nNOOP\r\n")
		c.wants("220 2.0.0 Begin TLS negotiation now.")
		over := c.mustSecure(insecure) // what stood in clear behind the command has no answer
		if got := over.ask("RCPT TO:<ann>"); !strings.HasPrefix(got, "503 5.5.0") {
			t.Errorf("what was said before counts: %q", got)
		}
		if list := over.hello(); slices.Contains(list, "STARTTLS") {
			t.Errorf("%q", list)
		}
		if got := over.ask("STARTTLS"); !strings.HasPrefix(got, "502 5.5.1") {
			t.Error(got)
		}
		if got := over.give("Subject: secure\r\n\r\nx", "ann"); !strings.HasPrefix(got[0], "250 2.0.0 <ann> ") {
			t.Error(got)
		}
	})
	t.Run("R-258 LMTPS", func(t *testing.T) {
		over := s.open("tcp", s.lmtps).mustSecure(insecure)
		over.wants("220 ")
		if list := over.hello(); slices.Contains(list, "STARTTLS") {
			t.Errorf("%q", list)
		}
		over.give("Subject: secure, too\r\n\r\nx", "ann")
		names, _ := filepath.Glob(s.dir + "/home/ann/mail/new/*")
		traced := regexp.MustCompile(`(?s)^Return-Path: <sender@example.net>\nDelivered-To: ann\nReceived: from client \(\[127\.0\.0\.1\]\)\n\t\(using TLS.*\)\n\tby .* with LMTPS\n\tid `)
		for _, name := range names {
			if text, err := os.ReadFile(name); err != nil || !traced.Match(text) {
				t.Errorf("%q, %v", text, err)
			}
		}
		if len(names) != 2 {
			t.Errorf("%d messages", len(names))
		}
	})
}

func TestR262TheLogOfDeliveries(t *testing.T) {
	s := prepareLMTP(t, "sdbox")
	s.start()
	c := s.open("tcp", s.plain)
	c.wants("220")
	c.hello()
	c.give("Message-ID: <1@example.net>\r\n\r\nx", "ann")
	c.ask("QUIT")
	s.waitForLog("Disconnect from 127.0.0.1: Logged out (state=READY)")
	for _, want := range []string{`lmtp\(\d+\): Info: Connect from 127\.0\.0\.1\n`,
		`lmtp\(ann\)<\d+><[^<>]+>: Info: msgid=<1@example\.net>: saved mail to INBOX\n`,
		`lmtp\(\d+\): Info: Disconnect from 127\.0\.0\.1: Logged out \(state=READY\)\n`} {
		if !regexp.MustCompile(want).MatchString(s.log.String()) {
			t.Errorf("no %s", want)
		}
	}
}

func TestXCLIENTIsForTrustedNetworks(t *testing.T) {
	for _, c := range []struct{ trusted, answer, from string }{
		{"192.0.2.0/24", "550 5.7.14 ", ""},
		{"127.0.0.0/8", "220 ", "Received: from there.example.org ([2001:db8::7])"},
	} {
		s := prepareLMTP(t, "maildir", "login_trusted_networks = "+c.trusted)
		s.start()
		conn := s.open("tcp", s.plain)
		conn.wants("220")
		if has := slices.ContainsFunc(conn.hello(), func(e string) bool { return strings.HasPrefix(e, "XCLIENT ") }); has != (c.from != "") {
			t.Errorf("%s: XCLIENT is offered: %v", c.trusted, has)
		}
		if got := conn.ask("XCLIENT ADDR=IPV6:2001:db8::7 PORT=1234 HELO=there.example.org"); !strings.HasPrefix(got, c.answer) {
			t.Errorf("%s: %s", c.trusted, got)
		}
		if c.from == "" {
			continue
		}
		conn.say("LHLO there.example.org\r\n")
		for conn.hear()[3] == '-' {
		}
		conn.give("Subject: x\r\n\r\nx", "ann")
		names, _ := filepath.Glob(s.dir + "/home/ann/mail/new/*")
		if len(names) != 1 {
			t.Fatalf("%q", names)
		}
		if text, _ := os.ReadFile(names[0]); !strings.Contains(string(text), c.from) {
			t.Errorf("%s", text)
		}
	}
}

// What was answered with 250 is there after the server was killed, and what was not is not there by half.
func TestNothingAcceptedIsLostWhenTheServerIsKilled(t *testing.T) {
	for _, kind := range []string{"maildir", "sdbox", "mdbox"} {
		t.Run(kind, func(t *testing.T) {
			s := prepareLMTP(t, kind)
			accepted, sent := 0, 0
			for round := range 4 {
				s.start()
				c := s.open("unix", s.socket)
				c.wants("220")
				c.hello()
				for range 3 + round {
					sent++
					if got := c.give(fmt.Sprintf("Subject: %d\r\n\r\n%s", sent, strings.Repeat("line\r\n", 3000)), "ann"); strings.HasPrefix(got[0], "250") {
						accepted = sent
					}
				}
				sent++ // this one is cut off somewhere
				c.ask("MAIL FROM:<sender@example.net>")
				c.ask("RCPT TO:<ann>")
				c.ask("DATA")
				c.say(fmt.Sprintf("Subject: %d\r\n\r\n%s", sent, strings.Repeat("line\r\n", 3000)))
				if round%2 == 0 {
					c.say(".\r\n")
				}
				s.Process.Kill()
				s.Wait()
			}
			s.start()
			imap := s.login("ann")
			defer imap.Close()
			imap.Cmd("SELECT INBOX")
			got := map[string]int{}
			for _, line := range imap.Cmd("FETCH 1:* (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])") {
				if _, id, ok := strings.Cut(line, "Subject: "); ok {
					got[strings.TrimSpace(strings.Trim(id, "\r\n)"))]++
				}
				if size := regexp.MustCompile(`RFC822.SIZE (\d+)`).FindStringSubmatch(line); size != nil && len(size[1]) < 5 {
					t.Errorf("half a message: %s", line)
				}
			}
			for id := 1; id <= accepted; id++ {
				n := got[fmt.Sprint(id)]
				cut := n == 0 && !answered(id)
				if n > 1 || n == 0 && !cut {
					t.Errorf("message %d is there %d times", id, n)
				}
			}
		})
	}
}

// answered tells whether a message of the test above had an answer: the last one of each round had none.
func answered(id int) bool {
	last := 0
	for round := range 4 {
		if last += 4 + round; id == last {
			return false
		}
	}
	return true
}

// A disk that fills up refuses for a while, keeps nothing by half, and takes mail again when there is room.
func TestAFullDiskRefusesForAWhile(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a file system of its own is mounted by root only")
	}
	for _, kind := range []string{"maildir", "sdbox"} {
		t.Run(kind, func(t *testing.T) {
			s := prepareLMTP(t, kind)
			home := filepath.Join(s.dir, "home")
			if err := unix.Mount("tmpfs", home, "tmpfs", 0, "size=3m,mode=0755"); err != nil {
				t.Skipf("no tmpfs can be mounted: %v", err)
			}
			t.Cleanup(func() { unix.Unmount(home, unix.MNT_DETACH) })
			if err := os.Chmod(home, 0o777); err != nil {
				t.Fatal(err)
			}
			s.start()
			c := s.open("unix", s.socket)
			c.wants("220")
			c.hello()
			text := "Subject: large\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 14000) // 1 MB
			saved := 0
			for range 5 {
				switch got := c.give(text, "ann")[0]; {
				case strings.HasPrefix(got, "250"):
					saved++
				case !strings.HasPrefix(got, "452 4.3.1 <ann> "):
					t.Errorf("a full disk: %s", got)
				}
			}
			imap := s.login("ann")
			defer imap.Close()
			imap.Cmd("SELECT INBOX")
			if n := len(imap.Cmd("UID SEARCH LARGER 980000")[0]); saved == 0 || saved == 5 || n == 0 {
				t.Errorf("%d of 5 were saved", saved)
			}
			list := imap.Cmd("FETCH 1:* RFC822.SIZE")
			whole := slices.DeleteFunc(list, func(line string) bool { return !strings.Contains(line, "FETCH (RFC822.SIZE 100") })
			if len(whole) != saved {
				t.Errorf("saved %d, there are %q", saved, list)
			}
			imap.Cmd(`STORE 1:* +FLAGS.SILENT (\Deleted)`)
			imap.Cmd("EXPUNGE")
			if got := c.give(text, "ann")[0]; !strings.HasPrefix(got, "250") {
				t.Errorf("with room again: %s", got)
			}
		})
	}
}

// A message of a gigabyte needs no more memory than one of some megabytes.
func TestAGigabyteNeedsLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it writes three gigabytes")
	}
	var st unix.Statfs_t
	if err := unix.Statfs(os.TempDir(), &st); err != nil || st.Bavail*uint64(st.Bsize) < 5<<30 {
		t.Skip("there are no 5 GB of room for it")
	}
	s := prepareLMTP(t, "maildir")
	s.start()
	c := s.open("unix", s.socket)
	c.SetDeadline(time.Now().Add(10 * time.Minute))
	c.wants("220")
	c.hello()
	c.ask("MAIL FROM:<sender@example.net>")
	c.ask("RCPT TO:<ann>")
	c.ask("DATA")
	block := strings.Repeat(strings.Repeat("x", 126)+"\r\n", 8192) // 1 MB
	for range 1024 {
		c.say(block)
	}
	c.say(".\r\n")
	c.wants("250 2.0.0 ")
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	peak := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	var kilobytes int
	if fmt.Sscan(string(peak[1]), &kilobytes); kilobytes > 200<<10 {
		t.Errorf("the server took %d MB", kilobytes>>10)
	}
}

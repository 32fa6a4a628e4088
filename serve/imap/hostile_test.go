package imap_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"dovetail/formats/formatstest/dovecot"
)

// rude is a client that does not keep to the rules.
type rude struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func (s *server) rude(t testing.TB) *rude {
	t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	c := &rude{t, conn, bufio.NewReader(conn)}
	c.expect(`^\* OK `)
	return c
}

// loggedIn is a rude client that is logged in.
func (s *server) loggedIn(t testing.TB) *rude {
	c := s.rude(t)
	c.say("l LOGIN tester x\r\n")
	c.expect("^l OK ")
	return c
}

func (c *rude) say(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatalf("%.60q: %v", text, err)
	}
}

// expect reads up to a line that matches.
func (c *rude) expect(pattern string) string {
	c.t.Helper()
	want := regexp.MustCompile(pattern)
	for {
		line, err := c.r.ReadString('\n')
		if want.MatchString(line) {
			return line
		}
		if err != nil {
			c.t.Fatalf("waiting for %q: %v", pattern, err)
		}
	}
}

// pour sends a byte until the server has had enough, and gives what the server said.
func (c *rude) pour() string {
	go func() {
		for junk := make([]byte, 32<<10); ; {
			if _, err := c.Write(junk); err != nil {
				return
			}
		}
	}()
	said, _ := io.ReadAll(c.r)
	return string(said)
}

func TestHostileInputBeforeLogin(t *testing.T) {
	server := start(t, "sdbox:"+dovecot.TempDir(t)+"/mail")
	const refused, tooLong = `^\w+ BAD .*\r\nz OK`, `^(\w+ BAD .*\r\n)?\* BYE (Literal size too large|Input buffer full, aborting)\r\n$`
	for _, tc := range []struct{ name, said, want string }{
		{"a literal of two gigabytes", "q LOGIN {2147483647}", refused},
		{"a literal of four gigabytes", "q LOGIN {4294967295}", refused},
		{"a literal of more than 64 bits", "q LOGIN {18446744073709551616}", refused},
		{"a literal of less than nothing", "q LOGIN {-1}", refused},
		{"a long literal that is not waited for", "q LOGIN {9000+}\r\n" + strings.Repeat("x", 9000), tooLong},
		{"a message that is not waited for", "q APPEND INBOX {9000+}\r\n" + strings.Repeat("x", 9000), tooLong},
		{"200,000 parentheses", "q LOGIN " + strings.Repeat("(", 200000), tooLong},
		{"thousands of little literals", "q LOGIN " + strings.Repeat("{1+}\r\nx ", 20000), tooLong},
		{"a NUL in a command", "q NO\x00OP", refused},
		{"a NUL in quotes", "q LOGIN \"tester\x00\" x", refused},
		{"a NUL in a literal", "q LOGIN {8+}\r\ntester\x00x x", refused},
		{"a command of the logged in with a literal", "q APPEND INBOX {4+}\r\nabcd", refused},
		{"a mechanism's answer that is too long", "q AUTHENTICATE PLAIN\r\n" + strings.Repeat("QUFB", 9000), `\+ \r\nq BAD .*\r\nz OK`},
		{"a mechanism's answer that does not end", "q AUTHENTICATE PLAIN\r\n" + strings.Repeat("QUFB", 90000), `\+ \r\n\* BYE Input buffer full`},
		{"nonsense three times", "q\r\nq\r\nq", `\* BYE Too many invalid IMAP commands\.\r\n$`},
	} {
		c := server.rude(t)
		go io.WriteString(c, tc.said+"\r\nz NOOP\r\ny LOGOUT\r\n")
		said, _ := io.ReadAll(c.r) // which may end with a reset, because not everything was read
		if !regexp.MustCompile(tc.want).Match(said) && !strings.HasPrefix(tc.want, `^\* BYE`) {
			t.Errorf("%s: the server said %q, want %s", tc.name, said, tc.want)
		}
	}
	for name, start := range map[string]string{"a line": "q LOGIN ", "a literal": "q LOGIN {1000000000+}\r\n", "an answer": "q AUTHENTICATE PLAIN\r\n"} {
		c := server.rude(t)
		c.say(start)
		if said := c.pour(); strings.Contains(said, "OK") {
			t.Errorf("%s without an end: the server said %q", name, said)
		}
	}
	server.login().Cmd("NOOP") // others come in as before
}

func TestHostileInputAfterLogin(t *testing.T) {
	server := start(t, "sdbox:"+dovecot.TempDir(t)+"/mail")
	server.login().Append("INBOX", "", "", "Subject: x\r\n\r\nx\r\n")
	const bad, no, ok, bye = `(?m)^q BAD [^\n]*\r\nz OK`, `(?m)^q NO [^\n]*\r\nz OK`, `(?m)^q OK .*\r\nz OK`, `\* BYE Literal size too large\r\n$`
	many := func(text string, n int) string { return strings.Repeat(text, n) }
	for _, tc := range []struct{ name, said, want string }{
		{"a literal of a gigabyte that is waited for", "q SELECT {1000000000}", bad},
		{"a literal of a gigabyte that is not waited for", "q SELECT {1000000000+}", bye},
		{"a message of two terabytes that is waited for", "q APPEND INBOX {2199023255552}", no},
		{"a message of two terabytes that is not waited for", "q APPEND INBOX {2199023255552+}", bye},
		{"a message of 2^64-1 bytes", "q APPEND INBOX {18446744073709551615}", bad},
		{"a message of 2^63-1 bytes", "q APPEND INBOX {9223372036854775807}", no},
		{"a message without a size", "q APPEND INBOX {}", bad},
		{"a line that is too long", "q SELECT " + many("x", 70000), bad},
		{"8 KB of ORs", "q SEARCH " + many("OR ALL ", 1200) + "ALL", ok},
		{"as many ORs as fit", "q SEARCH " + many("OR ALL ", 9000) + "ALL", ok},
		{"as many NOTs as fit", "q SEARCH " + many("NOT ", 16000) + "ALL", ok},
		{"deep parentheses", "q SEARCH " + many("(", 7000) + "ALL" + many(")", 7000), bad},
		{"parentheses that are not too deep", "q SEARCH " + many("(", 150) + "ALL" + many(")", 150), ok},
		{"thousands of sets of all", "q UID FETCH " + many("1:4294967295,", 4000) + "* FLAGS", ok},
		{"thousands of descending sets", "q UID FETCH " + many("*:1,", 9000) + "1 FLAGS", `(?m)^\* 1 FETCH .*\r\nq OK .*\r\nz OK`},
		{"a set with a number of 33 bits", "q FETCH 4294967296 FLAGS", bad},
		{"a set with a number of 65 bits", "q FETCH 18446744073709551617 FLAGS", bad},
		{"thousands of items", "q FETCH 1 (" + many("FLAGS UID BODY.PEEK[HEADER] ", 2000) + "FLAGS)", ok},
		{"thousands of header fields", "q FETCH 1 BODY.PEEK[HEADER.FIELDS (" + many("a b c ", 5000) + "x)]", ok},
		{"a section thousands of parts deep", "q FETCH 1 BODY.PEEK[" + many("1.", 2000) + "1]", ok},
		{"thousands of keywords", "q STORE 1 +FLAGS.SILENT (" + many("a b c d ", 5000) + "e)", ok},
		{"a keyword that is no atom", "q STORE 1 +FLAGS (a]b)", no},
		{"a keyword with a backslash in it", `q STORE 1 +FLAGS (a\b)`, no},
		{"a keyword with a star", "q STORE 1 +FLAGS (a*b)", no},
		{"a keyword of eight bits", "q STORE 1 +FLAGS (x\x80)", bad},
		{"a keyword that is too long", "q STORE 1 +FLAGS (" + many("k", 51) + ")", no},
		{"such a keyword for a new message", "q APPEND INBOX (a]b) {3+}\r\nabc", no},
		{"a name with line ends", "q SELECT {13+}\r\na\r\n* BYE you.", no},
		{"a name with line ends that is no UTF-8", "q SELECT {13+}\r\n\xff\r\n* BYE you.", `(?m)^q NO Mailbox name is not valid mUTF-7 .*\r\nz OK`},
		{"a URL with line ends", "q APPEND INBOX CATENATE (URL {13+}\r\n/\r\n* BYE you.)", `(?m)^q NO \[BADURL [^\r\n]*\r\nz OK`},
		{"a pattern of stars", `q LIST "" "` + many("%*a", 15000) + `"`, ok},
		{"thousands of patterns", `q LIST "" (` + many("a* b% ", 9000) + `c)`, ok},
		{"a sort by thousands of keys", "q SORT (" + many("SUBJECT REVERSE SIZE ", 3000) + "DATE) UTF-8 ALL", ok},
		{"a search for thousands of fields", "q SEARCH " + many("OR HEADER a b ", 4000) + "HEADER c d", ok},
		{"names for NOTIFY by the thousand", "q NOTIFY SET (mailboxes (" + many("a b ", 15000) + "c) (MessageNew MessageExpunge))", ok},
	} {
		c := server.loggedIn(t)
		c.say("s SELECT INBOX\r\n")
		c.expect("^s OK")
		go io.WriteString(c, tc.said+"\r\nz NOOP\r\ny LOGOUT\r\n")
		said, _ := io.ReadAll(c.r)
		if !regexp.MustCompile(tc.want).Match(said) {
			t.Errorf("%s: the server said %.300q, want %s", tc.name, said, tc.want)
		}
	}
}

// TestAMessageThatIsCutOffLeavesNothing sends half of what was announced, in each way a message can come.
func TestAMessageThatIsCutOffLeavesNothing(t *testing.T) {
	for _, kind := range []string{"sdbox", "maildir", "mbox"} {
		dir := dovecot.TempDir(t)
		server := start(t, dovecot.Location(kind, dir+"/mail"))
		before := server.login()
		before.Append("INBOX", "", "", "Subject: first\r\n\r\nx\r\n")
		files := tree(t, dir)
		for _, said := range []string{
			"a APPEND INBOX {1000000+}\r\nSubject: cut\r\n\r\n" + strings.Repeat("x", 500000),
			"a APPEND INBOX {10+}\r\n0123456789 {1000000+}\r\n" + strings.Repeat("x", 500000),
			"a APPEND INBOX CATENATE (TEXT {10+}\r\n0123456789 TEXT {1000000+}\r\n" + strings.Repeat("x", 500000),
			"a APPEND INBOX ~{1000000+}\r\n" + strings.Repeat("x\x00", 250000),
			"a APPEND INBOX {10+}\r\n0123456789",
		} {
			c := server.loggedIn(t)
			c.say(said)
			c.Conn.(*net.TCPConn).CloseWrite()
			if rest, err := io.ReadAll(c.r); err != nil || strings.Contains(string(rest), "OK") {
				t.Errorf("%s: %.40q: the server said %q, %v", kind, said, rest, err)
			}
			if now := tree(t, dir); now != files {
				t.Errorf("%s: after %.40q there is\n%s\nbefore there was\n%s", kind, said, now, files)
			}
		}
		if lines := strings.Join(before.Cmd("STATUS INBOX (MESSAGES UIDNEXT)"), ""); !strings.Contains(lines, "MESSAGES 1 UIDNEXT 2") {
			t.Errorf("%s: %s", kind, lines)
		}
	}
}

// tree lists the files below a folder with their sizes.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var list []string
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			list = append(list, fmt.Sprintf("%s %d", strings.TrimPrefix(path, dir), info.Size()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, "\n")
}

// TestASlowClientHoldsUpNobody has one client that stops reading in the middle of an answer, and one that stops sending in
// the middle of a message.
func TestASlowClientHoldsUpNobody(t *testing.T) {
	for _, kind := range []string{"sdbox", "maildir", "mbox"} {
		server := start(t, dovecot.Location(kind, dovecot.TempDir(t)+"/mail"))
		c := server.login()
		c.Append("INBOX", "", "", "Subject: big\r\n\r\n"+strings.Repeat(strings.Repeat("y", 70)+"\r\n", 20000))
		reader, sender := server.loggedIn(t), server.loggedIn(t)
		reader.say("s SELECT INBOX\r\n" + strings.Repeat("f FETCH 1 BODY.PEEK[]\r\n", 30))
		reader.expect("^\\* 1 FETCH") // the rest of 40 MB it does not read
		sender.say("a APPEND INBOX {10}\r\n")
		sender.expect(`^\+`)
		sender.say("01234")
		c.Cmd("SELECT INBOX")
		c.Append("INBOX", "", "", "Subject: second\r\n\r\nx\r\n")
		c.Cmd(`STORE 1 +FLAGS (\Deleted)`)
		c.Cmd("EXPUNGE")
		c.Cmd("CREATE other")
		c.Cmd("COPY 1 other")
		c.Cmd("RENAME other another")
		sender.say("56789\r\n")
		sender.expect("^a OK")
		if lines := strings.Join(c.Cmd("NOOP"), " "); !strings.Contains(lines, "2 EXISTS") {
			t.Errorf("%s: %q", kind, lines)
		}
	}
}

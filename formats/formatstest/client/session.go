// Package client speaks IMAP and POP3 for tests: with a server process on a pipe or over a connection. It knows just
// enough of both to ask any server what it shows; it shares no code with what is tested.
package client

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience is how long a session waits for an answer before the test fails. It bounds a hang; nothing is timed by it.
const patience = 20 * time.Second

// Session is one session of either protocol. A failure of the protocol ends the test.
type Session struct {
	// Plain is for servers that know neither MODSEQ nor literals without waiting (LITERAL+).
	Plain bool

	t     testing.TB
	log   func() string // what the server says on the side, for failures
	in    io.WriteCloser
	lines chan string  // responses, literals included, without the final CRLF; closed at end of file
	end   func() error // waits for the other side to be gone; nil once it is
	kill  func()
	tag   int
	early []string // untagged responses read by Wait that it did not look for
}

// Protocol says which of the two a session speaks: IMAP has literals.
type Protocol string

// The protocols.
const (
	IMAP Protocol = "imap"
	POP  Protocol = "pop3"
)

// Start runs a server on a pipe. log gives what it has logged so far.
func Start(t testing.TB, p Protocol, cmd *exec.Cmd, log func() string) *Session {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &Session{t: t, log: log, in: in, end: cmd.Wait, kill: func() { cmd.Process.Kill() }}
	return s.begin(p, out)
}

// Dial connects to a server that listens.
func Dial(t testing.TB, p Protocol, address string, log func() string) *Session {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatalf("%v\n%s", err, log())
	}
	s := &Session{t: t, log: log, in: half{conn.(*net.TCPConn)}, end: conn.Close, kill: func() { conn.Close() }}
	return s.begin(p, conn)
}

// half closes the writing side of a connection, so that the rest can still be read.
type half struct{ *net.TCPConn }

func (h half) Close() error { return h.CloseWrite() }

func (s *Session) begin(p Protocol, out io.Reader) *Session {
	s.lines = make(chan string, 1024)
	go s.read(bufio.NewReaderSize(out, 1<<16), p == IMAP)
	s.t.Cleanup(s.Close)
	return s
}

// literalEnd is a line that announces a literal.
var literalEnd = regexp.MustCompile(`\{(\d+)\}\r\n$`)

func (s *Session) read(r *bufio.Reader, literals bool) {
	defer close(s.lines)
	for {
		line, err := readResponse(r, literals)
		if err != nil {
			return
		}
		s.lines <- line
	}
}

// readResponse reads one line and, in IMAP, the literals in it.
func readResponse(r *bufio.Reader, literals bool) (string, error) {
	var whole strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		whole.WriteString(line)
		m := literalEnd.FindStringSubmatch(line)
		if m == nil || !literals {
			return strings.TrimSuffix(whole.String(), "\r\n"), nil
		}
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			return "", err
		}
		if _, err := io.CopyN(&whole, r, n); err != nil {
			return "", err
		}
	}
}

// Next is the next line that the server sends.
func (s *Session) Next() string {
	s.t.Helper()
	select {
	case line, ok := <-s.lines:
		if !ok {
			s.t.Fatalf("the session ended\n%s", s.log())
		}
		return line
	case <-time.After(patience):
		s.t.Fatalf("no answer in %v\n%s", patience, s.log())
	}
	return ""
}

func (s *Session) send(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.in, text); err != nil {
		s.t.Fatalf("send %.80q: %v\n%s", text, err, s.log())
	}
}

// Cmd sends one IMAP command (without tag and CRLF; literals as "{5+}\r\nhello") and gives the untagged responses. Any
// answer but OK ends the test.
func (s *Session) Cmd(line string) []string {
	s.t.Helper()
	lines, status := s.Try(line)
	if !strings.HasPrefix(status, "OK") {
		s.t.Fatalf("%.200s: %s\n%s", line, status, s.log())
	}
	return lines
}

// Try is Cmd for commands that may be refused; status is the tagged response without its tag.
func (s *Session) Try(line string) (lines []string, status string) {
	s.t.Helper()
	s.tag++
	tag := "a" + strconv.Itoa(s.tag) + " "
	s.send(tag + line + "\r\n")
	lines, s.early = s.early, nil
	for {
		got := s.Next()
		if rest, ok := strings.CutPrefix(got, tag); ok {
			return lines, rest
		}
		lines = append(lines, got)
	}
}

// Last is Try for a server that may die: alive is false when the session ended before the answer.
func (s *Session) Last(line string) (lines []string, status string, alive bool) {
	s.t.Helper()
	s.tag++
	tag := "a" + strconv.Itoa(s.tag) + " "
	if _, err := io.WriteString(s.in, tag+line+"\r\n"); err != nil {
		return nil, "", false
	}
	for {
		select {
		case got, ok := <-s.lines:
			if !ok {
				return lines, "", false
			}
			if rest, ok := strings.CutPrefix(got, tag); ok {
				return lines, rest, true
			}
			lines = append(lines, got)
		case <-time.After(patience):
			s.t.Fatalf("no answer in %v\n%s", patience, s.log())
		}
	}
}

// Append saves a message. date is in the form of INTERNALDATE, or "".
func (s *Session) Append(mailbox, flags, date, message string) {
	s.t.Helper()
	if date != "" {
		date = ` "` + date + `"`
	}
	command := fmt.Sprintf("APPEND %s (%s)%s", Quote(mailbox), flags, date)
	if !s.Plain {
		s.Cmd(fmt.Sprintf("%s {%d+}\r\n%s", command, len(message), message))
		return
	}
	s.tag++
	tag := "a" + strconv.Itoa(s.tag) + " "
	s.send(fmt.Sprintf("%s%s {%d}\r\n", tag, command, len(message)))
	s.Wait(`^\+`)
	s.send(message + "\r\n")
	if done := s.Wait("^" + tag); !strings.HasPrefix(done, tag+"OK") {
		s.t.Fatalf("%s: %s\n%s", command, done, s.log())
	}
}

// Select opens a mailbox for reading and writing.
func (s *Session) Select(mailbox string) []string {
	s.t.Helper()
	return s.Cmd("SELECT " + Quote(mailbox))
}

// Idle starts IDLE; Wait for what should come, then Done.
func (s *Session) Idle() {
	s.t.Helper()
	s.tag++
	s.send("a" + strconv.Itoa(s.tag) + " IDLE\r\n")
	for {
		line := s.Next()
		if strings.HasPrefix(line, "+") {
			return
		}
		s.early = append(s.early, line)
	}
}

// Wait gives the first untagged response that matches the pattern, among those already sent or those to come.
func (s *Session) Wait(pattern string) string {
	s.t.Helper()
	want := regexp.MustCompile(pattern)
	for i, line := range s.early {
		if want.MatchString(line) {
			s.early = append(s.early[:i:i], s.early[i+1:]...)
			return line
		}
	}
	for {
		line := s.Next()
		if want.MatchString(line) {
			return line
		}
		s.early = append(s.early, line)
	}
}

// Done ends IDLE and gives the untagged responses that nobody waited for.
func (s *Session) Done() []string {
	s.t.Helper()
	tag := "a" + strconv.Itoa(s.tag) + " "
	s.send("DONE\r\n")
	var lines []string
	lines, s.early = s.early, nil
	for {
		got := s.Next()
		if strings.HasPrefix(got, tag) {
			return lines
		}
		lines = append(lines, got)
	}
}

// Close logs out and waits for the process, so that it has written all it wants to write.
func (s *Session) Close() {
	if s.end == nil {
		return
	}
	if s.tag > 0 {
		io.WriteString(s.in, "a0 LOGOUT\r\n") // a session that is gone has logged out
	}
	s.in.Close()
	for range s.lines {
	}
	err := s.end()
	s.end = nil
	if _, exit := errors.AsType[*exec.ExitError](err); err != nil && !exit {
		s.t.Errorf("end of the session: %v", err)
	}
}

// Kill ends the session as a crash would.
func (s *Session) Kill() {
	if s.end == nil {
		return
	}
	s.kill()
	for range s.lines {
	}
	s.end() // it was killed: that is its answer
	s.end = nil
}

package dovecot

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience is how long a session waits for an answer before the test fails. It bounds a hang; nothing is timed by it.
const patience = 20 * time.Second

// Session is one imap or pop3 process on a pipe. A failure of the protocol ends the test.
type Session struct {
	t     testing.TB
	judge *Judge
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string // responses, literals included, without the final CRLF; closed at end of file
	tag   int
	early []string // untagged responses read by Wait that it did not look for
}

// IMAP starts a session that is already logged in.
func (j *Judge) IMAP() *Session {
	j.t.Helper()
	s := j.start("imap")
	if greeting := s.next(); !strings.HasPrefix(greeting, "* PREAUTH ") {
		j.t.Fatalf("imap greeted with %q\n%s", greeting, j.Log())
	}
	return s
}

func (j *Judge) start(program string) *Session {
	j.t.Helper()
	s := &Session{t: j.t, judge: j, cmd: j.Command("exec", program), lines: make(chan string, 1024)}
	literals := program == "imap"
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		j.t.Fatal(err)
	}
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		j.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		j.t.Fatal(err)
	}
	go s.read(bufio.NewReaderSize(out, 1<<16), literals)
	j.t.Cleanup(s.Close)
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

// next is the next line that the process sends.
func (s *Session) next() string {
	s.t.Helper()
	select {
	case line, ok := <-s.lines:
		if !ok {
			s.t.Fatalf("the session ended\n%s", s.judge.Log())
		}
		return line
	case <-time.After(patience):
		s.t.Fatalf("no answer in %v\n%s", patience, s.judge.Log())
	}
	return ""
}

func (s *Session) send(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.in, text); err != nil {
		s.t.Fatalf("send %.80q: %v\n%s", text, err, s.judge.Log())
	}
}

// Cmd sends one IMAP command (without tag and CRLF; literals as "{5+}\r\nhello") and gives the untagged responses. Any
// answer but OK ends the test.
func (s *Session) Cmd(line string) []string {
	s.t.Helper()
	lines, status := s.Try(line)
	if !strings.HasPrefix(status, "OK") {
		s.t.Fatalf("%.200s: %s\n%s", line, status, s.judge.Log())
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
		got := s.next()
		if rest, ok := strings.CutPrefix(got, tag); ok {
			return lines, rest
		}
		lines = append(lines, got)
	}
}

// Append saves a message. date is in the form of INTERNALDATE, or "".
func (s *Session) Append(mailbox, flags, date, message string) {
	s.t.Helper()
	if date != "" {
		date = ` "` + date + `"`
	}
	s.Cmd(fmt.Sprintf("APPEND %s (%s)%s {%d+}\r\n%s", Quote(mailbox), flags, date, len(message), message))
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
		line := s.next()
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
		line := s.next()
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
		got := s.next()
		if strings.HasPrefix(got, tag) {
			return lines
		}
		lines = append(lines, got)
	}
}

// Close logs out and waits for the process, so that it has written all it wants to write.
func (s *Session) Close() {
	if s.cmd.ProcessState != nil {
		return
	}
	if s.tag > 0 {
		io.WriteString(s.in, "a0 LOGOUT\r\n") // a session that is gone has logged out
	}
	s.in.Close()
	for range s.lines {
	}
	err := s.cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		s.t.Errorf("imap: %v", exit)
	}
}

// Kill ends the process as a crash would.
func (s *Session) Kill() {
	s.cmd.Process.Kill()
	for range s.lines {
	}
	s.cmd.Wait() // it was killed: that is its answer
}

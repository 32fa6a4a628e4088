package submission_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// mta is a relay that answers as the addresses have it: those that begin with "refused", "later", "plain", "forward",
// "authenticate", "goaway" or "hangup" are not as others. So are messages with these words.
type mta struct {
	host, port string
	extensions []string

	mu       sync.Mutex
	said     []string // the commands that it got
	messages []string // that it has accepted
	open     []net.Conn
	held     chan struct{} // a message with the word "wait" is judged when it is closed; nil: there is none
	waiting  chan struct{} // is sent to when there is one
}

// hangUp ends all connections.
func (m *mta) hangUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.open {
		c.Close()
	}
}

var usualExtensions = []string{"PIPELINING", "SIZE 10240000", "VRFY", "AUTH PLAIN LOGIN", "ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING"}

// startMTA runs a relay until the test ends.
func startMTA(t testing.TB, extensions ...string) *mta {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	m := &mta{extensions: extensions}
	if extensions == nil {
		m.extensions = usualExtensions
	}
	m.host, m.port, _ = net.SplitHostPort(l.Addr().String())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go m.serve(c)
		}
	}()
	return m
}

// settings make it the relay of a site.
func (m *mta) settings() []string {
	return []string{"submission_relay_host = " + m.host, "submission_relay_port = " + m.port}
}

func (m *mta) got() (commands, messages []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string{}, m.said...), append([]string{}, m.messages...)
}

func (m *mta) keep(list *[]string, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*list = append(*list, text)
}

func (m *mta) serve(c net.Conn) {
	defer c.Close()
	m.mu.Lock()
	m.open = append(m.open, c)
	m.mu.Unlock()
	r := bufio.NewReader(c)
	say := func(text string) { io.WriteString(c, text+"\r\n") }
	say("220 relay.example.org ESMTP")
	chunks := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		m.keep(&m.said, strings.TrimSuffix(line, "\r\n"))
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch verb = strings.ToUpper(verb); verb {
		case "EHLO", "LHLO":
			say("250-relay.example.org\r\n250-" + strings.Join(m.extensions[:len(m.extensions)-1], "\r\n250-") + "\r\n250 " + m.extensions[len(m.extensions)-1])
		case "MAIL", "RCPT":
			if !say2(say, verb, rest) {
				return
			}
		case "DATA":
			say("354 go ahead")
			text, ok := readDots(r)
			if !ok || !m.judge(say, text) {
				return
			}
		case "BDAT":
			size, last, _ := strings.Cut(rest, " ")
			n, _ := strconv.Atoi(size)
			b := make([]byte, n)
			if _, err := io.ReadFull(r, b); err != nil {
				return
			}
			if chunks += string(b); last == "" {
				say("250 2.0.0 Ok")
			} else if !m.judge(say, chunks) {
				return
			} else {
				chunks = ""
			}
		case "VRFY":
			say("252 2.0.0 " + rest)
		case "RSET":
			say("250 2.0.0 Ok reset")
		case "NOOP":
			say("250 2.0.0 Ok noop")
		case "XCLIENT":
			say("220 relay.example.org ESMTP")
		case "AUTH":
			say("235 2.7.0 Authentication successful")
		case "QUIT":
			say("221 2.0.0 Bye relay")
			return
		default:
			say("502 5.5.2 Error: command not recognized")
		}
	}
}

// say2 answers MAIL and RCPT by what is in the address; false when the connection is to end.
func say2(say func(string), verb, args string) bool {
	_, address, _ := strings.Cut(args, "<")
	for word, answer := range map[string]string{
		"refused@": "553 5.1.8 Address rejected: no such address", "refused2@": "550-5.1.1 first line\r\n550 5.1.1 second line", "later@": "450 4.2.0 Greylisted",
		"plain@": "250 fine", "authenticate@": "530 5.7.0 Authenticate first", "goaway@": "421 4.3.2 relay.example.org going down",
		"forward@": "251 2.1.5 will forward",
	} {
		if strings.HasPrefix(address, word) {
			say(answer)
			return word != "goaway@"
		}
	}
	if strings.HasPrefix(address, "hangup@") {
		return false
	}
	say("250 2.1." + map[string]string{"MAIL": "0 Ok sender", "RCPT": "5 Ok recipient"}[verb])
	return true
}

// judge accepts a message, or not; false when the connection is to end.
func (m *mta) judge(say func(string), text string) bool {
	if strings.Contains(text, "wait") && m.held != nil {
		m.waiting <- struct{}{}
		<-m.held
	}
	switch {
	case strings.Contains(text, "hangup"):
		return false
	case strings.Contains(text, "refuse"):
		say("554 5.6.0 Content rejected")
	default:
		m.keep(&m.messages, text)
		say(fmt.Sprintf("250 2.0.0 Ok: queued as %d", 12345))
	}
	return true
}

// readDots reads a message as strictly as RFC 5321 has it: CRLF alone ends lines.
func readDots(r *bufio.Reader) (string, bool) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", false
		}
		atStart := b.Len() == 0 || strings.HasSuffix(b.String(), "\r\n")
		if atStart && line == ".\r\n" {
			return b.String(), true
		}
		if atStart {
			line = strings.TrimPrefix(line, ".")
		}
		b.WriteString(line)
	}
}

var (
	traceID   = regexp.MustCompile(`(?m)^\tid .*\r$`)
	traceDate = regexp.MustCompile(`; ..., .*\r`)
)

// masked is a message without what is never the same twice.
func masked(text string) string {
	return traceDate.ReplaceAllString(traceID.ReplaceAllString(text, "\tid ID\r"), "; DATE\r")
}

// sink is a relay that takes everything and keeps nothing.
type sink struct {
	port  string
	bytes atomic.Int64
}

func newSink(t testing.TB) *sink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &sink{}
	_, s.port, _ = net.SplitHostPort(l.Addr().String())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

func (s *sink) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	io.WriteString(c, "220 sink\r\n")
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		if string(line) != "DATA\r\n" {
			io.WriteString(c, "250 2.0.0 ok\r\n")
			continue
		}
		io.WriteString(c, "354 go\r\n")
		for string(line) != ".\r\n" {
			if line, err = r.ReadSlice('\n'); err != nil {
				return
			}
			s.bytes.Add(int64(len(line)))
		}
		io.WriteString(c, "250 2.0.0 took it\r\n")
	}
}

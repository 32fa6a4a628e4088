package servetest

import (
	"bufio"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// SMTP is a client that speaks SMTP, or LMTP, byte by byte as a test says.
type SMTP struct {
	T testing.TB
	net.Conn
	R *bufio.Reader // of Conn
}

// DialSMTP connects to a server. The connection is closed when the test ends, and given up after a minute.
func DialSMTP(t testing.TB, network, address string) *SMTP {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return &SMTP{t, c, bufio.NewReader(c)}
}

// Reply gives one with all its lines, "(closed)" when there is none.
func (c *SMTP) Reply() string {
	var all string
	for {
		line, err := c.R.ReadString('\n')
		all += line
		if err != nil {
			return all + "(closed)"
		}
		if len(line) < 4 || line[3] != '-' {
			return strings.TrimSuffix(all, "\r\n")
		}
	}
}

// Say sends bytes and gives the next reply.
func (c *SMTP) Say(text string) string {
	c.T.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		return "(closed)"
	}
	return c.Reply()
}

var scriptLine = regexp.MustCompile(`^(\d)> (.*)$`)

// Run plays a script and gives all that was said by both sides. A line "N> TEXT" sends a text, in which ¶ is a line end, and
// reads N replies.
func (c *SMTP) Run(script string) (said []string) {
	said = append(said, c.Reply())
	for line := range strings.Lines(script) {
		m := scriptLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			c.T.Fatalf("%q", line)
		}
		n, _ := strconv.Atoi(m[1])
		reply := c.Say(strings.ReplaceAll(m[2], "¶", "\r\n"))
		for said = append(said, "> "+m[2], reply); n > 1; n-- {
			said = append(said, c.Reply())
		}
		if strings.HasSuffix(said[len(said)-1], "(closed)") {
			break
		}
	}
	return said
}

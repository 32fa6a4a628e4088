package client

import (
	"fmt"
	"strings"
)

// POP3 is a POP3 session, logged in.
type POP3 struct{ *Session }

// PopMessage is one message as POP3 shows it.
type PopMessage struct {
	UIDL string
	Size int64  // of LIST
	Body string // of TOP, which sets no flag; dots unstuffed
}

// Cmd sends a command with an answer of one line and gives what follows "+OK".
func (p POP3) Cmd(line string) string {
	p.t.Helper()
	p.send(line + "\r\n")
	rest, ok := strings.CutPrefix(p.Next(), "+OK")
	if !ok {
		p.t.Fatalf("%s: refused\n%s", line, p.log())
	}
	return strings.TrimSpace(rest)
}

// Multi sends a command with an answer that ends with a dot and gives its lines.
func (p POP3) Multi(line string) []string {
	p.t.Helper()
	p.Cmd(line)
	var lines []string
	for {
		got := p.Next()
		if got == "." {
			return lines
		}
		lines = append(lines, strings.TrimPrefix(got, "."))
	}
}

// All gives every message in the order of POP3.
func (p POP3) All() []PopMessage {
	p.t.Helper()
	var all []PopMessage
	sizes := p.Multi("LIST")
	for i, line := range p.Multi("UIDL") {
		var m PopMessage
		var n, again int
		if _, err := fmt.Sscanf(line, "%d %s", &n, &m.UIDL); err != nil || n != i+1 {
			p.t.Fatalf("UIDL gave %q as line %d", line, i+1)
		}
		if _, err := fmt.Sscanf(sizes[i], "%d %d", &again, &m.Size); err != nil || again != n {
			p.t.Fatalf("LIST gave %q as line %d", sizes[i], i+1)
		}
		m.Body = strings.Join(append(p.Multi(fmt.Sprintf("TOP %d 99999999", n)), ""), "\r\n")
		all = append(all, m)
	}
	return all
}

// Quit ends the session so that its deletions are done and the messages it retrieved are \Seen.
func (p POP3) Quit() {
	p.t.Helper()
	p.Cmd("QUIT")
	p.Session.Close()
}

// Close leaves without QUIT: the mailbox stays as it was.
func (p POP3) Close() { p.Session.Close() }

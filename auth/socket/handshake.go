package socket

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"
)

// serveSASL is the life of a connection on which AUTH is spoken.
func (c *conn) serveSASL(ctx context.Context, cancel context.CancelFunc) {
	c.greetSASL()
	c.net.SetReadDeadline(time.Now().Add(c.HandshakeTimeout))
	first, shaken := true, false
	err := c.each(maxClientLine, func(w []string, line string) bool {
		switch {
		case first:
			first = false
			if !c.version(w) {
				c.badVersion(w, line)
				return false
			}
			return true
		case !shaken:
			shaken = c.processID(w, line)
			if shaken {
				c.net.SetReadDeadline(time.Time{})
			}
			return shaken
		}
		return c.command(w, line)
	})
	c.end(err, cancel)
}

func (c *conn) badVersion(w []string, line string) {
	if len(w) == 3 && w[0] == "VERSION" && isNumber(w[1]) && isNumber(w[2]) {
		c.error("Authentication client not compatible with this server (mixed old and new binaries?)")
		return
	}
	c.error("Authentication client sent invalid VERSION line: " + verb(w, line))
}

func isNumber(word string) bool {
	_, ok := number(word)
	return ok
}

func (c *conn) greetSASL() {
	c.greet(c)
	b := []byte("VERSION\t1\t2\n")
	if c.kind == Token || c.kind == TokenLogin {
		b = append(b, "MECH\t"+tokenMechanism+"\n"...)
	} else {
		for _, m := range c.Auth.Mechanisms() {
			b = appendMechanism(b, m)
		}
	}
	b = fmt.Appendf(b, "SPID\t%d\nCUID\t%d\nCOOKIE\t%s\nDONE", pid, c.uid, hex.EncodeToString(c.cookie[:]))
	c.send(b)
}

// processID reads CPID. Only the numbers of login processes matter: over TCP they may be the same.
func (c *conn) processID(w []string, line string) bool {
	if len(w) < 2 || w[0] != "CPID" {
		c.bug("Authentication client sent unknown handshake command: %s", verb(w, line))
		return false
	}
	n, ok := number(w[1])
	if !ok || n == 0 {
		c.bug("Authentication client said it's PID 0")
		return false
	}
	if !c.kind.twoPhase() {
		return true
	}
	if c.pid = n; !c.register(c) {
		c.pid = 0
		c.bug("Authentication client gave a PID %d of existing connection", n)
		return false
	}
	return true
}

// end ends a connection and all that was begun on it.
func (c *conn) end(err error, cancel context.CancelFunc) {
	if c.pid != 0 {
		c.unregister(c)
	}
	c.mu.Lock()
	pending := len(c.requests)
	for id, r := range c.requests {
		c.forget(id, r)
	}
	c.mu.Unlock()
	switch {
	case errors.Is(err, errTooLong):
		c.bug("Auth client %d sent us more than %d bytes", c.pid, maxClientLine)
	case pending > 0 && errors.Is(err, io.EOF):
		c.error(fmt.Sprintf("auth client %d disconnected with %d pending requests: EOF", c.pid, pending))
	case pending > 0 && !errors.Is(err, errBroken) && c.ctx.Err() == nil:
		c.error(fmt.Sprintf("auth client %d disconnected with %d pending requests: %s", c.pid, pending, c.why(err)))
	}
	cancel()
	c.work.wait()
}

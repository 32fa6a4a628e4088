package socket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// conn is one connection. Its lines are read and acted on by one goroutine; each request has another one while it is
// worked on.
type conn struct {
	*Server
	net     net.Conn
	kind    Kind
	name    string // of the socket
	peer    *unix.Ucred
	has     *peer // what the peer has here
	created time.Time
	ctx     context.Context // of the connection: goroutines of requests have theirs from it

	uid, pid   uint32 // CUID and CPID
	cookie     [16]byte
	minor      uint64 // of the protocol
	handshake  time.Time
	restricted uint32 // the only uid that may be asked for; 0: all

	work *crew // requests being worked on

	mu       sync.Mutex // guards what follows
	requests map[uint32]*request

	writing  sync.Mutex // one line at a time; never taken with mu held
	unwanted error      // why a line could not be written; guarded by writing
}

// send writes a line. A client that does not read is closed.
func (c *conn) send(line []byte) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.net.SetWriteDeadline(time.Now().Add(c.WriteTimeout))
	if _, err := c.net.Write(append(line, '\n')); err != nil {
		if c.unwanted == nil {
			c.unwanted = err
		}
		c.net.Close()
	}
}

// why gives the reason for the end of a connection, which reading has told of with err.
func (c *conn) why(err error) string {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.unwanted != nil {
		err = c.unwanted
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "it does not read its replies"
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number.Error()
	}
	return err.Error()
}

// each reads lines and gives them to act, until act is false or the client goes. It gives why it ended: nil is EOF.
func (c *conn) each(limit int, act func(words []string, line string) bool) error {
	in := newLines(c.net, limit)
	for {
		line, err := in.next()
		if err != nil {
			return err
		}
		line = strings.TrimSuffix(line, "\r")
		if strings.IndexByte(line, 0) >= 0 {
			return c.bug("client sent NUL")
		}
		if !act(words(line), line) {
			return errBroken
		}
	}
}

// errBroken ends a connection; the log has why.
var errBroken = errors.New("the client broke the protocol")

// bug logs what a client did wrong.
func (c *conn) bug(format string, args ...any) error {
	c.error("BUG: " + fmt.Sprintf(format, args...))
	return errBroken
}

// error logs in Dovecot's words; on master sockets those have the age of the connection.
func (c *conn) error(text string) {
	if !c.kind.sasl() {
		age := fmt.Sprintf("created %d msecs ago", time.Since(c.created).Milliseconds())
		if !c.handshake.IsZero() {
			age += fmt.Sprintf(", handshake %d msecs ago", time.Since(c.handshake).Milliseconds())
		}
		text = fmt.Sprintf("auth-master client: %s (%s)", text, age)
	}
	c.Log.LogAttrs(c.ctx, slog.LevelError, text)
}

// version reads the first line of a client; a minor version below 1 is as good.
func (c *conn) version(w []string) bool {
	if len(w) < 3 || w[0] != "VERSION" {
		return false
	}
	minor, err := strconv.ParseUint(w[2], 10, 32)
	if err != nil || w[1] != "1" {
		return false
	}
	c.minor = minor
	return true
}

// number reads an id; Dovecot's are 32 bits wide.
func number(word string) (uint32, bool) {
	n, err := strconv.ParseUint(word, 10, 32)
	return uint32(n), err == nil && word[0] != '+'
}

// keyed splits KEY=VALUE; a key alone has the value "".
func keyed(word string) (key, value string) {
	key, value, _ = strings.Cut(word, "=")
	return key, value
}

package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"
)

// imapConn is a client that does nearly nothing with what it is told, so that the time is the server's.
type imapConn struct {
	socket net.Conn
	buf    []byte
	n      int   // commands so far
	got    int64 // bytes so far
}

const (
	imapBuffer = 256 << 10
	imapTail   = 4 << 10 // the line that ends an answer is no longer
	imapWait   = 10 * time.Minute
)

// dialIMAP takes a configuration of TLS, nil for none.
func dialIMAP(addr string, secure *tls.Config) (*imapConn, error) {
	socket, err := dial(addr, secure)
	if err != nil {
		return nil, err
	}
	c := &imapConn{socket: socket, buf: make([]byte, imapTail)}
	if _, err := c.until("* OK"); err != nil {
		socket.Close()
		return nil, err
	}
	return c, nil
}

func dial(addr string, secure *tls.Config) (net.Conn, error) {
	if secure == nil {
		return net.Dial("tcp", addr)
	}
	return tls.Dial("tcp", addr, secure)
}

// small makes the client need little memory while it waits.
func (c *imapConn) small() { c.buf = nil }

// tag is that of the n-th command.
func tagOf(n int) string { return fmt.Sprintf("zq%06d ", n) }

// cmd has one command executed.
func (c *imapConn) cmd(text string) error {
	c.n++
	tag := tagOf(c.n)
	if _, err := c.socket.Write([]byte(tag + text + "\r\n")); err != nil {
		return err
	}
	return c.done(tag, text)
}

// cmds has many executed at once.
func (c *imapConn) cmds(n int, text func(i int) string) error {
	var all bytes.Buffer
	for i := range n {
		c.n++
		all.WriteString(tagOf(c.n) + text(i) + "\r\n")
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.socket.Write(all.Bytes())
		sent <- err
	}()
	if err := c.done(tagOf(c.n), text(n-1)); err != nil {
		c.socket.Close() // else writing may wait for ever
		<-sent
		return err
	}
	return <-sent
}

func (c *imapConn) done(tag, text string) error {
	line, err := c.until(tag)
	if err == nil && !strings.HasPrefix(line, tag+"OK") {
		err = fmt.Errorf("%s", strings.TrimSpace(line))
	}
	if err != nil {
		return fmt.Errorf("%.60s: %w", text, err)
	}
	return nil
}

// until reads until a line that begins so is the last one that has come, and gives it.
func (c *imapConn) until(prefix string) (string, error) {
	if len(c.buf) < imapBuffer && c.n > 0 {
		c.buf = make([]byte, imapBuffer)
	}
	c.socket.SetReadDeadline(time.Now().Add(imapWait))
	kept := 0
	for {
		n, err := c.socket.Read(c.buf[kept:])
		if err != nil {
			return "", err
		}
		c.got += int64(n)
		have := c.buf[:kept+n]
		if bytes.HasSuffix(have, []byte("\r\n")) {
			line := have[bytes.LastIndexByte(have[:len(have)-1], '\n')+1:]
			if bytes.HasPrefix(line, []byte(prefix)) {
				return string(line), nil
			}
		}
		begun := have[bytes.LastIndexByte(have, '\n')+1:]
		if kept = len(begun); !bytes.HasPrefix(begun, []byte(prefix)) {
			kept = min(kept, imapTail/2)
		} else if kept > len(c.buf)/2 { // COPYUID with a hundred thousand numbers
			c.buf = append(make([]byte, 0, 2*len(c.buf)), c.buf...)[:2*len(c.buf)]
		}
		copy(c.buf, have[len(have)-kept:])
	}
}

// append saves a message and waits until the server says that it is saved.
func (c *imapConn) append(mailbox string, message []byte) error {
	c.n++
	tag := tagOf(c.n)
	text := fmt.Sprintf("%sAPPEND %s (\\Seen) {%d+}\r\n%s\r\n", tag, mailbox, len(message), message)
	if _, err := c.socket.Write([]byte(text)); err != nil {
		return err
	}
	return c.done(tag, "APPEND "+mailbox)
}

func (c *imapConn) close() {
	if c.cmd("LOGOUT") == nil {
		one := make([]byte, 1)
		c.socket.Read(one) // until the server has closed it
	}
	c.socket.Close()
}

package main

import (
	"bytes"
	"fmt"
	"iter"
	"net"
	"strings"
	"time"
)

// pop3Conn is a client that does nearly nothing with what it is told, so that the time is the server's.
type pop3Conn struct {
	socket net.Conn
	buf    []byte
}

// dialPOP3 logs in.
func dialPOP3(addr, user string) (*pop3Conn, error) {
	socket, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &pop3Conn{socket: socket, buf: make([]byte, imapBuffer)}
	for _, line := range []string{"", "USER " + user, "PASS x"} {
		if err := c.one(line); err != nil {
			socket.Close()
			return nil, err
		}
	}
	return c, nil
}

// one gives a command that is answered with one line; "" is none.
func (c *pop3Conn) one(line string) error {
	if line != "" {
		if _, err := c.socket.Write([]byte(line + "\r\n")); err != nil {
			return err
		}
	}
	c.socket.SetReadDeadline(time.Now().Add(imapWait))
	n := 0
	for n == 0 || c.buf[n-1] != '\n' {
		m, err := c.socket.Read(c.buf[n:])
		if err != nil {
			return err
		}
		n += m
	}
	if !bytes.HasPrefix(c.buf, []byte("+OK")) {
		return fmt.Errorf("%s: %s", line, c.buf[:n])
	}
	return nil
}

var pop3End = []byte("\r\n.\r\n")

// lists gives commands at once that are answered with lines and a dot, and waits for as many of those.
func (c *pop3Conn) lists(commands iter.Seq[string]) error {
	var all strings.Builder
	left := 0
	for command := range commands {
		all.WriteString(command + "\r\n")
		left++
	}
	if _, err := c.socket.Write([]byte(all.String())); err != nil {
		return err
	}
	c.socket.SetReadDeadline(time.Now().Add(imapWait))
	kept := 0 // of what has come before, in which an end may have begun
	for left > 0 {
		n, err := c.socket.Read(c.buf[kept:])
		if err != nil {
			return err
		}
		have := c.buf[:kept+n]
		left -= bytes.Count(have, pop3End)
		if i := bytes.LastIndex(have, pop3End); i >= 0 {
			have = have[i+len(pop3End):]
		}
		kept = copy(c.buf, have[max(0, len(have)-len(pop3End)+1):])
	}
	if left < 0 {
		return fmt.Errorf("more answers than commands: %.60q", all.String())
	}
	return nil
}

func (c *pop3Conn) close() error {
	defer c.socket.Close()
	return c.one("QUIT")
}

package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"time"
)

// lmtpConn is a client that pipelines as MTAs do.
type lmtpConn struct {
	net.Conn
	r *bufio.Reader
}

const lmtpWait = 2 * time.Minute

func dialLMTP(socket string) (*lmtpConn, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	c := &lmtpConn{conn, bufio.NewReader(conn)}
	if err = c.want("220"); err == nil {
		err = c.say("LHLO bench.example.org\r\n", "250")
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// want reads a reply with all its lines.
func (c *lmtpConn) want(code string) error {
	c.SetDeadline(time.Now().Add(lmtpWait))
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return err
		}
		if !strings.HasPrefix(line, code) {
			return fmt.Errorf("%q, want %s", strings.TrimSpace(line), code)
		}
		if len(line) < 4 || line[3] != '-' {
			return nil
		}
	}
}

func (c *lmtpConn) say(text string, codes ...string) error {
	if _, err := c.Write([]byte(text)); err != nil {
		return err
	}
	for _, code := range codes {
		if err := c.want(code); err != nil {
			return err
		}
	}
	return nil
}

// send delivers a message and waits until it is with all its recipients.
func (c *lmtpConn) send(message []byte, to ...string) error {
	envelope, codes := "MAIL FROM:<sender@example.net>\r\n", []string{"250"}
	saved := make([]string, 0, len(to))
	for _, r := range to {
		envelope += "RCPT TO:<" + r + ">\r\n"
		codes, saved = append(codes, "250"), append(saved, "250")
	}
	if err := c.say(envelope+"DATA\r\n", append(codes, "354")...); err != nil {
		return err
	}
	return c.say(string(message), saved...)
}

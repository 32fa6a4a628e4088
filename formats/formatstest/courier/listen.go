package courier

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
)

// ListenPOP3 lets clients that are programs of their own come to pop3d over TCP until the test ends, and gives the address.
// Who says USER and PASS, whatever they are, gets a session of the one user.
func (j *Judge) ListenPOP3() (address string) {
	j.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		j.t.Fatal(err)
	}
	j.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go j.servePOP3(c, j.Command(pop3d, filepath.Base(j.maildir)))
		}
	}()
	return l.Addr().String()
}

// servePOP3 says what Courier's login process says, and leaves the rest to pop3d, which begins with the answer to PASS.
func (j *Judge) servePOP3(c net.Conn, pop3d *exec.Cmd) {
	defer c.Close()
	in := bufio.NewReader(c)
	fmt.Fprint(c, "+OK Hello there.\r\n")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch word, _, _ := strings.Cut(strings.TrimSpace(strings.ToUpper(line)), " "); word {
		case "USER":
			fmt.Fprint(c, "+OK Password required.\r\n")
		case "PASS":
			pop3d.Stdout = c
			j.relay(in, pop3d)
			return
		case "CAPA":
			fmt.Fprint(c, "+OK Here's what I can do:\r\nTOP\r\nUSER\r\nUIDL\r\n.\r\n")
		default:
			fmt.Fprint(c, "-ERR Invalid command.\r\n")
		}
	}
}

func (j *Judge) relay(in io.Reader, pop3d *exec.Cmd) {
	to, err := pop3d.StdinPipe()
	if err != nil || pop3d.Start() != nil {
		return // the client sees that there is nobody
	}
	go func() {
		io.Copy(to, in)
		to.Close()
	}()
	pop3d.Wait()
}

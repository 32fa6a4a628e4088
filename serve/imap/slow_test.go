package imap_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dovetail/formats/formatstest/dovecot"
	"dovetail/serve"
)

// pipes is a listener whose connections are pipes, so that time is that of a test.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error {
	close(p.closed)
	return nil
}

func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }

// slowly has a client talk to a server in a time that passes only while all are waiting.
func slowly(t *testing.T, client func(t *testing.T, c net.Conn, r *bufio.Reader)) {
	prepared := prepare(t, static("sdbox:"+dovecot.TempDir(t)+"/mail"))
	synctest.Test(t, func(t *testing.T) {
		l := pipes{make(chan net.Conn), make(chan struct{})}
		mail := prepared.serve(t, serve.Listener{Listener: l, Protocol: "imap"})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- mail.Server.Run(ctx) }()
		ours, theirs := net.Pipe()
		l.conns <- theirs
		r := bufio.NewReader(ours)
		line, err := r.ReadString('\n')
		if !strings.HasPrefix(line, "* OK ") {
			t.Fatalf("%q, %v", line, err)
		}
		client(t, ours, r)
		ours.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended: %v", err)
		}
		if err := mail.Hub.Close(); err != nil {
			t.Error(err)
		}
	})
}

// drip sends a byte again and again, and tells how long that was possible.
func drip(c net.Conn, pause time.Duration, most int) time.Duration {
	begun := time.Now()
	for range most {
		if _, err := c.Write([]byte("x")); err != nil {
			break
		}
		time.Sleep(pause)
	}
	return time.Since(begun)
}

func TestAClientThatIsNotLoggedInHasThreeMinutes(t *testing.T) {
	for name, said := range map[string]string{
		"nothing": "", "a tag": "a", "a command": "a LOGIN tester ", "a literal": "a LOGIN {8000}\r\n", "an answer": "a AUTHENTICATE PLAIN\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			slowly(t, func(t *testing.T, c net.Conn, r *bufio.Reader) {
				last := make(chan string, 1)
				go func() {
					said, _ := io.ReadAll(r)
					last <- string(said)
				}()
				io.WriteString(c, said)
				if lasted := drip(c, time.Second, 10000); lasted < 170*time.Second || lasted > 190*time.Second {
					t.Errorf("it could send for %v", lasted)
				}
				if said := <-last; !strings.HasSuffix(said, "* BYE Disconnected for inactivity.\r\n") {
					t.Errorf("it was told %q", said)
				}
			})
		})
	}
}

func TestAClientThatReadsNothingBeforeLoginIsCutOff(t *testing.T) {
	slowly(t, func(t *testing.T, c net.Conn, r *bufio.Reader) {
		begun := time.Now()
		for {
			if _, err := io.WriteString(c, "a NOOP\r\n"); err != nil {
				break
			}
		}
		if lasted := time.Since(begun); lasted > 200*time.Second {
			t.Errorf("it could send for %v", lasted)
		}
	})
}

func TestAClientThatIsLoggedInHasHalfAnHourForEachPiece(t *testing.T) {
	login := func(t *testing.T, c net.Conn, r *bufio.Reader, then string) {
		t.Helper()
		go io.WriteString(c, "l LOGIN tester x\r\n"+then)
		for line := ""; !strings.HasPrefix(line, "l OK"); {
			var err error
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("a command that does not end", func(t *testing.T) {
		slowly(t, func(t *testing.T, c net.Conn, r *bufio.Reader) {
			login(t, c, r, "")
			go io.Copy(io.Discard, r)
			if lasted := drip(c, 10*time.Second, 10000); lasted < 29*time.Minute || lasted > 31*time.Minute {
				t.Errorf("it could send for %v", lasted)
			}
		})
	})
	t.Run("a message that comes slowly", func(t *testing.T) {
		slowly(t, func(t *testing.T, c net.Conn, r *bufio.Reader) {
			login(t, c, r, "a APPEND INBOX {100}\r\n")
			r.ReadString('\n')
			if lasted := drip(c, 20*time.Minute, 99); lasted < 30*time.Hour {
				t.Errorf("it could send for %v", lasted)
			}
			io.WriteString(c, "x\r\n")
			if line, err := r.ReadString('\n'); !strings.HasPrefix(line, "a OK") {
				t.Errorf("%q, %v", line, err)
			}
		})
	})
	t.Run("a message that comes no further", func(t *testing.T) {
		slowly(t, func(t *testing.T, c net.Conn, r *bufio.Reader) {
			login(t, c, r, "a APPEND INBOX {100}\r\n")
			r.ReadString('\n')
			io.WriteString(c, "xxx")
			begun := time.Now()
			line, err := r.ReadString('\n')
			if waited := time.Since(begun); line != "* BYE Disconnected for inactivity.\r\n" || waited < 29*time.Minute || waited > 31*time.Minute {
				t.Errorf("after %v: %q, %v", waited, line, err)
			}
		})
	})
	t.Run("an answer that is not read", func(t *testing.T) {
		slowly(t, func(t *testing.T, c net.Conn, r *bufio.Reader) {
			login(t, c, r, "")
			begun := time.Now()
			for {
				if _, err := io.WriteString(c, "a NOOP\r\n"); err != nil {
					break
				}
			}
			if lasted := time.Since(begun); lasted > 10*time.Minute {
				t.Errorf("the server waited for %v", lasted)
			}
		})
	})
}

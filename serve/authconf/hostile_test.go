package authconf

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"dovetail/auth"
)

// hostile listens and does something with each connection until the test ends.
func hostile(t *testing.T, do func(net.Conn)) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go do(c)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// A server that is none, or another one, or one that was taken over: whoever logs in meanwhile has a temporary failure, as
// soon as he does not wait any longer.
func TestHostileServersAreTemporaryFailures(t *testing.T) {
	servers := map[string]func(net.Conn){
		"silent":           func(c net.Conn) {},
		"closes":           func(c net.Conn) { c.Close() },
		"garbage":          func(c net.Conn) { io.WriteString(c, strings.Repeat("\x8a\xff\x00\r\n%s", 500)) },
		"endless":          func(c net.Conn) { endless(c, strings.Repeat("A", 64<<10)) },
		"endless in lines": func(c net.Conn) { endless(c, "* OK x\r\n") },
		"a byte at a time": func(c net.Conn) { endless(c, "R") },
		"half a greeting":  func(c net.Conn) { io.WriteString(c, "\x4a\x00\x00\x00\x0a8.0.0"); c.Close() },
		"announces 2 GB":   func(c net.Conn) { io.WriteString(c, "0\x84\x7f\xff\xff\xff") },
		"announces 16 MB":  func(c net.Conn) { io.WriteString(c, "\xff\xff\xff\x00\x0a") },
		"a web server's 10 MB": func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10485760\r\n\r\n"+strings.Repeat("[", 10<<20))
		},
	}
	clients := map[string][2]string{ // the section and its file, with PORT
		"mysql":  {"driver = sql\n args = DIR/ext", "driver = mysql\nconnect = host=127.0.0.1 port=PORT user=u password=p dbname=d\npassword_query = SELECT 1\n"},
		"pgsql":  {"driver = sql\n args = DIR/ext", "driver = pgsql\nconnect = host=127.0.0.1 port=PORT user=u password=p dbname=d\npassword_query = SELECT 1\n"},
		"ldap":   {"driver = ldap\n args = DIR/ext", "uris = ldap://127.0.0.1:PORT\nbase = dc=x\ndn = cn=a\ndnpass = b\n"},
		"binds":  {"driver = ldap\n args = DIR/ext", "uris = ldap://127.0.0.1:PORT\nbase = dc=x\nauth_bind = yes\nauth_bind_userdn = cn=%u\n"},
		"imap":   {"driver = imap\n args = host=127.0.0.1 port=PORT", ""},
		"oauth2": {"driver = oauth2\n mechanisms = plain\n args = DIR/ext", "introspection_url = http://127.0.0.1:PORT/\nintrospection_mode = post\n"},
	}
	before := runtime.NumGoroutine()
	for client, text := range clients {
		for server, do := range servers {
			t.Run(client+", "+server, func(t *testing.T) {
				port := strings.NewReplacer("PORT", fmt.Sprint(hostile(t, do)))
				s := newSite(t, "auth_failure_delay = 0\nssl = no\npassdb {\n "+port.Replace(text[0])+"\n}\n", map[string]string{"ext": port.Replace(text[1])})
				service := s.must()
				defer service.Close()
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				start := time.Now()
				reply := service.Login(ctx, auth.Request{Service: "imap"}, "ann", "secret")
				if reply.OK || reply.Code != auth.CodeTempFail {
					t.Errorf("%+v\n%s", reply, s.log.String())
				}
				if took := time.Since(start); took > 20*time.Second { // a hang, on however slow a machine
					t.Errorf("he has waited for %v", took)
				}
				if log := s.log.String(); strings.Contains(log, "secret") || len(log) > 8<<10 {
					t.Errorf("%d bytes are logged: %.500s", len(log), log)
				}
			})
		}
	}
	for end := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before+5; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d were there", runtime.NumGoroutine(), before)
		}
	}
}

func endless(c net.Conn, text string) {
	for {
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
	}
}

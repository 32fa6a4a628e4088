package pop3_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/location"
)

// session is a client that is logged in.
func session(t *testing.T, address string) *wire {
	t.Helper()
	w := dial(t, address, "USER tester\r\nPASS secret\r\n")
	if a, b := w.hear(), w.hear(); a != "+OK" || b != "+OK Logged in." {
		t.Fatalf("%q, %q", a, b)
	}
	return w
}

func serving(t *testing.T, settings ...string) (address, dir string) {
	t.Helper()
	_, dir = twins(t, "sdbox", nil)
	address, _ = start(t, configuration(t, "sdbox", dir, settings...))
	return address, dir
}

// Nothing that a client may say makes a message out of nothing, or ends the session of others.
func TestNonsenseIsRefused(t *testing.T) {
	address, _ := serving(t)
	other := session(t, address)
	for _, line := range []string{
		"RETR 4294967296", "RETR 4294967297", "RETR 18446744073709551617", "RETR -1", "RETR +1", "RETR 0x1", "RETR ١", "RETR 1\x00", "RETR 1 1", "RETR \x001",
		"LIST 4294967297", "LIST -1", "DELE 4294967297", "DELE 1\x00", "DELE 1 2", "UIDL 4294967297", "UIDL 1-2", "TOP 4294967297 1", "TOP 1 -1", "TOP 1 99999999999999999999",
		"TOP 1 1 1", "TOP\t1\t1", "STAT\x00", "QUIT\x00", "RE\x00TR 1", "\xff\xfe", "\x00", "RETR " + strings.Repeat("9", 2000), strings.Repeat("a ", 1000),
	} {
		w := session(t, address)
		w.say(line + "\r\nLIST 1\r\n")
		if got := w.hear(); !strings.HasPrefix(got, "-ERR") {
			t.Errorf("%.40q: %q", line, got)
		}
		if got := w.hear(); !strings.HasPrefix(got, "+OK 1 ") {
			t.Errorf("after %.40q: %q", line, got)
		}
		w.Close()
	}
	other.say("STAT\r\n")
	if got := other.hear(); !strings.HasPrefix(got, "+OK 5 ") {
		t.Errorf("the other session: %q", got)
	}
}

// A NUL does not end a name or a password.
func TestNULsBeforeLogin(t *testing.T) {
	address, _ := serving(t)
	for _, said := range []string{"USER tester\x00x\r\nPASS secret\r\n", "USER tester\r\nPASS secret\x00\r\n", "USER\x00 tester\r\nPASS secret\r\n", "USER \x00tester\r\nPASS secret\r\n"} {
		w := dial(t, address, said)
		w.hear()
		if got := w.hear(); !strings.HasPrefix(got, "-ERR") {
			t.Errorf("%q: %q", said, got)
		}
	}
}

// A line without an end is not kept, before login or after.
func TestLongLines(t *testing.T) {
	address, _ := serving(t)
	before, after := dial(t, address, ""), session(t, address)
	for _, c := range []struct {
		w    *wire
		want string
	}{{before, "-ERR Input buffer full, aborting"}, {after, "-ERR Input line too long."}} {
		for range 1024 {
			if _, err := c.w.Write(make([]byte, 64<<10)); err != nil {
				break // it has been cut off
			}
		}
		if got := c.w.hear(); got != c.want && got != "" { // the answer may be lost with what we sent after it
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// What comes in clear behind STLS is dropped, and so is the name that was claimed before.
func TestWhatIsSaidBeforeTLSIsForgotten(t *testing.T) {
	address, _ := serving(t, certificate(t)...)
	s := &script{far: true}
	if got := s.talk(t, address, []string{"USER tester", "STLS", "PASS secret", "CAPA"}); got[5] != "-ERR No username given." {
		t.Errorf("%q", got)
	}
	w := dial(t, address, "STLS\r\nUSER tester\r\nPASS secret\r\nSTAT\r\n")
	if got := w.hear(); got != "+OK Begin TLS negotiation now." {
		t.Fatalf("%q", got)
	}
	over := tls.Client(w.Conn, &tls.Config{InsecureSkipVerify: true})
	if over.HandshakeContext(t.Context()) != nil {
		return // what came behind the command was taken for a part of it
	}
	fmt.Fprint(over, "PASS secret\r\n")
	w.r.Reset(over)
	if got := w.hear(); got != "-ERR No username given." {
		t.Errorf("in clear behind STLS: %q", got)
	}
}

// A client that wants a big message and does not read it keeps nobody from the mailbox, and is not worth much memory.
func TestClientThatDoesNotRead(t *testing.T) {
	const size, clients = 8 << 20, 20
	_, dir := twins(t, "sdbox", nil)
	l, err := location.Parse(dovecot.Location("sdbox", filepath.Join(dir, "mail")), location.Vars{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := location.Open(t.Context(), l, location.Options{FS: dovecot.FS()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	box, err := store.Open(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	big := "Subject: big\n\n" + strings.Repeat(strings.Repeat("x", 79)+"\n", size/80)
	_, err = box.Update(t.Context(), func(tx formats.Tx) error {
		return tx.Append(t.Context(), formats.Message{}, formats.BytesBody([]byte(big)))
	})
	if err != nil {
		t.Fatal(err)
	}
	big = ""
	address, _ := start(t, configuration(t, "sdbox", dir, "mail_max_userip_connections = 0"))
	before := heap()
	for range clients {
		w := session(t, address)
		w.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		w.say(strings.Repeat("RETR 6\r\n", 100))
		if got := w.hear(); !strings.HasPrefix(got, "+OK") {
			t.Fatalf("%q", got)
		}
	}
	done := session(t, address)
	done.say("DELE 1\r\nDELE 6\r\nQUIT\r\n")
	for range 2 {
		done.hear()
	}
	if got := done.hear(); got != "+OK Logging out, messages deleted." {
		t.Errorf("%q", got)
	}
	if grown := heap() - before; grown > clients<<20 {
		t.Errorf("%d clients that do not read take %d KB each", clients, grown/clients>>10)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// Connections on which nothing is said take little, and those who have something to say are served beside them.
func TestSilentConnections(t *testing.T) {
	const n = 1000
	address, _ := serving(t, "service pop3-login {\n  client_limit = 10000\n  process_limit = 10\n}", "mail_max_userip_connections = 0")
	before := heap()
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := c.Read(make([]byte, 200)); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			fmt.Fprint(c, "USE") // and no more
		}
		conns[i] = c
	}
	if each := (heap() - before) / n; each > 40<<10 { // with what the test itself has for them
		t.Errorf("%d KB for each", each>>10)
	}
	w := session(t, address)
	w.say("QUIT\r\n")
	if got := w.hear(); got != "+OK Logging out." {
		t.Errorf("%q", got)
	}
}

// FuzzCommands gives a session any bytes: it ends, or answers, and the messages stay as they were as long as nobody says QUIT.
func FuzzCommands(f *testing.F) {
	for _, s := range []string{"STAT\r\nRETR 1\r\n", "DELE 1\r\nRSET\r\nTOP 2 1\r\n", "UIDL\nLIST\n\nLAST\r\n", "TOP 1 99999999999\r\nretr 3 \r\n", "\x00\x00\r\n\r\r\n"} {
		f.Add([]byte(s))
	}
	_, dir := twins(f, "sdbox", nil)
	address, _ := start(f, configuration(f, "sdbox", dir))
	f.Fuzz(func(t *testing.T, said []byte) {
		if strings.Contains(strings.ToUpper(string(said)), "QUIT") {
			t.Skip()
		}
		w := session(t, address)
		defer w.Close()
		w.say(string(said))
		w.Conn.(*net.TCPConn).CloseWrite()
		for _, line := range w.rest() {
			if len(line) > 4<<10 {
				t.Errorf("%q", line)
			}
		}
		again := session(t, address)
		again.say("STAT\r\nQUIT\r\n")
		if got := again.hear(); !strings.HasPrefix(got, "+OK 5 ") {
			t.Errorf("after %q: %q", said, got)
		}
	})
}

package submission_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"dovetail/serve/servetest"
)

func (c *client) begin(recipients ...string) {
	c.T.Helper()
	c.login()
	c.expect("MAIL FROM:<ann@example.org>", "250")
	for _, r := range recipients {
		c.expect("RCPT TO:<"+r+">", "250")
	}
}

// waitFor waits until something has been logged so often.
func waitFor(t testing.TB, log *servetest.Log, text string, n int) {
	t.Helper()
	if all := log.Await(func(all string) bool { return strings.Count(all, text) >= n }); strings.Count(all, text) < n {
		t.Fatalf("%q is not logged %d times:\n%s", text, n, all)
	}
}

// What a relay gets has one end, in whatever way it looks for it.
func TestASecondMessageCannotBeHiddenInTheFirst(t *testing.T) {
	m := startMTA(t)
	path, _ := site(t, m.settings()...)
	address, _ := start(t, path)
	for i, end := range []string{"\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\n.\r", "\r.\r\n", "\r\n\x00.\r\n", "\r\r\n.\r\r\n", "\n\n.\n\n"} {
		t.Run(fmt.Sprintf("%q", end), func(t *testing.T) {
			for _, how := range []string{"DATA", "BDAT"} {
				c := dial(t, address)
				c.begin("bob@example.org")
				text := fmt.Sprintf("Subject: outer %d\r\n\r\nbefore%sMAIL FROM:<evil@example.org>\r\nRCPT TO:<eve@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n", i, end)
				if how == "DATA" {
					c.expect("DATA", "354")
					text += ".\r\n"
				} else {
					text = fmt.Sprintf("BDAT %d LAST\r\n%s", len(text), text)
				}
				if got := c.Say(text); !strings.HasPrefix(got, "250 2.0.0 Ok: queued") {
					t.Error(got)
				}
				c.expect("QUIT", "221")
			}
			said, messages := m.got()
			if len(messages) != 2*(i+1) || !strings.Contains(messages[2*i], "smuggled") || !strings.Contains(messages[2*i+1], "smuggled") {
				t.Errorf("the relay got %q", messages)
			}
			for _, text := range messages {
				bare := strings.ReplaceAll(text, "\r\n", "")
				if strings.ContainsAny(bare, "\r\n") {
					t.Errorf("there are line ends of another kind: %q", text)
				}
			}
			for _, command := range said {
				if strings.Contains(command, "evil@") || strings.Contains(command, "eve@") {
					t.Errorf("the relay was told %q", command)
				}
			}
		})
	}
}

func TestAMessageThatIsCutOffIsNotRelayed(t *testing.T) {
	m := startMTA(t)
	path, _ := site(t, m.settings()...)
	address, log := start(t, path)
	for _, cut := range []string{"DATA\r\nSubject: cut\r\n\r\n" + strings.Repeat("x\r\n", 100000), "DATA\r\na\r\n.\r", "DATA\r\n", "BDAT 10 LAST\r\nabc", "BDAT 3\r\nabc"} {
		c := dial(t, address)
		c.begin("bob@example.org")
		io.WriteString(c, cut)
		c.Close()
	}
	waitFor(t, log, "Disconnected: ", 5)
	if _, messages := m.got(); len(messages) != 0 {
		t.Errorf("relayed: %q", messages)
	}
}

func TestALongLineEndsTheConnection(t *testing.T) {
	m := startMTA(t)
	path, _ := site(t, m.settings()...)
	address, _ := start(t, path)
	for _, loggedIn := range []bool{false, true} {
		c := dial(t, address)
		if loggedIn {
			c.login()
		} else {
			c.Reply()
		}
		if got := c.Say("MAIL FROM:<a@b> " + strings.Repeat("X", 64<<10) + "\r\n"); !strings.HasPrefix(got, "500") && got != "(closed)" {
			t.Error(got)
		}
		if _, err := c.R.ReadByte(); err == nil || os.IsTimeout(err) {
			t.Errorf("it goes on: %v", err)
		}
	}
}

func TestCommandsWithControlCharactersReachNobody(t *testing.T) {
	m := startMTA(t)
	path, _ := site(t, m.settings()...)
	address, _ := start(t, path)
	for _, line := range []string{"MAIL FROM:<a\x00@b>", "MAIL FROM:<a@b\rRCPT TO:<c@d>", "MAIL FROM:<a@b> RET=FULL\x01", "NO\x00OP", "VRFY a\rb", "MAIL FROM:<\"a\x0bb\"@b>",
		"\x80\x80", "MAIL FROM:<a\xff@b>", "VRFY \"a\x00\"", "RSET\x00"} {
		c := dial(t, address)
		c.login()
		c.expect(line, "50")
	}
	for _, said := range must(m.got()) {
		if !strings.HasPrefix(said, "EHLO") && said != "QUIT" {
			t.Errorf("the relay was told %q", said)
		}
	}
}

func must(said, _ []string) []string { return said }

func TestTenThousandRecipients(t *testing.T) {
	m := startMTA(t)
	path, _ := site(t, m.settings()...)
	address, _ := start(t, path)
	c := dial(t, address)
	c.begin()
	const n = 10000
	go func() {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "RCPT TO:<u%d@example.org>\r\n", i)
		}
		io.WriteString(c, b.String())
	}()
	for i := range n {
		if got := c.Reply(); !strings.HasPrefix(got, "250") {
			t.Fatalf("%d: %s", i, got)
		}
	}
	c.expect("DATA", "354")
	c.expect("x\r\n.", "250 2.0.0 Ok: queued")
	if said, messages := m.got(); len(said) < n || len(messages) != 1 || strings.Contains(messages[0], "for <") {
		t.Errorf("%d commands, %q", len(said), messages)
	}
}

func TestRecipientsBeyondTheLimitAreForLater(t *testing.T) {
	m := startMTA(t)
	path, _ := site(t, append(m.settings(), "submission_max_recipients = 2")...)
	address, _ := start(t, path)
	c := dial(t, address)
	c.begin("a@b", "c@d")
	c.expect("RCPT TO:<e@f>", "451 4.5.3 Too many recipients")
	c.expect("DATA", "354")
	c.expect("x\r\n.", "250")
	if said, _ := m.got(); strings.Contains(strings.Join(said, "\n"), "e@f") {
		t.Errorf("%q", said)
	}
}

func TestMessagesThatAreTooBig(t *testing.T) {
	m := startMTA(t)
	path, _ := site(t, append(m.settings(), "submission_max_mail_size = 1000")...)
	address, _ := start(t, path)
	big := strings.Repeat("0123456789abcdef0123456789abcdef\r\n", 40)
	t.Run("the size is announced before login", func(t *testing.T) {
		c := dial(t, address)
		c.Reply()
		if got := c.Say("EHLO x\r\n"); !strings.Contains(got, "250-SIZE 1000\r\n") {
			t.Error(got)
		}
	})
	t.Run("by DATA", func(t *testing.T) {
		c := dial(t, address)
		c.begin("a@b")
		c.expect("DATA", "354")
		c.expect(big+".", "552 5.2.3 Message size exceeds administrative limit")
		c.expect("MAIL FROM:<a@b>", "250")
		c.expect("RCPT TO:<a@b>", "250")
		c.expect("DATA", "354")
		c.expect("small\r\n.", "250")
	})
	t.Run("by BDAT", func(t *testing.T) {
		c := dial(t, address)
		c.begin("a@b")
		for _, step := range []struct{ say, want string }{
			{"BDAT 900\r\n" + big[:900], "250 2.0.0 Added 900 octets"}, {"BDAT 200 LAST\r\n" + big[:200], "552 5.2.3"}, {"BDAT 1 LAST\r\nx", "503 5.5.0 Previous data chunk failed"},
		} {
			if got := c.Say(step.say); !strings.HasPrefix(got, step.want) {
				t.Errorf("%.20q: %s", step.say, got)
			}
		}
		c.expect("RSET", "250")
		c.expect("MAIL FROM:<a@b>", "250")
	})
	t.Run("without an end", func(t *testing.T) {
		c := dial(t, address)
		c.begin("a@b")
		c.expect("DATA", "354")
		go io.Copy(c, io.LimitReader(zeros{}, 1<<30))
		if got := c.Reply(); !strings.HasPrefix(got, "552") && got != "(closed)" {
			t.Error(got)
		}
		if _, err := io.Copy(io.Discard, c.R); os.IsTimeout(err) {
			t.Error("it listens on")
		}
	})
	if _, messages := m.got(); len(messages) != 1 || !strings.Contains(messages[0], "small") {
		t.Errorf("relayed: %q", messages)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// What is in memory does not grow with the message.
func TestABigMessageNeedsLittleMemory(t *testing.T) {
	l := newSink(t)
	path, _ := site(t, "submission_relay_host = 127.0.0.1", "submission_relay_port = "+l.port, "submission_max_mail_size = 2 G")
	address, _ := start(t, path)
	c := dial(t, address)
	c.begin("bob@example.org")
	c.expect("DATA", "354")
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const lines = 2 << 20
	line := strings.Repeat("x", 30) + "\r\n"
	piece := strings.Repeat(line, 1024)
	for range lines / 1024 {
		if _, err := io.WriteString(c, piece); err != nil {
			t.Fatal(err)
		}
	}
	c.expect(".", "250 2.0.0 took it")
	runtime.ReadMemStats(&during)
	if grown := int64(during.HeapSys) - int64(before.HeapSys); grown > 24<<20 {
		t.Errorf("%d MB more for a message of %d MB", grown>>20, lines*len(line)>>20)
	}
	if l.bytes.Load() < lines*int64(len(line)) {
		t.Errorf("%d bytes came to the relay", l.bytes.Load())
	}
}

func TestChunksBeforeLoginAreNoCommands(t *testing.T) {
	m := startMTA(t)
	path, _ := site(t, m.settings()...)
	address, _ := start(t, path)
	c := dial(t, address)
	c.Reply()
	evil := "AUTH PLAIN AGFubgBwYXNz\r\n"
	c.expect(fmt.Sprintf("BDAT %d LAST\r\n%s", len(evil), evil[:len(evil)-2]), "530 5.7.0 Authentication required.")
	c.expect("NOOP", "250 2.0.0 OK")
	c.expect("MAIL FROM:<a@b>", "530")
}

func TestTheEndOfTheServerIsTold(t *testing.T) {
	m := startMTA(t)
	path, _ := site(t, m.settings()...)
	c := (*client)(nil)
	t.Run("while it runs", func(inner *testing.T) {
		address, _ := start(inner, path)
		c = dial(t, address)
		c.begin("a@b")
	})
	if got := c.Reply(); !strings.HasPrefix(got, "421 4.3.2 Shutting down") {
		t.Error(got)
	}
}

// A message whose end the relay has is not sent again because we end: the client hears what becomes of it.
func TestTheEndOfTheServerWaitsForTheRelay(t *testing.T) {
	m := startMTA(t)
	m.held, m.waiting = make(chan struct{}), make(chan struct{})
	path, _ := site(t, m.settings()...)
	var c *client
	t.Run("while it runs", func(inner *testing.T) {
		address, _ := start(inner, path)
		c = dial(t, address)
		c.begin("a@b")
		c.expect("DATA", "354")
		io.WriteString(c, "wait\r\n.\r\n")
		<-m.waiting
		go func() { // when it ends already, nobody is let in
			for {
				other, err := net.Dial("tcp", address)
				if err != nil {
					close(m.held)
					return
				}
				other.Close()
				time.Sleep(time.Millisecond)
			}
		}()
	})
	if got := c.Reply(); !strings.HasPrefix(got, "250 2.0.0 Ok: queued") {
		t.Error(got)
	}
	if _, messages := m.got(); len(messages) != 1 {
		t.Errorf("%q", messages)
	}
}

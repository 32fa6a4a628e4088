package imap_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// allocated is what was ever allocated in this process.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func TestR423OneHostileSessionDoesNotGrowTheProcess(t *testing.T) {
	server := start(t, "sdbox:"+dovecot.TempDir(t)+"/mail")
	server.loggedIn(t).say("a APPEND INBOX {3+}\r\nabc\r\n")
	for _, tc := range []struct {
		name  string
		early bool
		said  string // a gigabyte follows as far as the server takes it
	}{
		{"a literal before login", true, "q LOGIN {1000000000+}\r\n"},
		{"a literal before login that is waited for", true, "q LOGIN {1000000000}\r\n"},
		{"a literal", false, "q SELECT {1000000000+}\r\n"},
		{"a literal that is waited for", false, "q SELECT {1000000000}\r\n"},
		{"a search for a literal", false, "s SELECT INBOX\r\nq SEARCH BODY {1000000000+}\r\n"},
		{"flags of a gigabyte", false, "q APPEND INBOX ("},
		{"a line", false, "q SELECT "},
		{"a line of IDLE", false, "q IDLE\r\n"},
	} {
		before := allocated()
		c := server.rude(t)
		if !tc.early {
			c.say("l LOGIN tester x\r\n")
			c.expect("^l OK")
		}
		c.say(tc.said)
		go io.Copy(io.Discard, c.r)
		sent, junk := 0, make([]byte, 64<<10)
		for sent < 32<<20 {
			n, err := c.Write(junk)
			if sent += n; err != nil {
				break
			}
		}
		c.Close()
		if took := allocated() - before; took > 4<<20 {
			t.Errorf("%s: %d bytes were allocated for %d that were sent", tc.name, took, sent)
		}
	}
}

// TestABombOfCompressedCommandsTakesNoMemory sends little that unfolds to a line of a great many megabytes.
func TestABombOfCompressedCommandsTakesNoMemory(t *testing.T) {
	server := start(t, "sdbox:"+dovecot.TempDir(t)+"/mail")
	c := server.loggedIn(t)
	c.say("c COMPRESS DEFLATE\r\n")
	c.expect("^c OK")
	var bomb bytes.Buffer
	w, err := flate.NewWriter(&bomb, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, io.MultiReader(strings.NewReader("q SELECT "), io.LimitReader(&endless{}, 64<<20), strings.NewReader("\r\nz NOOP\r\n"))); err != nil {
		t.Fatal(err)
	}
	w.Flush()
	before := allocated()
	if _, err := c.Write(bomb.Bytes()); err != nil {
		t.Fatal(err)
	}
	c.r = bufio.NewReader(flate.NewReader(c.r))
	c.expect("^q BAD")
	c.expect("^z OK")
	if took := allocated() - before; took > 4<<20 {
		t.Errorf("%d bytes were allocated", took)
	}
}

// endless gives the same byte for ever.
type endless struct{}

func (*endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestManyWhoHaveNotFinishedHoldUpNobody has hundreds of connections at each place where a client may stop before login.
func TestManyWhoHaveNotFinishedHoldUpNobody(t *testing.T) {
	const n = 300
	server := start(t, "sdbox:"+dovecot.TempDir(t)+"/mail")
	held := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse + m.StackInuse)
	}
	for name, said := range map[string]string{
		"nothing": "", "a tag": "a", "a long line": "a LOGIN \"" + strings.Repeat("x", 8000), "a literal": "a LOGIN {8000}\r\n" + strings.Repeat("x", 7000),
		"a conversation": "a AUTHENTICATE PLAIN\r\n", "many literals": strings.Repeat("a LOGIN {1}\r\n", 2),
	} {
		before := held()
		var all []*rude
		for range n {
			c := server.rude(t)
			c.say(said)
			all = append(all, c)
		}
		server.login().Cmd("SELECT INBOX")
		if each := (held() - before) / n; each > 64<<10 {
			t.Errorf("%s: %d bytes for each connection, with the client's end of it", name, each)
		}
		for _, c := range all {
			c.Close()
		}
	}
}

// repeated gives n bytes of a message.
type repeated struct{ left int64 }

func (r *repeated) Read(p []byte) (int, error) {
	const line = "This is one line of a message that is very long but for its lines.\r\n"
	if r.left == 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) {
		n += copy(p[n:], line)
	}
	n = int(min(int64(n), r.left))
	r.left -= int64(n)
	return n, nil
}

// TestALargeMessageTakesNoMemory counts all that is allocated by server and client while a message goes in and out again.
func TestALargeMessageTakesNoMemory(t *testing.T) {
	const size, most = 64 << 20, 8 << 20
	for _, kind := range []string{"sdbox", "maildir", "mbox"} {
		server := start(t, dovecot.Location(kind, dovecot.TempDir(t)+"/mail"))
		c := server.loggedIn(t)
		before := allocated()
		fmt.Fprintf(c, "a APPEND INBOX {%d}\r\n", size)
		c.expect(`^\+`)
		const header = "Subject: big\r\n\r\n"
		if _, err := io.Copy(c, io.MultiReader(strings.NewReader(header), &repeated{size - int64(len(header))})); err != nil {
			t.Fatal(err)
		}
		c.say("\r\n")
		c.expect("^a OK")
		in := allocated()
		c.say("s SELECT INBOX\r\nf FETCH 1 BODY.PEEK[]\r\n")
		c.expect("FETCH .*BODY")
		if _, err := io.CopyN(io.Discard, c.r, size); err != nil {
			t.Fatal(err)
		}
		c.expect("^f OK")
		out := allocated()
		if in-before > most || out-in > most {
			t.Errorf("%s: a message of %d bytes took %d to append and %d to fetch", kind, size, in-before, out-in)
		}
	}
}

package imap_test

import (
	"bufio"
	"compress/flate"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"dovetail/formats/formatstest/dovecot"
)

// TestACompressedSessionIsASession also idles, which waits below the compression.
func TestACompressedSessionIsASession(t *testing.T) {
	server := start(t, "sdbox:"+dovecot.TempDir(t)+"/mail")
	conn, err := net.Dial("tcp", server.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	plain := bufio.NewReader(conn)
	expect := func(r *bufio.Reader, prefix string) {
		t.Helper()
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("waiting for %q: %v\n%s", prefix, err, server.log)
			}
			if strings.HasPrefix(line, prefix) {
				return
			}
		}
	}
	io.WriteString(conn, "a LOGIN tester x\r\nb COMPRESS FOO\r\nc COMPRESS DEFLATE\r\n")
	expect(plain, "b NO Unknown")
	expect(plain, "c OK Begin compression")
	w, err := flate.NewWriter(conn, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(flate.NewReader(plain))
	say := func(text string) {
		io.WriteString(w, text)
		w.Flush()
	}
	say("d COMPRESS DEFLATE\r\ne CAPABILITY\r\n")
	expect(r, "d NO [COMPRESSIONACTIVE]")
	line, _ := r.ReadString('\n')
	if strings.Contains(line, "COMPRESS") {
		t.Errorf("announced twice: %q", line)
	}
	say("f SELECT INBOX\r\ng IDLE\r\n")
	expect(r, "+ idling")
	other := server.login()
	for i := range 3 {
		other.Append("INBOX", "", "", "Subject: x\r\n\r\n"+strings.Repeat("body ", 1000))
		expect(r, fmt.Sprintf("* %d EXISTS", i+1))
	}
	say("DONE\r\nh FETCH 1:* BODY.PEEK[]\r\n")
	expect(r, "g OK")
	expect(r, "* 3 FETCH")
	expect(r, "h OK")
}

package imap_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"dovetail/formats/formatstest/dovecot"
)

// BenchmarkFetch is what a client's first look at a mailbox costs, and its bodies: CPU of server and client for each
// message.
func BenchmarkFetch(b *testing.B) {
	const messages = 1000
	server := start(b, "sdbox:"+dovecot.TempDir(b)+"/mail")
	conn, err := net.Dial("tcp", server.address)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 256<<10)
	command := func(text string) {
		if _, err := io.WriteString(conn, text); err != nil {
			b.Fatal(err)
		}
		for {
			line, err := r.ReadSlice('\n')
			if err != nil && err != bufio.ErrBufferFull {
				b.Fatal(err)
			}
			if strings.HasPrefix(string(line[:min(len(line), 6)]), "t OK ") {
				return
			}
		}
	}
	text := "From: a <b@c>\nTo: d@e\nSubject: x\nDate: Mon, 1 Jan 2024 10:11:12 +0000\nMessage-ID: <a@b>\nMIME-Version: 1.0\n" +
		"Content-Type: text/plain; charset=utf-8\n\n" + strings.Repeat("This is a line of text in a mail that somebody wrote to somebody.\n", 150)
	command("t LOGIN tester x\r\n")
	for range messages {
		command(fmt.Sprintf("t APPEND INBOX (\\Seen) {%d+}\r\n%s\r\n", len(text), text))
	}
	command("t SELECT INBOX\r\n")
	for _, items := range []string{"FLAGS UID RFC822.SIZE", "ENVELOPE BODYSTRUCTURE INTERNALDATE", "BODY.PEEK[HEADER.FIELDS (Subject From)]", "BODY.PEEK[]"} {
		b.Run(items, func(b *testing.B) {
			command("t FETCH 1:* (" + items + ")\r\n")
			before := cpu(b)
			for b.Loop() {
				command("t FETCH 1:* (" + items + ")\r\n")
			}
			b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N)/messages, "cpu-ns/message")
		})
	}
	b.Run("one by one", func(b *testing.B) {
		before, n := cpu(b), 0
		for b.Loop() {
			n++
			command(fmt.Sprintf("t FETCH %d BODY.PEEK[]\r\n", n%messages+1))
		}
		b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(n), "cpu-ns/message")
	})
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

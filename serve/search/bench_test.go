package search_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/serve/search"
	"dovetail/sync/watch"
)

// body is a message in memory.
type body struct{ *bytes.Reader }

func (b body) Close() error { return nil }

func (b body) WriteTo(w io.Writer) (int64, error) { return b.Reader.WriteTo(w) }

// benchMail is a message of about 3 KB as lists have them.
func benchMail(i int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Return-Path: <person%d@example.org>\nReceived: from mx%d.example.org (mx%d.example.org [192.0.2.%d])\n\tby mail.example.com with ESMTPS id %08x; Mon, 6 Jan 2020 10:00:00 +0000\n", i%977, i%7, i%7, i%250, i*2654435761)
	fmt.Fprintf(&b, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org;\n\ts=20200101; h=from:to:subject:date; bh=%s;\n\tb=%s\n", strings.Repeat("abcd", 11), strings.Repeat("efgh1234", 20))
	fmt.Fprintf(&b, "Message-ID: <m%d@example.org>\nDate: %s\nFrom: Person %d <person%d@example.org>\nTo: List <list@example.com>\nSubject: %ssubject of thread %d\n", i, time.Unix(1577836800+int64(i*37%100000)*60, 0).UTC().Format(time.RFC1123Z), i%977, i%977, strings.Repeat("Re: ", min(i%5, 1)), i/5)
	if i%5 > 0 {
		fmt.Fprintf(&b, "References: <m%d@example.org> <m%d@example.org>\n", i-i%5, i-1)
	}
	b.WriteString("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n")
	for n := range 30 {
		fmt.Fprintf(&b, "Line %d of message %d tells the reader nothing that matters.\n", n, i)
	}
	return b.Bytes()
}

// benchBox is a mailbox of 100,000, or of as many as DOVETAIL_BENCH_MESSAGES says.
func benchBox(b *testing.B) (open func() (*search.Mailbox, func())) {
	n := 100_000
	fmt.Sscan(os.Getenv("DOVETAIL_BENCH_MESSAGES"), &n)
	dir := os.Getenv("DOVETAIL_BENCH_DIR")
	if dir == "" {
		dir = b.TempDir()
	}
	l := "sdbox:" + dir + "/mail"
	store := openStore(b, l)
	if err := store.Create(b.Context(), "INBOX", formats.Status{}); errors.Is(err, formats.ErrExists) {
		n = 0 // DOVETAIL_BENCH_DIR has them already
	} else if err != nil {
		b.Fatal(err)
	}
	m, err := store.Open(b.Context(), "INBOX")
	if err != nil {
		b.Fatal(err)
	}
	for from := 0; from < n; from += 10_000 {
		if _, err := m.Update(b.Context(), func(tx formats.Tx) error {
			for i := from; i < min(n, from+10_000); i++ {
				if err := tx.Append(b.Context(), formats.Message{Detail: formats.Detail{InternalDate: time.Unix(1577836800+int64(i), 0)}}, body{bytes.NewReader(benchMail(i))}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	m.Close()
	return func() (*search.Mailbox, func()) {
		box, err := watch.NewHub(time.Hour).Open(b.Context(), store, "INBOX")
		if err != nil {
			b.Fatal(err)
		}
		return mailboxOf(box), func() { box.Close() }
	}
}

// cpu is what this process has used so far.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkSearch(b *testing.B) {
	open := benchBox(b)
	for _, line := range []string{
		"SEARCH SUBJECT nothing", "SEARCH SUBJECT nothing", "SEARCH HEADER Received nothing", "SEARCH HEADER Received nothing", "SORT (SUBJECT) UTF-8 ALL", "SORT (DATE) UTF-8 ALL", "SORT (FROM SIZE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL",
		"THREAD REFS UTF-8 ALL", "THREAD ORDEREDSUBJECT UTF-8 ALL", "SEARCH BODY nothing-at-all", "SEARCH BODY nothing-at-all", "SEARCH TEXT nothing-at-all", "SEARCH TEXT \"received: from\"", "SEARCH LARGER 2000", "SEARCH SINCE 1-Jan-2020", "SEARCH UNSEEN NOT DELETED",
	} {
		b.Run(line, func(b *testing.B) {
			began := cpu()
			for b.Loop() {
				m, done := open()
				ours(b, m, line)
				done()
			}
			b.ReportMetric(float64((cpu()-began).Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
	for _, line := range []string{"SEARCH SUBJECT nothing", "SORT (SUBJECT) UTF-8 ALL", "SORT (DATE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "THREAD REFS UTF-8 ALL", "SEARCH UNSEEN NOT DELETED"} {
		b.Run("again in a session: "+line, func(b *testing.B) {
			m, done := open()
			defer done()
			ours(b, m, line)
			began := cpu()
			for b.Loop() {
				ours(b, m, line)
			}
			b.ReportMetric(float64((cpu()-began).Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
	b.Run("envelopes from the cache", func(b *testing.B) {
		var out []byte
		began := cpu()
		defer func() { b.ReportMetric(float64((cpu()-began).Milliseconds())/float64(b.N), "cpu-ms/op") }()
		for b.Loop() {
			m, done := open()
			r := m.Cache.Reader()
			out = out[:0]
			m.View.Each(1, m.View.Len(), func(seq uint32, rec watch.Record) bool {
				d, ok := r.Get(rec.UID, -1)
				if !ok || d.Envelope == nil {
					b.Fatal("not there")
				}
				out = append(out, d.Envelope...)
				return true
			})
			done()
		}
	})
}

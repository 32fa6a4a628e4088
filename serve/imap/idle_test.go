package imap_test

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"dovetail/formats/formatstest/dovecot"
)

// BenchmarkIdle tells what a connection that idles holds, the client's end of it included.
func BenchmarkIdle(b *testing.B) {
	const n = 1000
	server := start(b, "sdbox:"+dovecot.TempDir(b)+"/mail")
	held := func() (heap, stacks uint64) {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse, m.StackInuse
	}
	first := idling(b, server.address)
	defer first.Close()
	heap, stacks := held()
	for range n {
		defer idling(b, server.address).Close()
	}
	heap2, stacks2 := held()
	for b.Loop() {
	}
	b.ReportMetric(float64(heap2-heap)/n, "heap-B/connection")
	b.ReportMetric(float64(stacks2-stacks)/n, "stack-B/connection")
}

// idling gives a connection in IDLE.
func idling(t testing.TB, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, "a LOGIN tester x\r\nb SELECT INBOX\r\nc IDLE\r\n")
	var said []byte
	for !bytes.Contains(said, []byte("+ idling")) {
		var some [512]byte
		n, err := conn.Read(some[:])
		if err != nil {
			t.Fatalf("%v after %q", err, said)
		}
		said = append(said, some[:n]...)
	}
	return conn
}

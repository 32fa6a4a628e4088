package mbox

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"
)

func BenchmarkScan(b *testing.B) {
	var buf bytes.Buffer
	body := bytes.Repeat([]byte("The quick brown fox jumps over the lazy dog, and then does it again.\n"), 200)
	for i := 0; buf.Len() < 256<<20; i++ {
		fmt.Fprintf(&buf, "From a@b  Thu Nov  9 22:33:52 2001 +0000\nReceived: from x by y with z id 1234567890;\n\tThu Nov  9 22:33:52 2001\nMessage-ID: <%d@x>\nDate: now\nSubject: hi\nTo: me\nFrom: you <you@x>\nX-UID: %d\nStatus: RO\n\n", i, i+1)
		buf.Write(body)
		buf.WriteByte('\n')
	}
	f, err := os.CreateTemp(b.TempDir(), "x")
	if err != nil {
		b.Fatal(err)
	}
	f.Write(buf.Bytes())
	b.SetBytes(int64(buf.Len()))
	for b.Loop() {
		n := 0
		s := newScanner(f, int64(buf.Len()), Auto, time.UTC)
		if err := s.begin(); err != nil {
			b.Fatal(err)
		}
		for {
			_, _, _, ok := s.message(n == 0)
			if !ok {
				break
			}
			n++
		}
		s.release()
	}
}

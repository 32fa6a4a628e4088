package sync

import (
	"context"
	"fmt"
	"testing"
	"time"

	"dovetail/formats"
)

// large is a store with n messages in one mailbox, made once.
func large(b *testing.B, n int) *formats.Memory {
	b.Helper()
	s := formats.NewMemory()
	box, err := s.Open(context.Background(), "INBOX")
	if err != nil {
		b.Fatal(err)
	}
	body := formats.BytesBody(fmt.Appendf(nil, "Subject: hello\n\n%01000d\n", 0))
	keywords := [][]string{nil, {"$Forwarded"}, {"$Junk", "work"}}
	_, err = box.Update(context.Background(), func(tx formats.Tx) error {
		for i := range n {
			m := formats.Message{UID: formats.UID(i + 1), Flags: formats.Flags(i) & formats.SystemFlags, Keywords: keywords[i%3], ModSeq: formats.ModSeq(i + 1)}
			m.GUID = fmt.Sprintf("%032x", i)
			m.InternalDate = time.Unix(1600000000+int64(i), 0)
			if err := tx.Append(context.Background(), m, body); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

const largeCount = 100_000

// perMessage reports what a run costs for each message.
func perMessage(b *testing.B, run func()) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/largeCount, "ns/message")
}

func BenchmarkMirror(b *testing.B) {
	src := large(b, largeCount)
	perMessage(b, func() {
		if _, err := Mirror(context.Background(), src, formats.NewMemory(), Options{}); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkMirrorOneNew(b *testing.B) {
	src, dst := large(b, largeCount), formats.NewMemory()
	if _, err := Mirror(context.Background(), src, dst, Options{}); err != nil {
		b.Fatal(err)
	}
	box, _ := src.Open(context.Background(), "INBOX")
	perMessage(b, func() {
		box.Update(context.Background(), func(tx formats.Tx) error {
			return tx.Append(context.Background(), formats.Message{}, formats.BytesBody([]byte("new\n")))
		})
		if r, err := Mirror(context.Background(), src, dst, Options{}); err != nil || r.Totals.Appended != 1 {
			b.Fatal(r, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	src, dst := large(b, largeCount), formats.NewMemory()
	if _, err := Mirror(context.Background(), src, dst, Options{}); err != nil {
		b.Fatal(err)
	}
	perMessage(b, func() {
		if r, err := Verify(context.Background(), src, dst, Options{}); err != nil || r.ExitCode() != 0 {
			b.Fatal(r, err)
		}
	})
}

package maildir

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"

	"golang.org/x/sys/unix"
)

const benchMessages = 20000

// benchBody is a usual message: 17 KB in lines.
var benchBody = "Subject: bench\n\n" + strings.Repeat(strings.Repeat("x", 71)+"\n", 240)

// BenchmarkAppend appends 20,000 messages of 17 KB in transactions of 2,000. Compare with BenchmarkBareFiles.
func BenchmarkAppend(b *testing.B) {
	for b.Loop() {
		fillBench(b, b.TempDir())
	}
	b.ReportMetric(float64(b.N)*benchMessages/b.Elapsed().Seconds(), "messages/s")
}

func fillBench(b *testing.B, root string) {
	s, err := Open(context.Background(), Options{Root: root, Create: true})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := s.Create(context.Background(), "INBOX", formats.Status{}); err != nil {
		b.Fatal(err)
	}
	box := openBox(b, s, "INBOX")
	for first := 1; first <= benchMessages; first += 2000 {
		update(b, box, func(tx formats.Tx) error {
			for i := first; i < first+2000; i++ {
				m := formats.Message{UID: formats.UID(i), Flags: formats.Seen, Keywords: []string{"$Forwarded"}, Detail: formats.Detail{
					GUID: fmt.Sprintf("%032x", i), InternalDate: time.Unix(int64(1600000000+i), 0)}}
				if err := tx.Append(context.Background(), m, newBody(benchBody)); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// BenchmarkBareFiles does what no writer of Maildir can do without: write each file under a temporary name, set its
// date, move it, and sync groups of 2,000.
func BenchmarkBareFiles(b *testing.B) {
	for b.Loop() {
		root := b.TempDir()
		d, err := (*disk.FS)(nil).OpenRoot(root)
		if err != nil {
			b.Fatal(err)
		}
		for _, sub := range []string{"tmp", "cur"} {
			if err := os.Mkdir(filepath.Join(root, sub), 0o700); err != nil {
				b.Fatal(err)
			}
		}
		body := []byte(benchBody)
		for i := range benchMessages {
			bareFile(b, root, i, body)
			if i%2000 == 1999 {
				if err := d.SyncAll(); err != nil {
					b.Fatal(err)
				}
			}
		}
		d.Close()
	}
	b.ReportMetric(float64(b.N)*benchMessages/b.Elapsed().Seconds(), "messages/s")
}

func bareFile(b *testing.B, root string, i int, body []byte) {
	tmp := fmt.Sprintf("%s/tmp/%d.M%dP1.host", root, 1600000000+i, i)
	fd, err := unix.Open(tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := unix.Write(fd, body); err != nil {
		b.Fatal(err)
	}
	unix.Close(fd)
	ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: int64(1600000000 + i)}}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, tmp, ts, 0); err != nil {
		b.Fatal(err)
	}
	if err := unix.Rename(tmp, fmt.Sprintf("%s/cur/%d.M%dP1.host,S=17300,W=17500:2,S", root, 1600000000+i, i)); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkList lists 20,000 messages of a source.
func BenchmarkList(b *testing.B) {
	root := b.TempDir()
	fillBench(b, root)
	s, err := Open(context.Background(), Options{Root: root, FS: &disk.FS{ReadOnly: true}})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for b.Loop() {
		box, err := s.Open(context.Background(), "INBOX")
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for _, err := range box.Messages(context.Background(), formats.Query{}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != benchMessages {
			b.Fatalf("%d messages listed", n)
		}
		box.Close()
	}
}

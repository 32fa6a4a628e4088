package sdbox_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/sdbox"
)

const (
	benchMessages = 20000
	benchGroup    = 4000 // messages in one transaction
)

// benchBody is a message of 17 KB that costs nothing to make.
type benchBody struct{ *bytes.Reader }

func (benchBody) Close() error { return nil }

var benchText = []byte("Subject: bench\n\n" + strings.Repeat(strings.Repeat("x", 70)+"\n", 240))

func BenchmarkAppend20000Durable(b *testing.B) {
	for b.Loop() {
		s, err := sdbox.Open(ctx, sdbox.Options{Root: filepath.Join(b.TempDir(), "mail"), Create: true})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Create(ctx, "INBOX", formats.Status{}); err != nil {
			b.Fatal(err)
		}
		box := box(b, s, "INBOX")
		for first := 0; first < benchMessages; first += benchGroup {
			update(b, box, func(tx formats.Tx) error {
				for n := first; n < first+benchGroup; n++ {
					m := formats.Message{UID: formats.UID(n + 1), Flags: formats.Seen, ModSeq: formats.ModSeq(n + 1)}
					m.GUID, m.InternalDate = fmt.Sprintf("%032x", n), time.Unix(1700000000, 0)
					if err := tx.Append(ctx, m, benchBody{bytes.NewReader(benchText)}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		box.Close()
		s.Close()
	}
}

// BenchmarkBareFiles20000Durable is the floor: the same files and names, synced in the same groups, and nothing else.
func BenchmarkBareFiles20000Durable(b *testing.B) {
	for b.Loop() {
		root := b.TempDir()
		dir, err := (*disk.FS)(nil).OpenRoot(root)
		if err != nil {
			b.Fatal(err)
		}
		for n := range benchMessages {
			if err := os.WriteFile(fmt.Sprintf("%s/.temp.%d", root, n), benchText, 0o600); err != nil {
				b.Fatal(err)
			}
			if n%benchGroup != benchGroup-1 {
				continue
			}
			if err := dir.SyncAll(); err != nil {
				b.Fatal(err)
			}
			for i := n - benchGroup + 1; i <= n; i++ {
				if err := os.Rename(fmt.Sprintf("%s/.temp.%d", root, i), fmt.Sprintf("%s/u.%d", root, i)); err != nil {
					b.Fatal(err)
				}
			}
			if err := dir.Sync(); err != nil {
				b.Fatal(err)
			}
		}
		dir.Close()
	}
}

func BenchmarkList20000(b *testing.B) {
	s, err := sdbox.Open(ctx, sdbox.Options{Root: filepath.Join(b.TempDir(), "mail"), Create: true})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := s.Create(ctx, "INBOX", formats.Status{}); err != nil {
		b.Fatal(err)
	}
	box1 := box(b, s, "INBOX")
	update(b, box1, func(tx formats.Tx) error {
		for n := range benchMessages {
			m := formats.Message{Flags: formats.Seen, Keywords: []string{"$Forwarded"}, ModSeq: formats.ModSeq(n + 1)}
			if err := tx.Append(ctx, m, benchBody{bytes.NewReader(benchText[:100])}); err != nil {
				return err
			}
		}
		return nil
	})
	for name, want := range map[string]formats.Want{"index alone": 0, "with all details": formats.WantAll} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				box := box(b, s, "INBOX")
				n := 0
				for _, err := range box.Messages(ctx, formats.Query{Want: want}) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				if box.Close(); n != benchMessages {
					b.Fatal(n)
				}
			}
		})
	}
}

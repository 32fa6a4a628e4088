package formatstest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// FullDisk fills a small file system with messages until no more fit, and its last bytes with other things. Then all that
// was appended must still be there and be readable, flags must change, and messages must go; with the other things gone
// there is room for new ones, in a store that needs it after a purge, which must do what it can on the full disk.
func FullDisk(t *testing.T, open Factory) {
	b := newBench(t, inSmallPlace(t, open))
	b.create("Box", formats.Status{})
	n := b.fill("Box")
	ballast := stuff(t, b.root)
	b.reopen() // a session that comes now must find its way, too
	if got := len(list(t, b.box("Box"), formats.WantSize)); got != n {
		t.Fatalf("%d messages were appended, %d are there", n, got)
	}
	half := formats.Ranges{{First: 1, Last: formats.UID(n / 2)}}
	b.update("Box", func(tx formats.Tx) error {
		return tx.SetFlags(formats.RangesOf(2), formats.FlagChange{Flags: formats.Flagged})
	})
	b.update("Box", func(tx formats.Tx) error { return tx.SetFlags(half, formats.FlagChange{Flags: formats.Deleted}) })
	b.update("Box", func(tx formats.Tx) error { return tx.Expunge(half) })
	if p, ok := b.store.(formats.Purger); ok {
		if done, err := p.Purge(t.Context()); done.Bytes == 0 {
			t.Errorf("purged on the full disk: %+v, %v", done, err)
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	b.reopen()
	rest := list(t, b.box("Box"), formats.WantAll)
	if len(rest) != n-n/2 {
		t.Fatalf("%d of %d messages were expunged, %d are there", n/2, n, len(rest))
	}
	for i := range rest {
		b.wantBody("Box", &rest[i], filler(int(rest[i].UID)))
	}
	b.add("Box", Mail{Content: filler(n + 1)})
}

// fill appends messages one by one until the disk is full, and gives how many there are.
func (b *bench) fill(name string) int {
	b.t.Helper()
	box := b.box(name)
	for n := 1; ; n++ {
		_, err := box.Update(b.t.Context(), func(tx formats.Tx) error {
			return tx.Append(b.t.Context(), formats.Message{}, formats.BytesBody(filler(n)))
		})
		if err == nil && n < 10_000 {
			continue
		}
		if !disk.Full(err) {
			b.t.Fatalf("message %d: %v, want that the disk is full", n, err)
		}
		return n - 1
	}
}

// filler is a message of ten thousand bytes that tells which one it is.
func filler(n int) []byte {
	return fmt.Appendf(nil, "Subject: %d\n\n%s", n, strings.Repeat(fmt.Sprintf("%049d\n", n), 200))
}

func (b *bench) wantBody(name string, m *formats.Message, want []byte) {
	b.t.Helper()
	body, err := b.box(name).Body(b.t.Context(), m)
	b.ok("body", err)
	defer body.Close()
	var got strings.Builder
	if _, err := body.WriteTo(&got); err != nil || got.String() != string(want) {
		b.t.Fatalf("uid %d is %.60q… of %d bytes (%v), want %.60q… of %d", m.UID, got.String(), got.Len(), err, want, len(want))
	}
}

// stuff fills the last bytes with a file that has nothing to do with mail.
func stuff(t *testing.T, dir string) string {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 16; size > 0; size /= 16 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
	}
	return f.Name()
}

// inSmallPlace has the factory's files on a file system of two megabytes.
func inSmallPlace(t *testing.T, open Factory) Factory {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	mounted := map[string]bool{}
	return func(ctx context.Context, root string, fsys *disk.FS, create bool) (formats.Store, error) {
		if !mounted[root] {
			if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=2m"); err != nil {
				t.Skipf("a small file system cannot be mounted: %v", err)
			}
			mounted[root] = true
			t.Cleanup(func() {
				if err := unix.Unmount(root, unix.MNT_DETACH); err != nil {
					t.Error(err)
				}
			})
		}
		return open(ctx, root, fsys, create)
	}
}

package maildir

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// TestListingOf100000MessagesStaysSmall measures what a listing keeps, not what the garbage collector has not freed yet.
func TestListingOf100000MessagesStaysSmall(t *testing.T) {
	const n = 100_000
	root := t.TempDir()
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.Mkdir(filepath.Join(root, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var list strings.Builder
	fmt.Fprintf(&list, "3 V1 N%d G%032x\n", n+1, 1)
	seed := filepath.Join(root, "tmp", "seed")
	if err := os.WriteFile(seed, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= n; i++ {
		base := fmt.Sprintf("%d.M%dP4242.mail.example.com,S=17000,W=17240", 1600000000+i, i)
		if i%50000 == 1 { // a file system allows some ten thousand links to a file
			seed = filepath.Join(root, "cur", base+":2,Sa")
			if err := os.WriteFile(seed, []byte("x\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		} else if err := os.Link(seed, filepath.Join(root, "cur", base+":2,Sa")); err != nil {
			if err := os.WriteFile(filepath.Join(root, "cur", base+":2,Sa"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprintf(&list, "%d G%032x :%s\n", i, i, base)
	}
	writeFiles(t, root, map[string]string{uidlistName: list.String(), keywordsName: "0 key\n"})
	list.Reset()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b := openBox(t, openStore(t, Options{Root: root, FS: &disk.FS{ReadOnly: true}}), "INBOX")
	count := 0
	for _, err := range b.Messages(t.Context(), formats.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		count++
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	kept, made := int64(after.HeapAlloc)-int64(before.HeapAlloc), after.TotalAlloc-before.TotalAlloc
	t.Logf("%d messages: %d bytes kept, %d allocated on the way", count, kept, made)
	if count != n || kept > 20<<20 || made > 40<<20 {
		t.Errorf("%d messages listed, %d bytes kept of %d allocated", count, kept, made)
	}
	runtime.KeepAlive(b)
}

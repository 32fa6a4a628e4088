package disk

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestEachGivesEveryNameWithItsKind(t *testing.T) {
	root := t.TempDir()
	want := map[string]fs.FileMode{"folder": fs.ModeDir, "link": fs.ModeSymlink}
	for i := range 3000 { // more than one buffer of the kernel
		name := "1700000000.M" + strconv.Itoa(i) + "P1.host,S=100,W=104:2,S"
		want[name] = 0
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	d, err := (&FS{ReadOnly: true}).OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	err = d.Each(func(name []byte, kind fs.FileMode) error {
		if k, ok := want[string(name)]; !ok || k != kind {
			t.Errorf("%q: kind %v, want %v (known %v)", name, kind, k, ok)
		}
		delete(want, string(name))
		return nil
	})
	if err != nil || len(want) != 0 {
		t.Fatalf("%v; not listed: %v", err, want)
	}
}

package disk

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

// BenchmarkCreate is what a Maildir or sdbox writer does per message, without any sync: create, write, close, rename.
func BenchmarkCreate(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 17<<10)
	for _, bench := range []struct {
		name string
		one  func(d *Dir, tmp, name string) error
	}{
		{"disk", func(d *Dir, tmp, name string) error {
			f, err := d.Create(tmp, 0o600)
			if err != nil {
				return err
			}
			defer f.Close()
			if _, err := f.Write(body); err != nil {
				return err
			}
			return d.Rename(tmp, d, name)
		}},
		{"os", func(d *Dir, tmp, name string) error {
			if err := os.WriteFile(d.Path()+"/"+tmp, body, 0o600); err != nil {
				return err
			}
			return os.Rename(d.Path()+"/"+tmp, d.Path()+"/"+name)
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var fsys *FS
			d, err := fsys.OpenRoot(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			i := 0
			for b.Loop() {
				i++
				if err := bench.one(d, fmt.Sprint("tmp.", i), fmt.Sprint("u.", i)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpen is what a reader does per message: open, look at it, close.
func BenchmarkOpen(b *testing.B) {
	var fsys *FS
	d, err := fsys.OpenRoot(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	if err := os.WriteFile(d.Path()+"/m", []byte("Subject: x\n\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	var buf [4096]byte
	for b.Loop() {
		f, err := d.Open("m")
		if err != nil {
			b.Fatal(err)
		}
		f.ReadAt(buf[:], 0)
		f.Close()
	}
}

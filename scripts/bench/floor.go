package main

import (
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// group is how many files are made durable together.
const group = 4000

// floorMain is the bare work: every file below from is read and written below to, under a temporary name and renamed.
func floorMain(args []string) {
	if len(args) != 3 {
		log.Fatal("usage: bench floor none|group|each FROM TO")
	}
	if err := floor(args[0], args[1], args[2]); err != nil {
		log.Fatal("floor: ", err)
	}
}

func floor(mode, from, to string) error {
	f := floorRun{mode: mode, buf: make([]byte, 128<<10)}
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		dst := to + strings.TrimPrefix(path, from)
		if d.IsDir() {
			return os.MkdirAll(dst, 0o700)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		return f.file(path, dst)
	})
	if err != nil {
		return err
	}
	return f.sync(to)
}

type floorRun struct {
	mode  string
	buf   []byte
	files int
}

func (f *floorRun) file(src, dst string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	tmp := dst + ".tmp"
	out, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, f.buf)
	if err == nil && f.mode == "each" {
		err = unix.Fdatasync(int(out.Fd()))
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if f.files++; f.files%group == 0 {
		if err := f.sync(filepath.Dir(dst)); err != nil {
			return err
		}
	}
	return os.Rename(tmp, dst)
}

// sync makes what was written so far durable, when that is the mode.
func (f *floorRun) sync(dir string) error {
	if f.mode != "group" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: dir, Err: err}
	}
	return nil
}

package disk

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// failing lets every change of one kind to a name fail.
func failing(op Op, name string, err error) *FS {
	return &FS{Fault: func(o Op, path string) error {
		if o == op && filepath.Base(path) == name {
			return &fs.PathError{Op: string(o), Path: path, Err: err}
		}
		return nil
	}}
}

func TestALockOnAFullDiskHolds(t *testing.T) {
	dir := t.TempDir()
	d := open(t, failing(OpWrite, "list.lock", unix.ENOSPC), dir)
	l, err := d.TryDotlock("list", 0o600)
	if l == nil || err != nil {
		t.Fatalf("%v, %v", l, err)
	}
	if again, err := d.TryDotlock("list", 0o600); again != nil || err != nil {
		t.Fatalf("a second one: %v, %v", again, err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestALockThatCannotBeWrittenForAnotherReasonIsNotLeftBehind(t *testing.T) {
	dir := t.TempDir()
	d := open(t, failing(OpWrite, "list.lock", unix.EIO), dir)
	if l, err := d.TryDotlock("list", 0o600); l != nil || !errors.Is(err, unix.EIO) {
		t.Fatalf("%v, %v", l, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "list.lock")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// Its process lives on and knows nothing of it: nobody may wait for that.
func TestALockThatCannotBeRemovedKeepsNobodyWaiting(t *testing.T) {
	dir := t.TempDir()
	faulty := failing(OpRemove, "list.lock", unix.EIO)
	d := open(t, faulty, dir)
	l, err := d.TryDotlock("list", 0o600)
	if l == nil || err != nil {
		t.Fatalf("%v, %v", l, err)
	}
	if err := l.Unlock(); !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if l, err := d.Dotlock(ctx, "list", time.Hour, 0o600); l != nil || !errors.Is(err, unix.EIO) {
		t.Fatalf("while the disk fails: %v, %v", l, err)
	}
	sound := open(t, &FS{}, dir)
	if l, err = sound.Dotlock(ctx, "list", time.Hour, 0o600); err != nil {
		t.Fatalf("when the disk is sound again: %v", err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestFilesOfAnotherOwnerAreNotLeftBehind(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may give files to anybody")
	}
	dir := t.TempDir()
	d := open(t, &FS{Own: true, UID: 1, GID: 1}, dir)
	if f, err := d.Create("file", 0o640); f != nil || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a file: %v, %v", f, err)
	}
	if err := d.Mkdir("folder", 0o750); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a folder: %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestTwoFilesExchangeTheirNames(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a"), "one")
	put(t, filepath.Join(dir, "b"), "two")
	d := open(t, &FS{}, dir)
	if err := d.Exchange("a", "b"); errors.Is(err, errors.ErrUnsupported) {
		t.Skipf("this file system cannot: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(filepath.Join(dir, "a"))
	b, _ := os.ReadFile(filepath.Join(dir, "b"))
	if string(a) != "two" || string(b) != "one" {
		t.Errorf("a holds %q, b %q", a, b)
	}
}

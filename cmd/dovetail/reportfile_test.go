package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestReportTakesNoPlaceButThatOfAFile(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("file"), []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"link": at("file"), "dangling": at("none"), "device": "/dev/full"} {
		if err := os.Symlink(target, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(at("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan string)
	go func() {
		b, err := os.ReadFile(at("pipe"))
		if err != nil {
			t.Error(err)
		}
		read <- string(b)
	}()
	for name, fails := range map[string]bool{"file": false, "new": false, "pipe": false, "link": true, "dangling": true, "device": true, ".": true, "no/file": true} {
		if err := writeReport(at(name), 1); (err != nil) != fails {
			t.Errorf("report to %s: %v", name, err)
		}
	}
	if got := <-read; got != "1\n" {
		t.Errorf("the pipe gave %q", got)
	}
	kinds := map[string]os.FileMode{"file": 0, "new": 0, "pipe": os.ModeNamedPipe, "link": os.ModeSymlink, "dangling": os.ModeSymlink, "device": os.ModeSymlink}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if want, known := kinds[e.Name()]; !known || e.Type() != want {
			t.Errorf("%s is there as %v", e.Name(), e.Type())
		}
	}
	for _, name := range []string{"file", "new"} {
		if b, err := os.ReadFile(at(name)); err != nil || string(b) != "1\n" {
			t.Errorf("%s holds %q, %v", name, b, err)
		}
	}
}

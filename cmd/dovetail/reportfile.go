package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// reportFile is the file of --report while it is written. A file gets its name only when it is whole; a pipe or a device is
// written to as it stands, since putting a file in its place would take it away from everybody.
type reportFile struct {
	*os.File
	path  string
	plain bool // the file has a name of its own until it is whole
}

// createReport begins a report. It names users, mailboxes and senders' mistakes, so only its owner may read it.
func createReport(path string) (*reportFile, error) {
	r := &reportFile{path: path}
	link, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.plain = true
	case err != nil:
		return nil, fmt.Errorf("report %s: %w", path, err)
	default:
		if r.plain, err = replaceable(path, link); err != nil {
			return nil, fmt.Errorf("report %s: %w", path, err)
		}
	}
	if r.plain {
		r.File, err = os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	} else {
		r.File, err = os.OpenFile(path, os.O_WRONLY, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("report %s: %w", path, err)
	}
	return r, nil
}

// replaceable tells whether a file may take the place of what is there; what may not can be written to.
func replaceable(path string, there fs.FileInfo) (bool, error) {
	switch kind := there.Mode().Type(); kind {
	case 0:
		return true, nil
	case fs.ModeDir:
		return false, errors.New("it is a folder")
	case fs.ModeSymlink:
		to, err := os.Stat(path)
		if err != nil || to.Mode().IsRegular() || to.IsDir() {
			return false, errors.New("it is a link; name the file itself")
		}
	}
	return false, nil
}

// finish puts the whole report in place. Otherwise see discard.
func (r *reportFile) finish() error {
	var err error
	if r.plain {
		err = r.Sync()
	}
	err = errors.Join(err, r.Close())
	if err == nil && r.plain {
		err = os.Rename(r.Name(), r.path)
	}
	if err != nil {
		return fmt.Errorf("report %s: %w", r.path, err)
	}
	return nil
}

// discard removes what was not finished.
func (r *reportFile) discard() {
	r.Close()
	if r.plain {
		os.Remove(r.Name())
	}
}

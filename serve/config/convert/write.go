package convert

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrExists is the error for a destination that holds something already.
var ErrExists = errors.New("there is something already")

// WriteTree writes the files into a directory, which must not exist or be
// empty, unless overwrite is set. It appears as a whole; with overwrite each
// file is replaced as a whole. Files with secrets have mode 0600, others 0644.
func WriteTree(dir string, files []File, overwrite bool) error {
	list, err := os.ReadDir(dir)
	switch {
	case err == nil && len(list) > 0 && !overwrite:
		return fmt.Errorf("%s: %w", dir, ErrExists)
	case err == nil && len(list) > 0:
		return writeInto(dir, files)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(parent, ".dovetail-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	if err := os.Chmod(fresh, 0o755); err != nil {
		return err
	}
	if err := writeInto(fresh, files); err != nil {
		return err
	}
	if err := unix.Rename(fresh, filepath.Clean(dir)); err != nil {
		return &os.PathError{Op: "rename", Path: dir, Err: err}
	}
	return nil
}

func writeInto(dir string, files []File) error {
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := writeFile(path, f); err != nil {
			return err
		}
	}
	return nil
}

// WriteFile writes one file, which must not exist unless overwrite is set.
func WriteFile(path string, f File, overwrite bool) error {
	if _, err := os.Lstat(path); err == nil && !overwrite {
		return fmt.Errorf("%s: %w", path, ErrExists)
	}
	return writeFile(path, f)
}

func writeFile(path string, f File) error {
	t, err := os.CreateTemp(filepath.Dir(path), ".dovetail-*")
	if err != nil {
		return err
	}
	defer os.Remove(t.Name())
	mode := fs.FileMode(0o644)
	if f.Secret {
		mode = 0o600
	}
	_, err = t.WriteString(f.Text)
	err = errors.Join(err, t.Chmod(mode), t.Sync(), t.Close())
	if err != nil {
		return err
	}
	return os.Rename(t.Name(), path)
}

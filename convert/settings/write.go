package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// ErrExists tells that a file would have to be replaced.
var ErrExists = errors.New("is there already and says something else")

// Write puts the files into a directory, which is made if need be: each complete under its name or not at all, the
// ones that dovecot.conf refers to before it. A file that says something else is replaced only on demand; one that says
// the same is left alone.
func (r *Result) Write(dir string, overwrite bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var changed []File
	for _, f := range slices.Backward(r.Files) {
		path := filepath.Join(dir, f.Name)
		have, err := readRegular(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err == nil && bytes.Equal(have, f.Text):
			continue
		case !overwrite:
			return fmt.Errorf("%s %w", path, ErrExists)
		}
		changed = append(changed, f)
	}
	for _, f := range changed {
		if err := f.write(dir); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

func (f File) write(dir string) error {
	tmp, err := os.CreateTemp(dir, "."+f.Name+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(f.Text)
	if err == nil && !f.Secret {
		err = tmp.Chmod(0o644)
	}
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(dir, f.Name))
	}
	if err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("write %s: %w", filepath.Join(dir, f.Name), err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// UsableDir tells whether a configuration can name files in this directory: nothing can be quoted where they are named.
func UsableDir(dir string) bool { return filePath(dir) }

package disk

import (
	"errors"
	"io"
	"io/fs"
)

// ReadFile reads a whole control file, up to limit bytes; a larger one is an error. Only for files whose size is bounded
// by what they are: never for messages.
func (d *Dir) ReadFile(name string, limit int64) ([]byte, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size > limit {
		return nil, d.err("read", name, errTooLarge)
	}
	b := make([]byte, 0, st.Size+1)
	for {
		n, err := f.ReadAt(b[len(b):cap(b)], int64(len(b)))
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
		if int64(len(b)) > limit {
			return nil, d.err("read", name, errTooLarge)
		}
		b = append(b, 0)[:len(b)]
	}
}

var errTooLarge = errors.New("larger than such a file may be")

// ReplaceFile writes name in one step: a reader sees the old content or the new. The temporary name is
// name+".tmp"; write gets a buffer-less file.
func (d *Dir) ReplaceFile(name string, mode fs.FileMode, write func(io.Writer) error) error {
	tmp := name + ".tmp"
	if err := d.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // left behind by a process that died
	}
	f, err := d.Create(tmp, mode)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = d.Rename(tmp, d, name)
	}
	if err != nil {
		d.Remove(tmp) // best effort: the error that matters is the first
		return err
	}
	return d.Sync()
}

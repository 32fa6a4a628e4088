package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// spoolMemory is what a Spool holds in memory before it moves to the disk: most messages fit, a few at once do no harm.
const spoolMemory = 256 << 10

// Spool holds bytes that exist nowhere as a file, such as a decompressed message: in memory while they are few, then in
// a file without a name, which vanishes with its descriptor. First write, then read.
// It is a formats.Body once written.
type Spool struct {
	Dir string // where the file is made; "": os.TempDir()

	mem  []byte
	f    *os.File // nil while everything fits in mem
	size int64
}

func (s *Spool) Write(p []byte) (int, error) {
	if s.f == nil && len(s.mem)+len(p) <= spoolMemory {
		s.mem = append(s.mem, p...)
		s.size += int64(len(p))
		return len(p), nil
	}
	if s.f == nil {
		if err := s.toDisk(); err != nil {
			return 0, err
		}
	}
	n, err := s.f.Write(p)
	s.size += int64(n)
	return n, err
}

func (s *Spool) toDisk() error {
	f, err := anonymous(cmp.Or(s.Dir, os.TempDir()))
	if err != nil {
		return err
	}
	if _, err := f.Write(s.mem); err != nil {
		f.Close()
		return err
	}
	s.f, s.mem = f, nil
	return nil
}

// anonymous opens a file without a name; a file system that has none (O_TMPFILE) gets a name for a moment.
func anonymous(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), dir+"/(anonymous)"), nil
	}
	f, err := os.CreateTemp(dir, "dovetail-*")
	if err != nil {
		return nil, fmt.Errorf("temporary file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Size is the number of bytes written.
func (s *Spool) Size() int64 { return s.size }

func (s *Spool) ReadAt(p []byte, off int64) (int, error) {
	if s.f != nil {
		return s.f.ReadAt(p, off)
	}
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	if off >= int64(len(s.mem)) {
		return 0, io.EOF
	}
	n := copy(p, s.mem[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteTo writes everything to w.
func (s *Spool) WriteTo(w io.Writer) (int64, error) {
	if s.f == nil {
		n, err := w.Write(s.mem)
		return int64(n), err
	}
	return io.Copy(w, io.NewSectionReader(s.f, 0, s.size))
}

// Close gives the memory and the file back.
func (s *Spool) Close() error {
	s.mem = nil
	if s.f == nil {
		return nil
	}
	f := s.f
	s.f = nil
	return f.Close()
}

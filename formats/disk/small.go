package disk

import (
	"errors"
	"io"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"
)

// SmallSize is the largest file that is read whole by ReadSmall.
const SmallSize = 64 << 10

// ErrNotSmall is what ReadSmall gives for a file that is larger than SmallSize.
var ErrNotSmall = errors.New("not a small file")

// Small is a file that was read whole, or a piece of one; the file itself is closed already. It belongs to one goroutine.
// Close gives the memory back, after which nothing that Bytes gave may be looked at.
type Small struct {
	Info Info

	data []byte
	buf  *[SmallSize]byte
}

var smallBuffers = sync.Pool{New: func() any { return new([SmallSize]byte) }}

// ReadSmall opens a regular file as Open does, reads it and closes it: four system calls, which is what most messages
// cost. ErrNotSmall when it is too large for that.
func (d *Dir) ReadSmall(name string) (*Small, error) {
	fd, err := d.openat(name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, d.err("open", name, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, d.err("stat", name, err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, d.err("open", name, ErrNotRegular)
	case st.Size > SmallSize:
		return nil, ErrNotSmall
	}
	s := &Small{Info: newInfo(&st), buf: smallBuffers.Get().(*[SmallSize]byte)}
	n, err := readWhole(fd, s.buf[:st.Size])
	if err != nil {
		s.Close()
		return nil, d.err("read", name, err)
	}
	s.data = s.buf[:n]
	return s, nil
}

// readWhole fills p, or as much of it as there is.
func readWhole(fd int, p []byte) (n int, err error) {
	for n < len(p) {
		k, err := unix.Pread(fd, p[n:], int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil || k == 0 {
			return n, err
		}
		n += k
	}
	return n, nil
}

// Cut makes it a piece of what it was; both ends must be within.
func (s *Small) Cut(from, to int64) { s.data = s.data[from:to:to] }

// Bytes is the content. It must not be changed.
func (s *Small) Bytes() []byte { return s.data }

// Size is the length of the content.
func (s *Small) Size() int64 { return int64(len(s.data)) }

// ReadAt gives a part of the content.
func (s *Small) ReadAt(p []byte, off int64) (int, error) {
	if s.buf == nil {
		return 0, fs.ErrClosed
	}
	if off < 0 || off >= int64(len(s.data)) {
		return 0, io.EOF
	}
	n := copy(p, s.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteTo writes all of the content.
func (s *Small) WriteTo(w io.Writer) (int64, error) {
	if s.buf == nil {
		return 0, fs.ErrClosed
	}
	n, err := w.Write(s.data)
	return int64(n), err
}

// Close gives the memory back. It may be called twice.
func (s *Small) Close() error {
	if s.buf != nil {
		smallBuffers.Put(s.buf)
		s.buf, s.data = nil, nil
	}
	return nil
}

package disk

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"
)

// Where linux_dirent64 of getdents64(2) keeps its fields.
const (
	direntLen  = 16 // u16, length of the record
	direntType = 18 // u8
	direntName = 19 // NUL-terminated
)

// direntBuffers are kept for the next folder: a site has many small ones, and each would need a fresh buffer of zeros.
var direntBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// Each calls fn for every entry of the folder but "." and "..", in no order, with its name (valid only during the call)
// and its type bits (0 for a regular file). It is how folders of many thousand messages are listed: no allocation for an
// entry and no stat where the file system tells the type.
func (d *Dir) Each(fn func(name []byte, kind fs.FileMode) error) error {
	fd, err := d.openat(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return d.err("open", ".", err)
	}
	defer unix.Close(fd)
	buffer := direntBuffers.Get().(*[64 << 10]byte)
	defer direntBuffers.Put(buffer)
	buf := buffer[:]
	for {
		n, err := unix.Getdents(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return d.err("readdir", ".", err)
		}
		if n <= 0 {
			return nil
		}
		if err := d.eachEntry(buf[:n], fn); err != nil {
			return err
		}
	}
}

func (d *Dir) eachEntry(buf []byte, fn func(name []byte, kind fs.FileMode) error) error {
	for len(buf) >= direntName {
		size := int(binary.NativeEndian.Uint16(buf[direntLen:]))
		if size < direntName || size > len(buf) {
			return nil
		}
		name, kind := buf[direntName:size], buf[direntType]
		buf = buf[size:]
		if i := bytes.IndexByte(name, 0); i >= 0 {
			name = name[:i]
		}
		if string(name) == "." || string(name) == ".." {
			continue
		}
		mode, err := d.kindOf(name, kind)
		if err != nil {
			continue // gone since
		}
		if err := fn(name, mode); err != nil {
			return err
		}
	}
	return nil
}

func (d *Dir) kindOf(name []byte, kind uint8) (fs.FileMode, error) {
	switch kind {
	case unix.DT_REG:
		return 0, nil
	case unix.DT_DIR:
		return fs.ModeDir, nil
	case unix.DT_LNK:
		return fs.ModeSymlink, nil
	case unix.DT_FIFO:
		return fs.ModeNamedPipe, nil
	case unix.DT_SOCK:
		return fs.ModeSocket, nil
	case unix.DT_UNKNOWN:
		st, err := d.Stat(string(name))
		return st.Mode.Type(), err
	}
	return fs.ModeDevice, nil
}

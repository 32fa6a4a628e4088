package disk

import (
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// File is an open regular file. Its writes pass FS.Fault.
type File struct {
	fs   *FS
	f    *os.File
	path string

	left atomic.Pointer[chan struct{}] // closed when one that waited for the lock, and was left behind, has ended
}

func newFile(f *FS, fd int, path string) *File {
	return &File{fs: f, f: os.NewFile(uintptr(fd), path), path: path}
}

// Path is the file's name for messages.
func (f *File) Path() string { return f.path }

// OS is the file itself, for the kernel's copying (copy_file_range, sendfile). It must not be written through.
func (f *File) OS() *os.File { return f.f }

func (f *File) Read(p []byte) (int, error)                { return f.f.Read(p) }
func (f *File) ReadAt(p []byte, off int64) (int, error)   { return f.f.ReadAt(p, off) }
func (f *File) Seek(off int64, whence int) (int64, error) { return f.f.Seek(off, whence) }

func (f *File) Write(p []byte) (int, error) {
	if err := f.fs.before(OpWrite, f.path); err != nil {
		return 0, err
	}
	return f.f.Write(p)
}

// WriteAt is for files not opened with O_APPEND.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.before(OpWrite, f.path); err != nil {
		return 0, err
	}
	return f.f.WriteAt(p, off)
}

// Truncate sets the file's size.
func (f *File) Truncate(size int64) error {
	if err := f.fs.before(OpTruncate, f.path); err != nil {
		return err
	}
	return f.f.Truncate(size)
}

// Reserve has the file system keep room for the file up to that size, which it does not grow to by this. Not every file
// system can.
func (f *File) Reserve(size int64) error {
	if err := f.fs.before(OpReserve, f.path); err != nil {
		return err
	}
	if err := unix.Fallocate(int(f.f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size); err != nil {
		return &fs.PathError{Op: "fallocate", Path: f.path, Err: err}
	}
	return nil
}

// Overwritable tells whether the file system writes bytes that a file has already in the place where they are, so that it
// needs no room for them.
func (f *File) Overwritable() bool {
	var st unix.Statfs_t
	if unix.Fstatfs(int(f.f.Fd()), &st) != nil {
		return false
	}
	return st.Type == unix.EXT4_SUPER_MAGIC || st.Type == unix.XFS_SUPER_MAGIC || st.Type == unix.TMPFS_MAGIC
}

// Sync makes the file's content durable (fdatasync).
func (f *File) Sync() error {
	if err := f.fs.before(OpSync, f.path); err != nil {
		return err
	}
	if err := unix.Fdatasync(int(f.f.Fd())); err != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.path, Err: err}
	}
	return nil
}

// Chtimes sets the modification time through the descriptor.
func (f *File) Chtimes(mtime time.Time) error {
	if err := f.fs.before(OpChtimes, f.path); err != nil {
		return err
	}
	ts := [2]unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: mtime.Unix(), Nsec: int64(mtime.Nanosecond())}}
	if err := unix.UtimesNanoAt(int(f.f.Fd()), "", ts[:], unix.AT_EMPTY_PATH); err != nil {
		return &fs.PathError{Op: "chtimes", Path: f.path, Err: err}
	}
	return nil
}

// Stat describes the open file, whatever its name is by now.
func (f *File) Stat() (Info, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.f.Fd()), &st); err != nil {
		return Info{}, &fs.PathError{Op: "stat", Path: f.path, Err: err}
	}
	return newInfo(&st), nil
}

// Section is a part of the file as a reader.
func (f *File) Section(off, n int64) *io.SectionReader { return io.NewSectionReader(f.f, off, n) }

// Close gives the descriptor back, and with it every lock taken through it.
func (f *File) Close() error { return f.f.Close() }

// TakeAfter gives the file the mode, owner and group of another one that it is about to replace. An owner or group that
// this process may not give is left as it is.
func (f *File) TakeAfter(other Info) error {
	now, err := f.Stat()
	if err != nil || now.Mode.Perm() == other.Mode.Perm() && now.UID == other.UID && now.GID == other.GID {
		return err
	}
	if err := f.fs.before(OpChmod, f.path); err != nil {
		return err
	}
	fd := int(f.f.Fd())
	if err := unix.Fchown(fd, other.UID, other.GID); err == unix.EPERM {
		err = unix.Fchown(fd, -1, other.GID) // the group alone may be possible
		if err != nil && err != unix.EPERM {
			return &fs.PathError{Op: "chown", Path: f.path, Err: err}
		}
	} else if err != nil {
		return &fs.PathError{Op: "chown", Path: f.path, Err: err}
	}
	if err := unix.Fchmod(fd, uint32(other.Mode.Perm())); err != nil {
		return &fs.PathError{Op: "chmod", Path: f.path, Err: err}
	}
	return nil
}

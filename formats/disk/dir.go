package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// noLinks keeps every resolution below the folder and refuses symbolic links in any component.
const noLinks = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS

// Dir is an open folder.
type Dir struct {
	fs   *FS
	f    *os.File // owns the descriptor
	path string
}

func newDir(f *FS, fd int, path string) *Dir {
	return &Dir{fs: f, f: os.NewFile(uintptr(fd), path), path: path}
}

// Path is the folder's name for messages.
func (d *Dir) Path() string { return d.path }

// FS is what the folder was opened with.
func (d *Dir) FS() *FS { return d.fs }

// Close gives the handle back.
func (d *Dir) Close() error { return d.f.Close() }

func (d *Dir) fd() int { return int(d.f.Fd()) }

func (d *Dir) err(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.ELOOP) {
		err = ErrNotRegular
	}
	return &fs.PathError{Op: op, Path: join(d.path, name), Err: err}
}

func (d *Dir) openat(name string, flags int, mode fs.FileMode) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: noLinks}
	if flags&unix.O_CREAT != 0 {
		how.Mode = uint64(mode.Perm())
	}
	for {
		fd, err := unix.Openat2(d.fd(), name, &how)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// OpenDir opens a folder below this one; name may have several parts.
func (d *Dir) OpenDir(name string) (*Dir, error) {
	fd, err := d.openat(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, d.err("open", name, err)
	}
	return newDir(d.fs, fd, join(d.path, name)), nil
}

// MakeDir opens a folder below this one, making missing parts.
func (d *Dir) MakeDir(name string, mode fs.FileMode) (*Dir, error) {
	if sub, err := d.OpenDir(name); !errors.Is(err, fs.ErrNotExist) {
		return sub, err
	}
	parent, base := "", name
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		parent, base = name[:i], name[i+1:]
	}
	in := d
	if parent != "" {
		var err error
		if in, err = d.MakeDir(parent, mode); err != nil {
			return nil, err
		}
		defer in.Close()
	}
	if err := in.Mkdir(base, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return d.OpenDir(name)
}

// Mkdir makes one folder owned by the mail user. The umask does not apply.
func (d *Dir) Mkdir(name string, mode fs.FileMode) error {
	if err := d.fs.before(OpMkdir, join(d.path, name)); err != nil {
		return err
	}
	if err := unix.Mkdirat(d.fd(), name, uint32(mode.Perm())); err != nil {
		return d.err("mkdir", name, err)
	}
	fd, err := d.openat(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return d.err("open", name, err)
	}
	defer unix.Close(fd)
	err = d.err("chmod", name, unix.Fchmod(fd, uint32(mode.Perm())))
	if err == nil {
		err = d.fs.chown(fd, join(d.path, name))
	}
	if err != nil {
		unix.Unlinkat(d.fd(), name, unix.AT_REMOVEDIR) // it is nobody's: the mail user could not use it
	}
	return err
}

// Open opens a regular file for reading. A link, FIFO or device gives ErrNotRegular and never blocks.
func (d *Dir) Open(name string) (*File, error) {
	return d.open(name, unix.O_RDONLY|unix.O_NONBLOCK)
}

// OpenWrite opens an existing regular file for reading and writing (with more flags such as O_APPEND).
func (d *Dir) OpenWrite(name string, flags int) (*File, error) {
	if d.fs != nil && d.fs.ReadOnly {
		return nil, d.err("open", name, ErrReadOnly)
	}
	return d.open(name, unix.O_RDWR|unix.O_NONBLOCK|flags)
}

func (d *Dir) open(name string, flags int) (*File, error) {
	fd, err := d.openat(name, flags, 0)
	if err != nil {
		return nil, d.err("open", name, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, d.err("stat", name, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return nil, d.err("open", name, ErrNotRegular)
	}
	return newFile(d.fs, fd, join(d.path, name)), nil
}

// Create makes a new file for reading and writing, owned by the mail user; it fails if the name exists.
// The umask does not apply.
func (d *Dir) Create(name string, mode fs.FileMode) (*File, error) {
	path := join(d.path, name)
	if err := d.fs.before(OpCreate, path); err != nil {
		return nil, err
	}
	fd, err := d.openat(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, mode)
	if err != nil {
		return nil, d.err("create", name, err)
	}
	if mode.Perm()&0o077 != 0 { // a sane umask takes bits only from group and others
		err = d.err("chmod", name, unix.Fchmod(fd, uint32(mode.Perm())))
	}
	if err == nil {
		err = d.fs.chown(fd, path)
	}
	if err != nil {
		unix.Unlinkat(d.fd(), name, 0) // a lock that is left would keep everybody waiting
		unix.Close(fd)
		return nil, err
	}
	return newFile(d.fs, fd, path), nil
}

// createUnnamed makes a file that vanishes when it is closed unless linkUnnamed gives it the name it is meant for.
func (d *Dir) createUnnamed(name string, mode fs.FileMode) (*File, error) {
	path := join(d.path, name)
	if err := d.fs.before(OpCreate, path); err != nil {
		return nil, err
	}
	fd, err := openRetry(func() (int, error) {
		return unix.Openat(d.fd(), ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, uint32(mode.Perm()))
	})
	if err != nil {
		return nil, d.err("create", name, err)
	}
	f := newFile(d.fs, fd, path)
	err = d.fs.chown(fd, path)
	if err == nil {
		err = d.err("chmod", name, unix.Fchmod(fd, uint32(mode.Perm())))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// linkUnnamed fails with fs.ErrExist when the name is taken.
func (d *Dir) linkUnnamed(f *File, name string) error {
	if err := d.fs.before(OpLink, join(d.path, name)); err != nil {
		return err
	}
	// The descriptor's own entry in /proc is the way that needs no capability: open(2), O_TMPFILE.
	self := fmt.Sprintf("/proc/self/fd/%d", f.f.Fd())
	return d.err("link", name, unix.Linkat(unix.AT_FDCWD, self, d.fd(), name, unix.AT_SYMLINK_FOLLOW))
}

// LinkFile gives an open file that has a name another one; it fails with fs.ErrExist when that is taken.
func (d *Dir) LinkFile(f *File, name string) error { return d.linkUnnamed(f, name) }

// Stat does not follow links.
func (d *Dir) Stat(name string) (Info, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return Info{}, d.err("stat", name, err)
	}
	return newInfo(&st), nil
}

// StatSelf describes the folder itself.
func (d *Dir) StatSelf() (Info, error) {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd(), &st); err != nil {
		return Info{}, d.err("stat", ".", err)
	}
	return newInfo(&st), nil
}

// Same tells whether two handles are on one folder.
func (d *Dir) Same(other *Dir) bool {
	a, err := d.StatSelf()
	if err != nil {
		return false
	}
	b, err := other.StatSelf()
	return err == nil && a.Dev == b.Dev && a.Ino == b.Ino
}

// ReadDir lists the folder in no order. Entries carry their type without a stat on most file systems.
func (d *Dir) ReadDir() ([]fs.DirEntry, error) {
	f, err := d.reopen()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

// Names lists the names alone, in no order: half the memory of ReadDir.
func (d *Dir) Names() ([]string, error) {
	f, err := d.reopen()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// reopen gives a handle of its own, because the read position of a folder belongs to the descriptor.
func (d *Dir) reopen() (*os.File, error) {
	fd, err := d.openat(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, d.err("open", ".", err)
	}
	return os.NewFile(uintptr(fd), d.path), nil
}

// Sync makes the names in the folder durable.
func (d *Dir) Sync() error {
	if err := d.fs.before(OpSync, d.path); err != nil {
		return err
	}
	err := d.f.Sync()
	if errors.Is(err, syscall.EINVAL) { // some network file systems have nothing to sync for a folder
		return nil
	}
	return err
}

// SyncAll makes everything that was written to the folder's file system durable, in one call: syncfs(2).
// It is how many new files are committed together; errors of writing any of them are reported (Linux 5.8 and later).
func (d *Dir) SyncAll() error {
	if err := d.fs.before(OpSync, d.path); err != nil {
		return err
	}
	return d.err("syncfs", ".", unix.Syncfs(d.fd()))
}

// Chtimes sets a file's modification time.
func (d *Dir) Chtimes(name string, mtime time.Time) error {
	if err := d.fs.before(OpChtimes, join(d.path, name)); err != nil {
		return err
	}
	ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: mtime.Unix(), Nsec: int64(mtime.Nanosecond())}}
	return d.err("chtimes", name, unix.UtimesNanoAt(d.fd(), name, ts, unix.AT_SYMLINK_NOFOLLOW))
}

// Package disk is the one place where mail formats touch the file system.
//
// It exists for three promises that os does not make:
//
//   - Nothing below a root is reached through a symbolic link. A mail user can plant links in his own tree, and a
//     migration runs as root: every step below a root uses openat2(2) with RESOLVE_NO_SYMLINKS and RESOLVE_BENEATH. The
//     path of the root itself comes from the administrator and may contain links, unless FS.NoLinks says otherwise.
//     Opening never blocks on a FIFO and refuses anything but regular files.
//   - Every file and folder that is made belongs to the mail user: FS.UID and FS.GID, when running as root.
//   - Every change of the disk passes FS.Fault first, so that a test can stop the world at each write boundary.
//
// A Dir is a handle on one folder; its methods take names relative to it. Files that are replaced are written, synced,
// renamed and their folder synced (ReplaceFile). Errors are *fs.PathError with the full path as the user would spell it.
//
// The methods of Dir and FS may be called from several goroutines; a File belongs to one.
package disk

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrReadOnly is returned by every operation that would change a file system opened read-only.
var ErrReadOnly = errors.New("opened read-only")

// ErrNotRegular is returned when a message or control file is a FIFO, device, socket, folder or symbolic link.
var ErrNotRegular = errors.New("not a regular file")

// Op names a change of the disk, for FS.Fault.
type Op string

// The changes a Fault function is asked about, in the words of the system calls that make them.
const (
	OpCreate   Op = "create"
	OpWrite    Op = "write"
	OpSync     Op = "sync"
	OpRename   Op = "rename"
	OpLink     Op = "link"
	OpSymlink  Op = "symlink"
	OpRemove   Op = "remove"
	OpMkdir    Op = "mkdir"
	OpTruncate Op = "truncate"
	OpReserve  Op = "reserve"
	OpChtimes  Op = "chtimes"
	OpChmod    Op = "chmod"
)

// FS says how files below the roots it opens are made. The nil *FS writes with the process's own ids.
type FS struct {
	// ReadOnly makes every change fail with ErrReadOnly: the way a source is opened.
	ReadOnly bool

	// Own makes everything created belong to UID and GID; it needs root unless they are the process's own.
	Own      bool
	UID, GID int

	// AsUser makes a missing root only where UID, with GID and Groups, could make it himself.
	AsUser bool
	Groups []int

	// NoLinks opens roots through no link either: for a root whose path is known to hold none, so that one met there was
	// planted since. The path must be absolute.
	NoLinks bool

	// Fault, when not nil, is called before each change; its error is returned in place of making the change.
	// It may end the process: that is how crash tests die at a chosen boundary.
	Fault func(op Op, path string) error
}

func (f *FS) before(op Op, path string) error {
	if f == nil {
		return nil
	}
	if f.ReadOnly {
		return &fs.PathError{Op: string(op), Path: path, Err: ErrReadOnly}
	}
	if f.Fault == nil {
		return nil
	}
	return f.Fault(op, path)
}

// chown gives a new file to the mail user.
func (f *FS) chown(fd int, path string) error {
	if f == nil || !f.Own {
		return nil
	}
	if err := unix.Fchown(fd, f.UID, f.GID); err != nil {
		return &fs.PathError{Op: "chown", Path: path, Err: err}
	}
	return nil
}

// OpenRoot opens an existing folder. Links in path are followed, because the path is the administrator's; see NoLinks.
func (f *FS) OpenRoot(path string) (*Dir, error) {
	if f != nil && f.NoLinks && path != "/" {
		return f.openWithoutLinks(path)
	}
	fd, err := openRetry(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return newDir(f, fd, path), nil
}

func (f *FS) openWithoutLinks(path string) (*Dir, error) {
	if !filepath.IsAbs(path) {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errNotAbsolute}
	}
	top, err := f.OpenRoot("/")
	if err != nil {
		return nil, err
	}
	defer top.Close()
	return top.OpenDir(strings.TrimLeft(filepath.Clean(path), "/"))
}

var errNotAbsolute = errors.New("not an absolute path")

// MakeRoot opens a folder, making it and its parents (mode, owned by the mail user) when missing.
func (f *FS) MakeRoot(path string, mode fs.FileMode) (*Dir, error) {
	d, err := f.OpenRoot(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	parent, err := f.MakeRoot(filepath.Dir(filepath.Clean(path)), mode)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	if err := f.permits(parent, filepath.Base(path)); err != nil {
		return nil, err
	}
	if err := parent.Mkdir(filepath.Base(path), mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return f.OpenRoot(path)
}

// openRetry repeats an open that a signal interrupted.
func openRetry(open func() (int, error)) (int, error) {
	for {
		fd, err := open()
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// ID identifies an inode and its state; two equal IDs with a settled time (see Settled) mean that nothing was changed.
type ID struct {
	Dev, Ino     uint64
	Size         int64
	MTime, CTime unix.Timespec
}

// Settled tells whether any change after now must show in CTime, which unlike MTime nobody can set: the clock of a file
// system ticks every few milliseconds, or every one or two seconds where it keeps no fractions. No file is settled.
func (id ID) Settled(now time.Time) bool {
	guard := 50 * time.Millisecond
	if id.CTime.Nsec == 0 {
		guard = 2100 * time.Millisecond
	}
	return id.Ino == 0 || now.Sub(time.Unix(id.CTime.Unix())) >= guard
}

// Info is what stat tells of a file.
type Info struct {
	ID
	Mode     fs.FileMode
	UID, GID int
	Links    uint64
}

func newInfo(st *unix.Stat_t) Info {
	return Info{
		ID:    ID{Dev: uint64(st.Dev), Ino: st.Ino, Size: st.Size, MTime: st.Mtim, CTime: st.Ctim},
		Mode:  fileMode(st.Mode),
		UID:   int(st.Uid),
		GID:   int(st.Gid),
		Links: uint64(st.Nlink),
	}
}

func fileMode(m uint32) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	switch m & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	case unix.S_IFIFO:
		mode |= fs.ModeNamedPipe
	case unix.S_IFSOCK:
		mode |= fs.ModeSocket
	default:
		mode |= fs.ModeDevice
	}
	return mode
}

// Full tells that something failed because the disk is full, or the user's share of it.
func Full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// Exists turns "no such file" into false.
func Exists(err error) (bool, error) {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return false, nil
	}
	return err == nil, err
}

// join builds full paths for messages; a further handle of the same folder has the same one.
func join(dir, name string) string {
	switch {
	case dir == "":
		return name
	case name == ".":
		return dir
	case strings.HasSuffix(dir, "/"):
		return dir + name
	}
	return dir + "/" + name
}

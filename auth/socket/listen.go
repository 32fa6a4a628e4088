package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// File is a socket in the file system.
type File struct {
	Path     string
	Mode     fs.FileMode // of the permissions only
	UID, GID int         // -1: as the process has it
	// MakeParent makes missing folders above it, with mode 0755.
	MakeParent bool
}

// ErrInUse is what ListenFile gives when another program answers on the socket.
var ErrInUse = errors.New("another program listens on it")

// maxPath is how long the path of a socket may be (unix(7)).
const maxPath = len(unix.RawSockaddrUnix{}.Path) - 1

// ListenFile makes a socket. It is never more open than its mode says: permissions and owner are right before the first
// connection is possible. A socket that is there and on which nobody listens is replaced; anything else that is there,
// symbolic links among them, is left alone and an error. Closing the listener removes the socket, unless another one
// has taken its place.
func ListenFile(f File) (net.Listener, error) {
	l, err := f.listen()
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", f.Path, err)
	}
	return l, nil
}

func (f File) listen() (net.Listener, error) {
	if len(f.Path) > maxPath {
		return nil, fmt.Errorf("the path has %d bytes and a socket's can have %d", len(f.Path), maxPath)
	}
	if f.MakeParent {
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
			return nil, err
		}
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), f.Path)
	defer file.Close() // FileListener has its own
	// The file is made with the mode of the descriptor, less the umask; nobody can connect before listen.
	if err := unix.Fchmod(fd, uint32(f.Mode.Perm())); err != nil {
		return nil, err
	}
	if err := f.bind(fd); err != nil {
		return nil, err
	}
	made, err := f.permit()
	if err == nil {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	var l net.Listener
	if err == nil {
		l, err = net.FileListener(file)
	}
	if err != nil {
		os.Remove(f.Path)
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	return &fileListener{UnixListener: l.(*net.UnixListener), path: f.Path, made: made}, nil
}

// bind gives the socket its name, in place of one on which nobody listens.
func (f File) bind(fd int) error {
	const tries = 3
	for range tries {
		err := unix.Bind(fd, &unix.SockaddrUnix{Name: f.Path})
		if !errors.Is(err, unix.EADDRINUSE) {
			return err
		}
		there, err := os.Lstat(f.Path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if there.Mode().Type() != fs.ModeSocket {
			return fmt.Errorf("there is something that is not a socket: %w", fs.ErrExist)
		}
		c, err := net.Dial("unix", f.Path)
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist) {
			return ErrInUse
		}
		if err := os.Remove(f.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return ErrInUse
}

// permit sets owner and mode of the file that was just made.
func (f File) permit() (*unix.Stat_t, error) {
	return f.permitIf(func(st *unix.Stat_t) bool { return int(st.Uid) == os.Geteuid() })
}

// permitIf sets owner and mode of the file, if it is the right one and none that somebody put in its place.
func (f File) permitIf(right func(*unix.Stat_t) bool) (*unix.Stat_t, error) {
	fd, err := unix.Open(f.Path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK || !right(&st) {
		return nil, fmt.Errorf("it was replaced: %w", fs.ErrExist)
	}
	if f.UID != -1 || f.GID != -1 {
		if err := unix.Fchownat(fd, "", f.UID, f.GID, unix.AT_EMPTY_PATH); err != nil {
			return nil, fmt.Errorf("give it to uid %d, gid %d: %w", f.UID, f.GID, err)
		}
	}
	if err := os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), f.Mode.Perm()); err != nil {
		return nil, err
	}
	return &st, nil
}

// fileListener removes its own socket when it is closed.
type fileListener struct {
	*net.UnixListener
	path string
	made *unix.Stat_t
	once sync.Once
}

func (l *fileListener) Close() error {
	l.once.Do(func() {
		var st unix.Stat_t
		if unix.Lstat(l.path, &st) == nil && st.Ino == l.made.Ino && st.Dev == l.made.Dev {
			os.Remove(l.path)
		}
	})
	return l.UnixListener.Close()
}

// Permit gives a socket that ListenFile has made another owner and mode.
func Permit(l net.Listener, f File) error {
	made, ok := l.(*fileListener)
	if !ok {
		return fmt.Errorf("permissions of %s: %w", f.Path, errors.ErrUnsupported)
	}
	if f.UID == -1 {
		f.UID = os.Geteuid()
	}
	if f.GID == -1 {
		f.GID = os.Getegid()
	}
	_, err := f.permitIf(func(st *unix.Stat_t) bool { return st.Ino == made.made.Ino && st.Dev == made.made.Dev })
	if err != nil {
		return fmt.Errorf("permissions of %s: %w", f.Path, err)
	}
	return nil
}

// ListenInet makes a TCP socket on one address. "*" is all of IPv4, "::" all of IPv6 and only that.
func ListenInet(ctx context.Context, address string, port uint16) (net.Listener, error) {
	network := "tcp"
	switch address {
	case "*":
		network, address = "tcp4", ""
	case "::", "[::]":
		network, address = "tcp6", ""
	}
	var lc net.ListenConfig
	return lc.Listen(ctx, network, net.JoinHostPort(address, fmt.Sprint(port)))
}

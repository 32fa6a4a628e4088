package socket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// peerOf tells who connected to a unix socket; nil for TCP, or if the system does not say.
func peerOf(nc net.Conn) *unix.Ucred {
	u, ok := nc.(*net.UnixConn)
	if !ok {
		return nil
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nil
	}
	var cred *unix.Ucred
	if err := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nil
	}
	return cred
}

// who names the peer whose connections are counted. Root, whoever runs the service and programs of this machine that come
// by TCP may have as many as they want.
func (c *conn) who() (name string, limited bool) {
	if c.peer != nil {
		return fmt.Sprintf("uid %d", c.peer.Uid), c.peer.Uid != 0 && int(c.peer.Uid) != os.Geteuid()
	}
	if a, ok := c.net.RemoteAddr().(*net.TCPAddr); ok {
		return a.IP.String(), !a.IP.IsLoopback()
	}
	return "", false
}

// ownerOf gives whose a userdb socket is; nil for other kinds, and for one in no file system.
func ownerOf(kind Kind, path string) (*unix.Stat_t, error) {
	if kind != UserDB {
		return nil, nil
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, fmt.Errorf("stat(%s) failed: %w", path, err)
	}
	return &st, nil
}

var errNoPeer = errors.New("userdb connection: Failed to get peer's credentials")

// restrict decides what a peer may ask on a userdb socket. Permissions other than 0666 decided already, and the x bits
// of 0777 say that nothing shall be checked (auth_master_connection_set_permissions of 2.3.19.1).
func (c *conn) restrict(owner *unix.Stat_t) error {
	if owner.Mode&0o777 != 0o666 {
		return nil
	}
	if c.peer == nil {
		c.error(errNoPeer.Error())
		return errNoPeer
	}
	if c.peer.Uid != owner.Uid && c.peer.Gid != owner.Gid {
		c.restricted = c.peer.Uid // root is 0, which is no restriction
	}
	return nil
}

// notOwner are Dovecot's words for why a restricted peer is refused.
func (c *conn) notOwner() string {
	who := strconv.FormatUint(uint64(c.restricted), 10)
	if u, err := user.LookupId(who); err == nil {
		who += "(" + u.Username + ")"
	}
	return fmt.Sprintf("%s mode=0666, but not owned by UID %s", c.name, who)
}

// hungUp tells whether the client has closed its side, so that its connection is about to end.
func (c *conn) hungUp() bool {
	sc, ok := c.net.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	gone := true
	raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		gone = n == 0 && err == nil || err != nil && !errors.Is(err, unix.EAGAIN)
	})
	return gone
}

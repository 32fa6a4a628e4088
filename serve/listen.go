package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"dovetail/serve/config/options"
)

// Listener is one place where clients of a protocol come in.
type Listener struct {
	net.Listener
	Protocol string
	TLS      bool // from the first byte
	HAProxy  bool
	Limit    int // clients of its service at once that are not logged in; 0: any number

	at string // what it was opened for: an address with its port, or a path
}

// Listen opens the ports and sockets of all login services for protocols that we have. Ports that were handed over
// (Inherited) are not opened again. An error closes what was opened; its text is Dovecot's, a line for each socket that
// could not be opened.
func Listen(ctx context.Context, services []options.Service, has func(protocol string) bool, handed *Handed) ([]Listener, error) {
	o := opening{handed: handed}
	if err := o.all(ctx, services, has); err != nil {
		return nil, err
	}
	return o.list, nil
}

// Handed are sockets that listen already and were handed over by a supervisor (sd_listen_fds(3)).
type Handed struct{ open []net.Listener }

// firstHanded is the first descriptor of those.
const firstHanded = 3

// Inherited gives the sockets that this process was handed over. It is for once, at the start: the environment then says
// no more of them.
func Inherited() (*Handed, error) {
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	pid := os.Getenv("LISTEN_PID")
	os.Unsetenv("LISTEN_FDS")
	os.Unsetenv("LISTEN_PID")
	if err != nil || pid != strconv.Itoa(os.Getpid()) {
		return &Handed{}, nil
	}
	h := &Handed{}
	for fd := firstHanded; fd < firstHanded+n; fd++ {
		unix.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "handed over")
		l, err := net.FileListener(f)
		f.Close()
		if err != nil {
			return h, fmt.Errorf("LISTEN_FDS: descriptor %d: %w", fd, err)
		}
		h.open = append(h.open, l)
	}
	return h, nil
}

// take gives the socket of an address, once; nil if there is none. As Dovecot does, family and port decide.
func (h *Handed) take(at netip.AddrPort) net.Listener {
	if h == nil {
		return nil
	}
	for i, l := range h.open {
		has, ok := addrPort(l.Addr())
		if ok && has.Port() == at.Port() && has.Addr().Is4() == at.Addr().Is4() {
			h.open = append(h.open[:i:i], h.open[i+1:]...)
			return l
		}
	}
	return nil
}

// Close closes those that nobody took.
func (h *Handed) Close() error {
	var errs []error
	for _, l := range h.open {
		errs = append(errs, l.Close())
	}
	h.open = nil
	return errors.Join(errs...)
}

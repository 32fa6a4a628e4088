package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"dovetail/auth/socket"
	"dovetail/formats/conf"
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

// opening is what was opened so far, and what could not be.
type opening struct {
	handed *Handed
	open   map[net.Listener]Listener // by what went before; they are used where they are wanted again

	list    []Listener
	made    []net.Listener // of those in the list the new ones
	permits []func() error // give sockets that stay the owner and mode that they have now
	errs    []error
}

// all opens what services say. After an error nothing new is open.
func (o *opening) all(ctx context.Context, services []options.Service, has func(protocol string) bool) error {
	for _, s := range services {
		protocol, ok := strings.CutSuffix(s.Name, "-login")
		if !ok || !has(protocol) {
			continue
		}
		limit := int(max(s.ProcessLimit, 1))
		if s.Requests != 1 { // else a process takes one client
			limit *= int(s.ClientLimit)
		}
		for _, in := range s.Inet {
			o.inet(ctx, s.Name, in, Listener{Protocol: protocol, TLS: in.TLS, HAProxy: in.HAProxy, Limit: limit})
		}
		for _, u := range s.Unix {
			o.unix(s.Name, u, Listener{Protocol: protocol, Limit: limit})
		}
	}
	if len(o.errs) > 0 {
		o.undo()
	}
	return errors.Join(o.errs...)
}

// undo closes what was opened.
func (o *opening) undo() { closeAll(o.made) }

// settle ends what went before: what is not wanted any more is closed.
func (o *opening) settle() (errs []error) {
	for _, permit := range o.permits {
		if err := permit(); err != nil {
			errs = append(errs, err)
		}
	}
	for p := range o.open {
		if !slices.ContainsFunc(o.list, func(l Listener) bool { return l.Listener == p }) {
			if err := p.Close(); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errs
}

// before gives what was opened for a place before, and is not used yet.
func (o *opening) before(at string) net.Listener {
	for p, l := range o.open {
		if l.at == at && !slices.ContainsFunc(o.list, func(l Listener) bool { return l.Listener == p }) {
			return p
		}
	}
	return nil
}

func (o *opening) inet(ctx context.Context, service string, in options.InetSocket, l Listener) {
	for _, name := range in.Addresses {
		ips, err := resolve(ctx, name)
		if err != nil {
			o.errs = append(o.errs, fmt.Errorf("service(%s) Can't resolve address %s: Name or service not known", service, name))
			continue
		}
		for _, ip := range ips {
			at := netip.AddrPortFrom(ip, in.Port)
			l.at = at.String()
			if l.Listener = o.before(l.at); l.Listener != nil {
				o.list = append(o.list, l)
				continue
			}
			made := o.handed.take(at)
			if made == nil {
				made, err = listenTCP(ctx, at)
			}
			if errors.Is(err, unix.EAFNOSUPPORT) && name == "::" {
				continue // a machine without IPv6, and nobody asked for one address of it
			}
			if err != nil {
				o.errs = append(o.errs, fmt.Errorf("service(%s): listen(%s, %d) failed: %s", service, name, in.Port, conf.Reason(err)))
				continue
			}
			o.new(l, made)
		}
	}
}

func (o *opening) new(l Listener, made net.Listener) {
	l.Listener = made
	o.list, o.made = append(o.list, l), append(o.made, made)
}

// resolve gives the addresses of a name; "*" is all of IPv4 and "::" all of IPv6.
func resolve(ctx context.Context, name string) ([]netip.Addr, error) {
	switch name {
	case "*":
		return []netip.Addr{netip.IPv4Unspecified()}, nil
	case "::", "[::]":
		return []netip.Addr{netip.IPv6Unspecified()}, nil
	}
	if ip, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return []netip.Addr{ip}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	for i := range ips {
		ips[i] = ips[i].Unmap()
	}
	return ips, err
}

func listenTCP(ctx context.Context, at netip.AddrPort) (net.Listener, error) {
	network := "tcp6"
	if at.Addr().Is4() {
		network = "tcp4"
	}
	return (&net.ListenConfig{}).Listen(ctx, network, at.String())
}

func (o *opening) unix(service string, u options.Socket, l Listener) {
	f := socket.File{Path: u.Path, Mode: fs.FileMode(u.Mode)}
	var err error
	if f.UID, err = account(u.User, func(n string) (string, error) { a, err := user.Lookup(n); return idOf(a, err) }); err != nil {
		o.errs = append(o.errs, fmt.Errorf("service(%s) User doesn't exist: %s (See service %[1]s { unix_listener %[3]s { user } } setting)", service, u.User, u.Path))
		return
	}
	if f.GID, err = account(u.Group, func(n string) (string, error) { g, err := user.LookupGroup(n); return gidOf(g, err) }); err != nil {
		o.errs = append(o.errs, fmt.Errorf("service(%s) Group doesn't exist: %s (See service %[1]s { unix_listener %[3]s { group } } setting)", service, u.Group, u.Path))
		return
	}
	l.at = u.Path
	if l.Listener = o.before(u.Path); l.Listener != nil {
		o.list = append(o.list, l)
		o.permits = append(o.permits, func() error { return socket.Permit(l.Listener, f) })
		return
	}
	made, err := socket.ListenFile(f)
	if err != nil {
		o.errs = append(o.errs, fmt.Errorf("bind(%s) failed: %s", u.Path, conf.Reason(err)))
		return
	}
	o.new(l, made)
}

// account gives the number of a user or group; -1 for none.
func account(name string, lookup func(string) (string, error)) (int, error) {
	if name == "" {
		return -1, nil
	}
	text := name
	if _, err := strconv.ParseUint(name, 10, 31); err != nil {
		if text, err = lookup(name); err != nil {
			return 0, err
		}
	}
	return strconv.Atoi(text)
}

func idOf(u *user.User, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return u.Uid, nil
}

func gidOf(g *user.Group, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return g.Gid, nil
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

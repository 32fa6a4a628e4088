package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"dovetail/auth/socket"
	"dovetail/formats/conf"
	"dovetail/serve/config/options"
)

// opening is what was opened so far, and what could not be.
type opening struct {
	handed *Handed
	open   map[net.Listener]Listener // by what went before; they are used where they are wanted again

	wanted []want
	list   []Listener
	made   []net.Listener // of those in the list the new ones
	errs   []error
}

// want is a place that is to be listened on.
type want struct {
	Listener
	service  string
	inet     netip.AddrPort // or
	file     socket.File
	optional bool // a machine may be without it
}

// all opens what services say. After an error nothing new is open.
func (o *opening) all(ctx context.Context, services []options.Service, has func(protocol string) bool) error {
	for _, s := range services {
		protocol, login := strings.CutSuffix(s.Name, "-login")
		if !login && protocol != "lmtp" || !has(protocol) {
			continue
		}
		limit := 0 // an MTA is told to come later when there is too much to do, and not sent away in the middle
		if login {
			limit = int(max(s.ProcessLimit, 1))
		}
		if s.Requests != 1 { // else a process takes one client
			limit *= int(s.ClientLimit)
		}
		for _, in := range s.Inet {
			o.wantInet(ctx, s.Name, in, Listener{Protocol: protocol, TLS: in.TLS, HAProxy: in.HAProxy, Limit: limit})
		}
		for _, u := range s.Unix {
			if u.Type == adminSocket {
				continue
			}
			o.wantUnix(s.Name, u, Listener{Protocol: protocol, Limit: limit, at: u.Path})
		}
	}
	for i := range o.wanted { // first, so that it is known what of the old ones is not wanted
		if l := &o.wanted[i]; o.before(l.at) != nil {
			l.Listener.Listener = o.before(l.at)
			o.list = append(o.list, l.Listener)
		}
	}
	for _, l := range o.wanted {
		if l.Listener.Listener == nil {
			o.listen(ctx, l)
		}
	}
	if len(o.errs) > 0 {
		o.undo()
	}
	return errors.Join(o.errs...)
}

// adminSocket is the type of sockets on which Dovecot 2.4's tools tell a process of a service what to do, by its id. There
// are no such processes here.
const adminSocket = "admin"

// undo closes what was opened.
func (o *opening) undo() { closeAll(o.made) }

// settle ends what went before: what is not wanted any more is closed, and what stays gets the owner and mode that it has
// now.
func (o *opening) settle() (errs []error) {
	for _, l := range o.wanted {
		if _, stays := o.open[l.Listener.Listener]; stays && l.file.Path != "" {
			errs = append(errs, socket.Permit(l.Listener.Listener, l.file))
		}
	}
	for p := range o.open {
		if !o.uses(p) {
			errs = append(errs, p.Close())
		}
	}
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

func (o *opening) uses(p net.Listener) bool {
	return slices.ContainsFunc(o.list, func(l Listener) bool { return l.Listener == p })
}

// before gives what was opened for a place before, and is not used yet.
func (o *opening) before(at string) net.Listener {
	for p, l := range o.open {
		if l.at == at && !o.uses(p) {
			return p
		}
	}
	return nil
}

func (o *opening) wantInet(ctx context.Context, service string, in options.InetSocket, l Listener) {
	for _, name := range in.Addresses {
		ips, err := resolve(ctx, name)
		if err != nil {
			o.errs = append(o.errs, fmt.Errorf("service(%s) Can't resolve address %s: Name or service not known", service, name))
			continue
		}
		for _, ip := range ips {
			at := netip.AddrPortFrom(ip, in.Port)
			l.at = at.String()
			o.wanted = append(o.wanted, want{Listener: l, service: service, inet: at, optional: name == "::"})
		}
	}
}

func (o *opening) wantUnix(service string, u options.Socket, l Listener) {
	p := want{Listener: l, service: service, file: socket.File{Path: u.Path, Mode: fs.FileMode(u.Mode)}}
	var err error
	if p.file.UID, err = account(u.User, func(n string) (string, error) { a, err := user.Lookup(n); return idOf(a, err) }); err != nil {
		o.errs = append(o.errs, fmt.Errorf("service(%s) User doesn't exist: %s (See service %[1]s { unix_listener %[3]s { user } } setting)", service, u.User, u.Path))
		return
	}
	if p.file.GID, err = account(u.Group, func(n string) (string, error) { g, err := user.LookupGroup(n); return gidOf(g, err) }); err != nil {
		o.errs = append(o.errs, fmt.Errorf("service(%s) Group doesn't exist: %s (See service %[1]s { unix_listener %[3]s { group } } setting)", service, u.Group, u.Path))
		return
	}
	o.wanted = append(o.wanted, p)
}

// listen opens one place.
func (o *opening) listen(ctx context.Context, l want) {
	made, err := o.make(ctx, l)
	switch {
	case l.optional && errors.Is(err, unix.EAFNOSUPPORT):
		return // a machine without IPv6, and nobody asked for one address of it
	case err != nil && l.file.Path != "":
		o.errs = append(o.errs, fmt.Errorf("bind(%s) failed: %s", l.file.Path, conf.Reason(err)))
		return
	case err != nil:
		o.errs = append(o.errs, fmt.Errorf("service(%s): listen(%s, %d) failed: %s", l.service, l.inet.Addr(), l.inet.Port(), conf.Reason(err)))
		return
	}
	l.Listener.Listener = made
	o.list, o.made = append(o.list, l.Listener), append(o.made, made)
}

func (o *opening) make(ctx context.Context, l want) (net.Listener, error) {
	if l.file.Path != "" {
		return socket.ListenFile(l.file)
	}
	if made := o.handed.take(l.inet); made != nil {
		return made, nil
	}
	made, err := listenTCP(ctx, l.inet, false)
	if errors.Is(err, unix.EADDRINUSE) && o.share(l.inet.Port(), true) {
		made, err = listenTCP(ctx, l.inet, true)
		o.share(l.inet.Port(), false)
	}
	return made, err
}

// share lets a port be opened for all addresses while it still is for one, or the reverse, if that is a port of ours that
// is not wanted any more. It is false if there is none.
func (o *opening) share(port uint16, on bool) (any bool) {
	for p := range o.open {
		at, ok := addrPort(p.Addr())
		if t, tcp := p.(*net.TCPListener); ok && tcp && at.Port() == port && !o.uses(p) {
			if c, err := t.SyscallConn(); err == nil {
				any = setShared(c, on) == nil || any
			}
		}
	}
	return any
}

func setShared(c syscall.RawConn, on bool) (err error) {
	value := 0
	if on {
		value = 1
	}
	if failed := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, value) }); failed != nil {
		return failed
	}
	return err
}

// listenTCP opens a port; shared, it may be another address of one that is open and was told to share.
func listenTCP(ctx context.Context, at netip.AddrPort, shared bool) (net.Listener, error) {
	network := "tcp6"
	if at.Addr().Is4() {
		network = "tcp4"
	}
	var c net.ListenConfig
	if shared {
		c.Control = func(_, _ string, c syscall.RawConn) error { return setShared(c, true) }
	}
	l, err := c.Listen(ctx, network, at.String())
	if err != nil || !shared {
		return l, err
	}
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err == nil {
		err = setShared(raw, false) // nobody else is to have it
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
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

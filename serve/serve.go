// Package serve is the part of the daemon that all protocols share: listeners, TLS, connections, logins, their limits and
// their lines in the log. The protocols are in the folders below.
//
//	Server      listens where the services of the configuration say, and gives each connection to its protocol
//	Conn        one connection, with its addresses, TLS and counters
//	Login       what happens before somebody is logged in: attempts, and one line in the log at the end
//
// Each connection has one goroutine and no buffers of its own while it waits.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"dovetail/auth"
	"dovetail/formats/conf"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

// Protocol talks to clients. Serve returns when the connection is over and may close it.
type Protocol interface {
	Serve(ctx context.Context, c *Conn)
}

// Options of a Server.
type Options struct {
	Live      *config.Live
	Source    conf.Source   // of certificates; nil: the machine's files
	Auth      *auth.Service // which the server owns from then on
	Log       *slog.Logger
	Protocols map[string]Protocol // by name: "imap"
	Listeners []Listener          // opened by Listen
}

// Server serves until its context ends.
type Server struct {
	Options
	certs     *certificates
	open      connections
	authority authority
}

// New makes a server. An error is for the operator.
func New(o Options) (*Server, error) {
	if o.Source == nil {
		o.Source = conf.OS{}
	}
	s := &Server{Options: o, certs: newCertificates(o.Live, o.Source), authority: authority{log: o.Log}}
	s.authority.use(o.Auth)
	for _, l := range o.Listeners {
		tls, err := options.Read[options.TLS](o.Live.Config().For(config.Filter{Protocol: l.Protocol}))
		if err != nil {
			return nil, err
		}
		if tls.Mode == "no" || !l.TLS && !tls.Cert.Set() {
			continue
		}
		if err := s.certs.check(l.Protocol); err != nil {
			return nil, fmt.Errorf("%s-login: %w", l.Protocol, err)
		}
	}
	return s, nil
}

// Run serves until the context ends, then waits until all connections are over; they are told by the context of their
// protocol. It closes the listeners.
func (s *Server) Run(ctx context.Context) error {
	var accepting, serving sync.WaitGroup
	stop := context.AfterFunc(ctx, func() {
		for _, l := range s.Listeners {
			l.Close()
		}
	})
	defer stop()
	errs := make(chan error, len(s.Listeners))
	for _, l := range s.Listeners {
		accepting.Go(func() { errs <- s.accept(ctx, l, &serving) })
	}
	accepting.Wait()
	serving.Wait()
	s.authority.use(nil)
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// Reload makes certificates be read again for connections that come from now on, and has them ask another auth service,
// which the server owns from then on; nil keeps the one that is there. Logins that have begun end with the old one.
func (s *Server) Reload(service *auth.Service) {
	s.certs.forget()
	if service != nil {
		s.authority.use(service)
	}
}

// accept takes connections. When there are no more descriptors or the like, it waits a little and goes on: what is
// connected already goes on meanwhile, and what waits in the kernel is not lost.
func (s *Server) accept(ctx context.Context, l Listener, serving *sync.WaitGroup) error {
	const shortly, longest = 5 * time.Millisecond, time.Second
	pause := shortly
	for {
		socket, err := l.Accept()
		switch {
		case err == nil:
			pause = shortly
			serving.Go(func() { s.serve(ctx, l, socket) })
			continue
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		}
		s.Log.Warn(fmt.Sprintf("%s-login: accept() failed: %v", l.Protocol, err))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		pause = min(2*pause, longest)
	}
}

// handshakeWait bounds TLS before the first word of a protocol.
const handshakeWait = 30 * time.Second

func (s *Server) serve(ctx context.Context, l Listener, socket net.Conn) {
	c := newConn(socket, l.Protocol, s.certs)
	defer c.Close()
	login, err := options.Read[options.Login](s.Live.Config().For(s.filter(c)))
	if err != nil {
		return
	}
	if l.HAProxy {
		if err := s.haproxy(c, login); err != nil {
			s.Log.Error(fmt.Sprintf("%s-login: haproxy: %v (rip=%s)", l.Protocol, err, c.Remote.Addr()))
			return
		}
	}
	c.Trusted = within(c.RealRemote.Addr(), login.TrustedNetworks)
	done, oldest := s.open.add(c, l.Limit)
	defer done()
	if oldest != nil {
		s.Log.Warn(fmt.Sprintf("service(%s-login): process_limit and client_limit reached, client connections are being dropped", l.Protocol))
		oldest.Dismiss(queueFull)
	}
	if l.TLS {
		within, cancel := context.WithTimeout(ctx, handshakeWait)
		err := c.StartTLS(within)
		cancel()
		if err != nil {
			s.Log.Info(fmt.Sprintf("%s-login: Disconnected: Connection closed: TLS handshaking: %v (disconnected before auth was ready, waited 0 secs): user=<>, rip=%s, lip=%s, session=<%s>",
				l.Protocol, err, ipText(c.Remote), ipText(c.Local), c.Session))
			return
		}
	}
	s.Protocols[l.Protocol].Serve(ctx, c)
}

// queueFull is what clients are told who have to make room for others.
const queueFull = "Connection queue full"

// filter chooses what holds for a connection.
func (s *Server) filter(c *Conn) config.Filter {
	f := config.Filter{Protocol: c.Service, Local: prefixOf(c.socket.LocalAddr()), Remote: prefixOf(c.socket.RemoteAddr())}
	if c.channel != nil {
		f.LocalName = c.channel.ServerName
	}
	return f
}

// View is what the configuration says for a connection, as it is now.
func (s *Server) View(c *Conn) config.View { return s.Live.Config().For(s.filter(c)) }

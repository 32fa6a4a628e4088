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
	Config    *config.Config
	Source    conf.Source   // of certificates; nil: the machine's files
	Auth      *auth.Service // which the server owns from then on, if New gives no error
	Log       *slog.Logger
	Protocols map[string]Protocol // by name: "imap"
	Listeners []Listener          // opened by Listen
}

// Server serves until its context ends.
type Server struct {
	src       conf.Source
	log       *slog.Logger
	protocols map[string]Protocol
	eras      eras
	open      connections
	fresh     chan net.Listener // ports that a reload opened
	over      chan struct{}     // closed when there is no Run any more
}

// New makes a server. An error is for the operator.
func New(o Options) (*Server, error) {
	if o.Source == nil {
		o.Source = conf.OS{}
	}
	s := &Server{src: o.Source, log: o.Log, protocols: o.Protocols, eras: eras{log: o.Log}, fresh: make(chan net.Listener), over: make(chan struct{})}
	e, err := s.prepare(o.Config, o.Listeners)
	if err != nil {
		return nil, err
	}
	e.auth = o.Auth
	s.eras.begin(e)
	return s, nil
}

// Run serves until the context ends, then waits until all connections are over; they are told by the context of their
// protocol. It closes the listeners. It is for once.
func (s *Server) Run(ctx context.Context) error {
	defer s.eras.end()
	defer close(s.over)
	var accepting, serving sync.WaitGroup
	e, release := s.eras.hold()
	for p := range e.ports {
		accepting.Go(func() { s.accept(ctx, p, &serving) })
	}
	release()
	for {
		select {
		case p := <-s.fresh:
			accepting.Go(func() { s.accept(ctx, p, &serving) })
			continue
		case <-ctx.Done():
		}
		break
	}
	err := s.closePorts()
	accepting.Wait()
	serving.Wait()
	return err
}

func (s *Server) closePorts() error {
	e, release := s.eras.hold()
	defer release()
	var errs []error
	for p := range e.ports {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

// accept takes connections. When there are no more descriptors or the like, it waits a little and goes on: what is
// connected already goes on meanwhile, and what waits in the kernel is not lost.
func (s *Server) accept(ctx context.Context, port net.Listener, serving *sync.WaitGroup) {
	const shortly, longest = 5 * time.Millisecond, time.Second
	pause := shortly
	for {
		socket, err := port.Accept()
		switch {
		case err == nil:
			pause = shortly
			serving.Go(func() { s.serve(ctx, port, socket) })
			continue
		case ctx.Err() != nil, errors.Is(err, net.ErrClosed): // by a reload
			return
		}
		s.log.Warn(fmt.Sprintf("master: accept(%s) failed: %v", port.Addr(), err))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, longest)
	}
}

// handshakeWait bounds TLS before the first word of a protocol.
const handshakeWait = 30 * time.Second

func (s *Server) serve(ctx context.Context, port net.Listener, socket net.Conn) {
	e, release := s.eras.hold()
	defer release()
	if _, ok := e.ports[port]; !ok { // it was closed while somebody came in
		socket.Close()
		return
	}
	c := newConn(socket, e.ports[port].Protocol, e, release)
	defer c.Close()
	if !s.meet(c, e.ports[port]) {
		return
	}
	defer s.enter(c, e.ports[port])()
	if e.ports[port].TLS && !s.secure(ctx, c) {
		return
	}
	s.protocols[c.Service].Serve(ctx, c)
}

// What is done before a protocol begins has functions of its own: what they need on the stack is not held as long as the
// connection is.

// meet finds out who is there; false: nobody to talk to.
func (s *Server) meet(c *Conn, l Listener) bool {
	login, err := options.Read[options.Login](c.View())
	if err != nil {
		return false
	}
	if l.HAProxy {
		if err := s.haproxy(c, login); err != nil {
			s.log.Error(fmt.Sprintf("%s-login: haproxy: %v", l.Protocol, err))
			return false
		}
	}
	c.Trusted = within(c.RealRemote.Addr(), login.TrustedNetworks)
	return true
}

// enter counts a connection until done is called.
func (s *Server) enter(c *Conn, l Listener) (done func()) {
	done, oldest := s.open.add(c, l.Limit)
	if oldest != nil {
		s.log.Warn(fmt.Sprintf("service(%s-login): process_limit and client_limit reached, client connections are being dropped", l.Protocol))
		oldest.Dismiss(queueFull)
	}
	return done
}

// secure does the handshake of TLS.
func (s *Server) secure(ctx context.Context, c *Conn) bool {
	within, cancel := context.WithTimeout(ctx, handshakeWait)
	defer cancel()
	err := c.StartTLS(within)
	if err != nil {
		s.log.Info(fmt.Sprintf("%s-login: Disconnected: Connection closed: TLS handshaking: %v (disconnected before auth was ready, waited 0 secs): user=<>, rip=%s, lip=%s, session=<%s>",
			c.Service, err, ipText(c.Remote), ipText(c.Local), c.Session))
	}
	return err == nil
}

// queueFull is what clients are told who have to make room for others.
const queueFull = "Connection queue full"

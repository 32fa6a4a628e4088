package socket

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"dovetail/auth"
)

// Server answers on the sockets of one auth service. Its fields are set before Serve is called, which many goroutines
// may do at once, one for each listener.
type Server struct {
	Auth *auth.Service
	Log  *slog.Logger

	// Connections is how many are served at once, on all sockets together; more wait to be accepted. 0 is 1000, as
	// default_client_limit.
	Connections int
	// PerPeer is how many of them one peer may have: a user of unix sockets other than root, or an address. More are
	// closed at once, so that a stranger cannot keep others out. 0 is half of Connections.
	PerPeer int
	// Requests is how many may be open on one connection: unfinished ones, and logins that wait for their second half.
	// On SASL sockets more are refused with temp_fail, as are more than ten times as many of one peer; on the others they
	// are read later. 0 is 1000.
	Requests int
	// HandshakeTimeout is how long a client may take to say who it is, WriteTimeout to read a reply, and
	// RequestTimeout to send its next response or to finish its login. 0 is 60, 60 and 150 seconds.
	HandshakeTimeout, WriteTimeout, RequestTimeout time.Duration

	once   sync.Once
	places chan struct{}
	secret [32]byte // tokens are made with it

	mu     sync.Mutex       // guards what follows
	uids   uint32           // CUID of the last connection
	logins map[uint32]*conn // connections of login processes by their CPID
	peers  map[string]*peer // those who have connections
}

// peer is what one of those has who connect.
type peer struct {
	connections int          // guarded by the server's mutex
	told        bool         // likewise: the log knows that there are too many
	requests    atomic.Int64 // open on SASL sockets, on all connections together
}

const (
	defaultConnections = 1000
	defaultRequests    = 1000
	// MASTER_AUTH_SERVER_TIMEOUT_SECS of 2.3.19.1 (lib-master/master-interface.h).
	defaultRequestTimeout = 150 * time.Second
	defaultTimeout        = 60 * time.Second
)

func (s *Server) init() {
	orElse := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	orElse(&s.HandshakeTimeout, defaultTimeout)
	orElse(&s.WriteTimeout, defaultTimeout)
	orElse(&s.RequestTimeout, defaultRequestTimeout)
	if s.Connections <= 0 {
		s.Connections = defaultConnections
	}
	if s.Requests <= 0 {
		s.Requests = defaultRequests
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.PerPeer <= 0 {
		s.PerPeer = (s.Connections + 1) / 2
	}
	s.places = make(chan struct{}, s.Connections)
	s.logins, s.peers = map[uint32]*conn{}, map[string]*peer{}
	rand.Read(s.secret[:]) // never fails
}

// Serve accepts connections until ctx is done or the listener is closed, which it does itself, and returns when all of
// them have ended. name is the path of a unix socket, or the name of an inet_listener: the log has it.
func (s *Server) Serve(ctx context.Context, l net.Listener, kind Kind, name string) error {
	s.once.Do(s.init)
	ctx, cancel := context.WithCancel(ctx)
	var conns sync.WaitGroup
	defer conns.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	owner, err := ownerOf(kind, name)
	if err != nil {
		return err
	}
	for {
		select {
		case s.places <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		nc, err := accept(ctx, l)
		if err != nil {
			<-s.places
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		conns.Go(func() {
			defer func() { <-s.places }()
			s.serve(ctx, nc, kind, name, owner)
		})
	}
}

// accept waits out a lack of descriptors or memory, which passes.
func accept(ctx context.Context, l net.Listener) (net.Conn, error) {
	const pause = 100 * time.Millisecond
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			return nc, nil
		case !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE) && !errors.Is(err, unix.ENOMEM) &&
			!errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.ECONNABORTED):
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// serve is the life of one connection.
func (s *Server) serve(ctx context.Context, nc net.Conn, kind Kind, name string, owner *unix.Stat_t) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := &conn{Server: s, net: nc, kind: kind, name: name, ctx: ctx, created: time.Now(), work: newCrew(), requests: map[uint32]*request{}}
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	defer nc.Close()
	c.peer = peerOf(nc)
	who, limited := c.who()
	if c.has = s.admit(who, limited); c.has == nil {
		return
	}
	defer s.leave(who)
	if kind.sasl() {
		c.serveSASL(ctx, cancel)
		return
	}
	if owner != nil && c.restrict(owner) != nil {
		return
	}
	c.serveMaster(ctx, cancel)
}

// admit counts a connection of a peer; nil: it has too many. The log is told of the first that is refused.
func (s *Server) admit(who string, limited bool) *peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[who]
	if p == nil {
		p = &peer{}
		s.peers[who] = p
	}
	if limited && p.connections >= s.PerPeer {
		if !p.told {
			p.told = true
			s.Log.Warn(fmt.Sprintf("%s has %d connections to auth sockets: further ones are closed", who, p.connections))
		}
		return nil
	}
	p.connections++
	return p
}

func (s *Server) leave(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[who]
	p.connections--
	switch {
	case p.connections == 0:
		delete(s.peers, who)
	case p.connections < s.PerPeer/2: // it is worth a line again
		p.told = false
	}
}

// greet gives a connection its number and cookie.
func (s *Server) greet(c *conn) {
	rand.Read(c.cookie[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uids++
	c.uid = s.uids
}

// register makes a connection of a login process known to master connections. It fails while another one has the pid,
// unless that one's process is gone.
func (s *Server) register(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.logins[c.pid]; old != nil && !old.hungUp() {
		return false
	}
	s.logins[c.pid] = c
	return true
}

func (s *Server) unregister(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logins[c.pid] == c {
		delete(s.logins, c.pid)
	}
}

func (s *Server) login(pid uint32) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins[pid]
}

var pid = os.Getpid()

package serve

import (
	"fmt"
	"log/slog"
	"net"
	"sync"

	"dovetail/auth"
	"dovetail/serve/config"
)

// era is what connections are served with that come now: a configuration, its certificates and auth service, and what
// each port is for. A reload puts another one in its place, whole, so that a connection has everything from one of them.
// One that is over is given up when the last login that began in it has ended.
type era struct {
	config *config.Config
	certs  *certificates
	auth   *auth.Service
	ports  map[net.Listener]Listener

	uses int  // connections that are not logged in, and others that hold it; guarded by eras.mu
	past bool // another one is in its place, or none will be
	done bool // given up
}

// eras hold the present one.
type eras struct {
	log *slog.Logger

	mu    sync.Mutex
	now   *era
	ended bool
}

// begin makes an era the present one; false if there are to be no more of them.
func (s *eras) begin(e *era) bool {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return false
	}
	old := s.now
	s.now = e
	s.mu.Unlock()
	s.over(old)
	return true
}

// end makes the present era the last one.
func (s *eras) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.over(s.now)
}

// hold gives the present era, which stays whole until the function is called. That may be done more than once.
func (s *eras) hold() (e *era, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.uses++
	e = s.now
	return e, sync.OnceFunc(func() { s.release(e) })
}

func (s *eras) release(e *era) {
	s.mu.Lock()
	e.uses--
	s.mu.Unlock()
	s.giveUp(e)
}

// over says that nobody will begin in an era any more.
func (s *eras) over(e *era) {
	if e == nil {
		return
	}
	s.mu.Lock()
	e.past = true
	s.mu.Unlock()
	s.giveUp(e)
}

// giveUp closes what an era has, if it is needed no more.
func (s *eras) giveUp(e *era) {
	s.mu.Lock()
	now := e.past && e.uses == 0 && !e.done
	e.done = e.done || now
	s.mu.Unlock()
	if !now || e.auth == nil {
		return
	}
	if err := e.auth.Close(); err != nil {
		s.log.Error(fmt.Sprintf("auth: %v", err))
	}
}

// HoldAuth gives the auth service that connections ask now. It stays open until the function is called.
func (s *Server) HoldAuth() (service *auth.Service, release func()) {
	e, release := s.eras.hold()
	return e.auth, release
}

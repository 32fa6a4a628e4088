package serve

import (
	"fmt"
	"log/slog"
	"sync"

	"dovetail/auth"
)

// authority is the auth service that new connections ask. One that is replaced is closed when the last login that began
// with it is over.
type authority struct {
	log *slog.Logger

	mu  sync.Mutex
	now *inUse
}

type inUse struct {
	*auth.Service
	uses    int // logins, guarded by authority.mu
	retired bool
}

// use makes a service the one that logins ask from now on.
func (a *authority) use(s *auth.Service) {
	a.mu.Lock()
	old := a.now
	a.now = nil
	if s != nil {
		a.now = &inUse{Service: s}
	}
	idle := false
	if old != nil {
		old.retired, idle = true, old.uses == 0
	}
	a.mu.Unlock()
	if idle {
		a.close(old)
	}
}

func (a *authority) begin() *inUse {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now.uses++
	return a.now
}

func (a *authority) end(u *inUse) {
	a.mu.Lock()
	u.uses--
	over := u.retired && u.uses == 0
	a.mu.Unlock()
	if over {
		a.close(u)
	}
}

// HoldAuth gives the auth service that connections ask now. It stays open until the function is called, once.
func (s *Server) HoldAuth() (service *auth.Service, release func()) {
	u := s.authority.begin()
	return u.Service, func() { s.authority.end(u) }
}

func (a *authority) close(u *inUse) {
	if err := u.Close(); err != nil {
		a.log.Error(fmt.Sprintf("auth: %v", err))
	}
}

package serve

import (
	"net/netip"
	"sync"
	"time"
)

// connections are those that are open, for their limits.
type connections struct {
	mu     sync.Mutex
	of     map[*Conn]*place
	serial uint64
	users  map[userAt]int
}

// place is what is known of one connection.
type place struct {
	serial   uint64 // in order of arrival
	since    time.Time
	loggedIn bool
	user     userAt
}

// userAt is what mail_max_userip_connections counts.
type userAt struct {
	service, user string
	from          netip.Addr
}

// add counts a connection in. When its service has too many, the oldest one that is not logged in is given back, to be
// told and closed: the newcomer may be who has a right to be here.
func (s *connections) add(c *Conn, limit int) (done func(), oldest *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for other, p := range s.of {
		if other.Service != c.Service {
			continue
		}
		n++
		if !p.loggedIn && (oldest == nil || p.serial < s.of[oldest].serial) {
			oldest = other
		}
	}
	s.serial++
	s.of[c] = &place{serial: s.serial, since: time.Now()}
	if limit <= 0 || n < limit {
		oldest = nil
	}
	if oldest != nil {
		delete(s.of, oldest)
	}
	return func() { s.remove(c) }, oldest
}

func (s *connections) remove(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.of[c]
	delete(s.of, c)
	if p == nil || !p.loggedIn {
		return
	}
	if s.users[p.user]--; s.users[p.user] == 0 {
		delete(s.users, p.user)
	}
}

// login counts a user in; false when he has limit connections from his address already. 0 is no limit.
func (s *connections) login(c *Conn, user string, limit uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.of[c]
	if p == nil || p.loggedIn {
		return false
	}
	at := userAt{c.Service, user, c.Remote.Addr()}
	if limit > 0 && s.users[at] >= int(limit) {
		return false
	}
	if s.users == nil {
		s.users = map[userAt]int{}
	}
	s.users[at]++
	p.loggedIn, p.user = true, at
	return true
}

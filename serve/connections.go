package serve

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// connections are those that are open, for their limits.
type connections struct {
	mu      sync.Mutex
	of      map[*Conn]*place
	waiting map[string]*list.List // of *Conn not logged in, by protocol, the oldest first
	users   map[userAt]int
}

// place is what is known of one connection.
type place struct {
	waiting *list.Element // nil once it is logged in
	user    userAt
}

// userAt is what mail_max_userip_connections counts.
type userAt struct {
	service, user string
	from          netip.Addr
}

// add counts a connection in. When there are too many of its protocol that are not logged in, the oldest of them is
// given back, to be told and closed: the newcomer may be who has a right to be here.
func (s *connections) add(c *Conn, limit int) (done func(), oldest *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of, s.waiting, s.users = map[*Conn]*place{}, map[string]*list.List{}, map[userAt]int{}
	}
	w := s.waiting[c.Service]
	if w == nil {
		w = list.New()
		s.waiting[c.Service] = w
	}
	if limit > 0 && w.Len() >= limit {
		oldest = w.Remove(w.Front()).(*Conn)
		delete(s.of, oldest)
	}
	s.of[c] = &place{waiting: w.PushBack(c)}
	return func() { s.remove(c) }, oldest
}

func (s *connections) remove(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.of[c]
	delete(s.of, c)
	switch {
	case p == nil:
	case p.waiting != nil:
		s.waiting[c.Service].Remove(p.waiting)
	default:
		if s.users[p.user]--; s.users[p.user] == 0 {
			delete(s.users, p.user)
		}
	}
}

// login counts a user in; false when he has limit connections from his address already. 0 is no limit.
func (s *connections) login(c *Conn, user string, limit uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.of[c]
	if p == nil || p.waiting == nil {
		return false
	}
	at := userAt{c.Service, user, c.Remote.Addr()}
	if limit > 0 && s.users[at] >= int(limit) {
		return false
	}
	s.users[at]++
	s.waiting[c.Service].Remove(p.waiting)
	p.waiting, p.user = nil, at
	return true
}

// patience is how long a connection that has to go may take to say so.
const patience = time.Second

// Dismiss makes a connection end soon: whatever it reads fails from now on, so that its own goroutine finds out and can
// say a last word, and after a second it is cut off. why is for the log.
func (c *Conn) Dismiss(why string) {
	c.dismissed.CompareAndSwap(nil, &why)
	c.socket.SetReadDeadline(time.Unix(1, 0))
	time.AfterFunc(patience, func() { c.socket.Close() })
}

// Dismissed tells whether the connection has to end, and why: "Connection queue full".
func (c *Conn) Dismissed() (why string, yes bool) {
	if p := c.dismissed.Load(); p != nil {
		return *p, true
	}
	return "", false
}

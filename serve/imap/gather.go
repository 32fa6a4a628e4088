package imap

import "sync"

// gathering lets the sessions of one user know that names of mailboxes or subscriptions have changed.
type gathering struct {
	mu sync.Mutex
	of map[string]map[*session]func()
}

// join has wake called when another session of the user changes names, until the function that it gives is called.
func (g *gathering) join(s *session, wake func()) (leave func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of == nil {
		g.of = map[string]map[*session]func(){}
	}
	if g.of[s.name] == nil {
		g.of[s.name] = map[*session]func(){}
	}
	g.of[s.name][s] = wake
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.of[s.name], s)
		if len(g.of[s.name]) == 0 {
			delete(g.of, s.name)
		}
	}
}

// tell wakes the other sessions of a user.
func (g *gathering) tell(from *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for s, wake := range g.of[from.name] {
		if s != from {
			wake()
		}
	}
}

package auth

import (
	"context"
	"net/netip"
	"slices"
	"sync"
)

// turns lets a few do something at a time. Those who wait are let in one of each address after the other, so that somebody
// who tries a thousand passwords at once keeps only himself waiting.
type turns struct {
	mu      sync.Mutex // guards what follows
	free    int
	waiting map[netip.Addr][]chan struct{} // closed when it is their turn
	order   []netip.Addr                   // of those who wait: the first is next
}

func newTurns(n int) *turns { return &turns{free: n, waiting: map[netip.Addr][]chan struct{}{}} }

// take waits for a turn, which give ends.
func (t *turns) take(ctx context.Context, who netip.Addr) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	who = network(who)
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	if len(t.waiting[who]) == 0 {
		t.order = append(t.order, who)
	}
	t.waiting[who] = append(t.waiting[who], turn)
	t.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		t.leave(who, turn)
		return ctx.Err()
	}
}

// give ends a turn: the next one has it.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.order) == 0 {
		t.free++
		return
	}
	who := t.order[0]
	turn := t.waiting[who][0]
	t.order = t.order[1:]
	if t.drop(who, 0) {
		t.order = append(t.order, who)
	}
	close(turn)
}

// leave takes somebody out who no longer waits. If it is his turn, the next one has it.
func (t *turns) leave(who netip.Addr, turn chan struct{}) {
	t.mu.Lock()
	at := slices.Index(t.waiting[who], turn)
	if at >= 0 && !t.drop(who, at) {
		t.order = slices.DeleteFunc(t.order, func(a netip.Addr) bool { return a == who })
	}
	t.mu.Unlock()
	if at < 0 {
		t.give()
	}
}

// drop takes one out of an address's queue and tells whether others are left in it; mu is held.
func (t *turns) drop(who netip.Addr, at int) bool {
	t.waiting[who] = slices.Delete(t.waiting[who], at, at+1)
	if len(t.waiting[who]) > 0 {
		return true
	}
	delete(t.waiting, who)
	return false
}

// network is whom an address stands for: with IPv6 one client has a whole network of 64 bits.
func network(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if !a.Is6() {
		return a
	}
	const bits = 64
	p, _ := a.WithZone("").Prefix(bits) // of an address with as many bits
	return p.Addr()
}

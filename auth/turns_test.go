package auth

import (
	"context"
	"net/netip"
	"runtime"
	"sync"
	"testing"
)

func TestTurns(t *testing.T) {
	flood, good := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")
	ctx := context.Background()
	waiting := func(s *turns, who netip.Addr) int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.waiting[who])
	}
	queue := func(s *turns, who netip.Addr, n int, then func()) {
		for range n {
			before := waiting(s, who)
			go func() {
				if s.take(ctx, who) == nil {
					then()
				}
			}()
			for waiting(s, who) == before {
				runtime.Gosched()
			}
		}
	}
	t.Run("one of another address is next, however many wait", func(t *testing.T) {
		s := newTurns(1)
		s.take(ctx, flood)
		order := make(chan netip.Addr, 101)
		queue(s, flood, 100, func() { order <- flood; s.give() })
		queue(s, good, 1, func() { order <- good; s.give() })
		s.give()
		for i := range 3 {
			if <-order == good {
				return
			} else if i == 2 {
				t.Error("he waits for all others")
			}
		}
	})
	t.Run("who no longer waits is left out, and his turn is the next one's", func(t *testing.T) {
		s := newTurns(1)
		s.take(ctx, flood)
		gone, cancel := context.WithCancel(ctx)
		failed := make(chan error)
		for range 50 {
			go func() { failed <- s.take(gone, good) }()
		}
		for waiting(s, good) < 50 {
			runtime.Gosched()
		}
		s.give() // to one of them, who goes
		cancel()
		got := 0
		for range 50 {
			if <-failed == nil {
				got++
				s.give()
			}
		}
		if got > 1 || s.free != 1 || len(s.waiting) != 0 || len(s.order) != 0 {
			t.Errorf("%d got a turn; %+v", got, s)
		}
		if err := s.take(gone, good); err == nil || s.free != 1 {
			t.Errorf("who has gone before is given one: %v, %+v", err, s)
		}
	})
	t.Run("never more than there are, and all get one", func(t *testing.T) {
		s := newTurns(3)
		var mu sync.Mutex
		var wait sync.WaitGroup
		now, most := 0, 0
		for i := range 200 {
			wait.Go(func() {
				s.take(ctx, netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 7)}))
				mu.Lock()
				now++
				most = max(most, now)
				mu.Unlock()
				runtime.Gosched()
				mu.Lock()
				now--
				mu.Unlock()
				s.give()
			})
		}
		wait.Wait()
		if most > 3 || s.free != 3 || len(s.waiting) != 0 || len(s.order) != 0 {
			t.Errorf("%d at a time; %+v", most, s)
		}
	})
	for _, same := range [][2]string{{"::ffff:192.0.2.7", "192.0.2.7"}, {"2001:db8::1", "2001:db8::ffff:2"}, {"fe80::1%eth0", "fe80::2"}} {
		if a, b := network(netip.MustParseAddr(same[0])), network(netip.MustParseAddr(same[1])); a != b {
			t.Errorf("%v: %v and %v", same, a, b)
		}
	}
	if network(netip.MustParseAddr("2001:db8:0:1::1")) == network(netip.MustParseAddr("2001:db8::1")) {
		t.Error("two networks are one")
	}
}

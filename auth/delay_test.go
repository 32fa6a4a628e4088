package auth

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slow is a Penalty of five seconds that writes down what it is told.
type slow struct{ failed, succeeded []string }

func (p *slow) Wait(netip.Addr) time.Duration { return 5 * time.Second }
func (p *slow) Failed(a netip.Addr, user, password string) {
	p.failed = append(p.failed, a.String()+" "+user+" "+password)
}
func (p *slow) Succeeded(a netip.Addr) { p.succeeded = append(p.succeeded, a.String()) }

func TestRefusalsAreHeldBack(t *testing.T) {
	users := map[string]Fields{"u1": {{"password", "p"}}, "quick": {{"password", "p"}, {"nodelay", ""}}, "later": {{"password", "p"}, {"delay_until", "946684830"}}}
	for _, c := range []struct {
		name, user, password string
		o                    Options
		r                    Request
		least, most          time.Duration
	}{
		{"a success", "u1", "p", Options{FailureDelay: 2 * time.Second}, client, 0, 0},
		{"a wrong password", "u1", "x", Options{FailureDelay: 2 * time.Second}, client, 2 * time.Second, 2500 * time.Millisecond},
		{"an unknown user", "u9", "x", Options{FailureDelay: 2 * time.Second}, client, 2 * time.Second, 2500 * time.Millisecond},
		{"a name that cannot be", "u\n", "x", Options{FailureDelay: 2 * time.Second}, client, 2 * time.Second, 2500 * time.Millisecond},
		{"without a delay", "u1", "x", Options{}, client, 0, 0},
		{"nodelay", "quick", "x", Options{FailureDelay: 2 * time.Second}, client, 0, 0},
		{"a database that is down", "down", "x", Options{FailureDelay: time.Minute, InternalFailureDelay: 2 * time.Second}, client, 2 * time.Second, 3500 * time.Millisecond},
		{"delay_until", "later", "p", Options{}, client, 30 * time.Second, 30 * time.Second},
		{"an address with a penalty", "u1", "p", Options{Penalty: &slow{}}, client, 5 * time.Second, 5 * time.Second},
		{"a trusted address", "u1", "p", Options{Penalty: &slow{}}, Request{Remote: client.Remote, Trusted: true}, 0, 0},
		{"a client that is not penalised", "u1", "p", Options{Penalty: &slow{}}, Request{Remote: client.Remote, NoPenalty: true}, 0, 0},
		{"no address", "u1", "p", Options{Penalty: &slow{}}, Request{}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // its clock begins in the year 2000
				db := accounts(users)
				db.down.Store(c.user == "down")
				s, _ := must(t, c.o, []PassEntry{{Driver: "sql", DB: db, ImportAll: true}}, nil)
				begun := time.Now()
				s.Login(t.Context(), c.r, c.user, c.password)
				if took := time.Since(begun); took < c.least || took > c.most {
					t.Errorf("took %v, want %v to %v", took, c.least, c.most)
				}
			})
		})
	}
}

func TestRefusalsOfOneMomentComeTogetherInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d delays
		var mu sync.Mutex
		var order []int
		var at []time.Duration
		begun := time.Now()
		var wait sync.WaitGroup
		for i := range 40 {
			time.Sleep(time.Millisecond)
			wait.Go(func() {
				d.wait(t.Context(), 2*time.Second)
				mu.Lock()
				defer mu.Unlock()
				order, at = append(order, i), append(at, time.Since(begun))
			})
		}
		wait.Wait()
		sortedOrder := true
		for i := range order {
			sortedOrder = sortedOrder && order[i] == i
			if i > 1 && at[i] != at[1] { // the first one is due just when they are looked at
				t.Fatalf("at %v and %v", at[1], at[i])
			}
		}
		if sortedOrder {
			t.Error("in the order in which they came")
		}
	})
}

func TestWaitingEndsWithTheClientAndWithTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := must(t, Options{FailureDelay: time.Hour}, []PassEntry{{Driver: "sql", DB: accounts(nil), ImportAll: true}}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { s.Login(ctx, client, "u1", "p") })
		synctest.Wait()
		cancel()
		wait.Wait()
		late, _ := must(t, Options{}, []PassEntry{{Driver: "sql", ImportAll: true, DB: accounts(map[string]Fields{"u1": {{"password", "p"}, {"delay_until", "946684860"}}})}}, nil)
		ctx, cancel = context.WithCancel(t.Context())
		wait.Go(func() {
			if r := late.Login(ctx, client, "u1", "p"); r.OK {
				t.Error("a success for a client that has gone while it waited")
			}
		})
		synctest.Wait()
		cancel()
		wait.Wait()
		wait.Go(func() { s.Login(t.Context(), client, "u1", "p") })
		synctest.Wait()
		s.Close()
		wait.Wait()
		if r := s.Login(t.Context(), client, "u1", "p"); r.OK {
			t.Error("after the end of the service")
		}
	})
}

func TestThePenaltyIsToldOfEachEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &slow{}
		db := accounts(map[string]Fields{"u1": {{"password", "p"}}, "quick": {{"password", "p"}, {"nodelay", ""}}})
		s, _ := must(t, Options{Penalty: p}, []PassEntry{{Driver: "sql", DB: db, ImportAll: true}}, nil)
		for _, one := range []string{"x", "p"} {
			s.Login(t.Context(), client, "u1", one)
			s.Login(t.Context(), client, "quick", one)
		}
		db.down.Store(true)
		s.Login(t.Context(), client, "u1", "p")
		if len(p.failed) != 1 || p.failed[0] != "192.0.2.7 u1 x" || len(p.succeeded) != 2 {
			t.Errorf("failed %q, succeeded %q", p.failed, p.succeeded)
		}
	})
}

// Lookups are made by delivery and by operators, not by who guesses: an address with a penalty does not slow them down.
func TestLookupsAreNotHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := accounts(map[string]Fields{"u1": {{"password", "p"}}})
		p := &slow{}
		s, _ := must(t, Options{Penalty: p, FailureDelay: time.Minute}, []PassEntry{{Driver: "sql", DB: db, ImportAll: true}}, []UserEntry{{Driver: "sql", DB: db, ImportAll: true}})
		begun := time.Now()
		for _, user := range []string{"u1", "nobody"} {
			s.Lookup(context.Background(), client, user)
			s.User(context.Background(), client, user)
			s.Stored(context.Background(), client, user)
		}
		if took := time.Since(begun); took != 0 || p.failed != nil || p.succeeded != nil {
			t.Errorf("%v, %+v", took, p)
		}
	})
}

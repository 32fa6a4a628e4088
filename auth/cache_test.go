package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// cachedService has one passdb and one userdb that count how often they are asked.
func cachedService(t *testing.T, size uint64) (*Service, *listed, *listed, *journal) {
	t.Helper()
	pass := accounts(map[string]Fields{"u1": {{"password", "p"}, {"fa", "1"}, {"userdb_y", "2"}}, "open": {{"nopassword", ""}}, "near": {{"password", "p"}, {"allow_nets", "10.0.0.1"}}})
	users := accounts(map[string]Fields{"u1": {{"home", "/h"}}})
	pass.key, users.key = []string{"user"}, []string{"user"}
	s, log := must(t, Options{CacheSize: size, CacheTTL: time.Hour, CacheNegativeTTL: time.Minute},
		[]PassEntry{{Driver: "sql", DB: pass, ImportAll: true}}, []UserEntry{{Driver: "sql", DB: users, ImportAll: true}})
	return s, pass, users, log
}

// step is one login, and whether the database is to be asked for it.
type step struct {
	after          time.Duration
	user, password string
	want           string
	asked          bool
}

func TestTheCacheAnswersInPlaceOfThePassdb(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"a right password", []step{{0, "u1", "p", "ok user=u1 fa=1", true}, {0, "u1", "p", "ok user=u1 fa=1", false}, {59 * time.Minute, "u1", "p", "ok user=u1 fa=1", false},
			{2 * time.Minute, "u1", "p", "ok user=u1 fa=1", true}}},
		{"a wrong one after a right one may be new", []step{{0, "u1", "p", "ok user=u1 fa=1", true}, {0, "u1", "x", "no", true}, {0, "u1", "x", "no", false}, {0, "u1", "y", "no", false},
			{0, "u1", "p", "ok user=u1 fa=1", false}, {0, "u1", "x", "no", true}}},
		{"a wrong one after the negative lifetime", []step{{0, "u1", "x", "no", true}, {0, "u1", "x", "no", false}, {61 * time.Second, "u1", "x", "no", true}, {0, "u1", "x", "no", false}}},
		{"an unknown user", []step{{0, "u9", "p", "no", true}, {59 * time.Second, "u9", "p", "no", false}, {2 * time.Second, "u9", "p", "no", true}}},
		{"any password", []step{{0, "open", "a", "ok user=open", true}, {0, "open", "b", "ok user=open", false}}},
		{"networks are looked at each time", []step{{0, "near", "p", "no", true}, {0, "near", "p", "no", false}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, pass, _, log := cachedService(t, 1<<20)
				for i, one := range c.steps {
					time.Sleep(one.after)
					before := pass.asked.Load()
					got := text(s.Login(t.Context(), client, one.user, one.password))
					if asked := pass.asked.Load() > before; got != one.want || asked != one.asked {
						t.Errorf("step %d: got %s, asked %v; want %s, %v\n%s", i, got, asked, one.want, one.asked, log)
					}
				}
			})
		})
	}
}

func TestAnEntryThatIsTooOldServesWhileTheDatabaseIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, pass, users, log := cachedService(t, 1<<20)
		reply := s.Login(t.Context(), client, "u1", "p")
		if _, err := s.Finish(t.Context(), reply); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		pass.down.Store(true)
		users.down.Store(true)
		reply = s.Login(t.Context(), client, "u1", "p")
		if got := text(reply); got != "ok user=u1 fa=1" {
			t.Errorf("got %s\n%s", got, log)
		}
		if u, err := s.Finish(t.Context(), reply); err != nil || u.Home != "/h" || u.Fields.Value("y") != "2" {
			t.Errorf("user %+v, %v\n%s", u, err, log)
		}
		if _, err := s.Lookup(t.Context(), client, "u1"); err != nil {
			t.Errorf("lookup: %v", err)
		}
		if got := text(s.Login(t.Context(), client, "u1", "x")); got != "no temp_fail" {
			t.Errorf("a wrong password: got %s", got)
		}
		if n := strings.Count(log.String(), "Falling back to expired data from cache"); n != 3 {
			t.Errorf("told %d times\n%s", n, log)
		}
	})
}

func TestTheCacheKeepsWithinItsSizeAndForgetsOnRequest(t *testing.T) {
	s, pass, _, log := cachedService(t, 3000)
	ctx := context.Background()
	for i := range 100 {
		s.Login(ctx, client, fmt.Sprint("u", i+2), "p")
		s.Login(ctx, client, "u1", "p") // used all the time, so it stays
	}
	before := pass.asked.Load()
	s.Login(ctx, client, "u1", "p")
	s.Login(ctx, client, "u101", "p")
	if pass.asked.Load() != before {
		t.Errorf("what was used last is forgotten")
	}
	s.Login(ctx, client, "u2", "p")
	if pass.asked.Load() != before+1 {
		t.Errorf("what was used long ago is kept")
	}
	if s.cache.left > s.cache.size {
		t.Errorf("%d bytes left of %d", s.cache.left, s.cache.size)
	}
	if n := s.FlushCache("u1", "nosuch"); n != 1 {
		t.Errorf("flushed %d", n)
	}
	before = pass.asked.Load()
	s.Login(ctx, client, "u1", "p")
	if pass.asked.Load() != before+1 {
		t.Errorf("a flushed user is still known")
	}
	s.LogStatistics()
	s.Reset()
	if s.FlushCache() != 0 || s.cache.left != s.cache.size {
		t.Errorf("%d bytes left of %d after a reset", s.cache.left, s.cache.size)
	}
	for _, want := range []string{"cache entries flushed", "Authentication cache hits 1", "Authentication cache inserts: positive: ", "bytes used of 3000 bytes"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the log", want)
		}
	}
}

// silent is a database that checks passwords and gives nothing away.
type silent struct{ listed }

func (s *silent) Verify(_ context.Context, r *Request, password string) (Fields, error) {
	s.asked.Add(1)
	if password != "p" {
		return Fields{{"reason", "ask the office"}}, ErrMismatch
	}
	return Fields{{"fa", "1"}}, nil
}
func (s *silent) Find(context.Context, *Request) (Fields, error) { return nil, ErrNoFind }

func TestPasswordsThatADatabaseDoesNotShowAreKeptAsDigests(t *testing.T) {
	db := &silent{listed{key: []string{"user"}}}
	s, log := must(t, Options{CacheSize: 1 << 20, CacheTTL: time.Hour, CacheNegativeTTL: time.Hour}, []PassEntry{{Driver: "pam", DB: db, ImportAll: true}}, nil)
	ctx := context.Background()
	for i, one := range []struct {
		password, want string
		asked          int64
	}{{"p", "ok user=u1 fa=1", 1}, {"p", "ok user=u1 fa=1", 1}, {"x", "no", 2}, {"x", "no", 2}, {"p", "ok user=u1 fa=1", 2}} {
		if got := text(s.Login(ctx, client, "u1", one.password)); got != one.want || db.asked.Load() != one.asked {
			t.Errorf("%d: got %s, asked %d; want %s, %d\n%s", i, got, db.asked.Load(), one.want, one.asked, log)
		}
	}
	if r := s.Login(ctx, client, "u2", "x"); r.Reason != "ask the office" {
		t.Errorf("the reason is %q", r.Reason)
	}
	if _, err := s.Lookup(ctx, client, "u2"); !errors.Is(err, ErrTemporary) {
		t.Errorf("lookup of one who has not logged in: %v", err)
	}
}

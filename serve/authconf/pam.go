package authconf

import (
	"context"
	"math"
	"strconv"

	"dovetail/auth"
	"dovetail/auth/pam"
	"dovetail/formats/conf"
	"dovetail/serve/config/options"
)

func pamPass(_ context.Context, s *section) (auth.PassDB, error) {
	o := pam.Options{Session: s.PAM.Session, SetCred: s.PAM.SetCred, ShowFailure: s.PAM.ShowFailure,
		MaxRequests: int(s.PAM.LookupsPerTurn), Workers: s.workers()}
	var err error
	if o.Service, err = parse(s.PAM.Service); err != nil {
		return nil, err
	}
	key, err := parse(s.PAM.CacheKey)
	if err != nil {
		return nil, err
	}
	if key != nil {
		o.CacheKey = key.Variables()
	}
	s.Scheme = "PLAIN"
	return pam.NewPassDB(o)
}

// workers is how many lookups that block may run at once, and how many connections to one database there may be:
// auth_worker_max_count, in 2.4 service auth-worker { process_limit }. 0: as many as the database thinks right.
func (b *build) workers() int {
	if b.view.Dialect != conf.V24 {
		v, _ := b.view.Get("auth_worker_max_count")
		n, _ := strconv.Atoi(v.Text)
		return max(n, 0)
	}
	services, err := options.ReadServices(b.view)
	if err != nil {
		return 0 // which the sockets complain about
	}
	for _, s := range services {
		if s.Name == "auth-worker" && s.ProcessLimit < math.MaxInt32 {
			return int(s.ProcessLimit)
		}
	}
	return 0
}

package authconf

import (
	"context"
	"strconv"

	"dovetail/auth"
	"dovetail/auth/pam"
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

// workers is how many lookups that block may run at once; 0: as many as the database thinks right.
func (b *build) workers() int {
	v, _ := b.view.Get("auth_worker_max_count")
	n, err := strconv.Atoi(v.Text)
	if err != nil || n < 0 {
		return 0 // 2.4 has no such setting
	}
	return n
}

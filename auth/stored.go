package auth

import (
	"context"
	"fmt"
	"slices"

	"dovetail/auth/scheme"
)

// Holding is what one passdb has stored for a user: not the password, but what can be said of it.
type Holding struct {
	Database  string      // its name in the log, with its number if that is not enough
	Kind      scheme.Kind // zero if there is none here
	Elsewhere bool        // the database checks passwords and does not give them away; whether it has the user may be unknown
	Any       bool        // every password is right (nopassword)
	Weak      bool        // easily found by who gets the list
	Why       string      // nobody can log in with it, and why; "" if somebody can
	Deny      bool        // whoever is found here is refused
}

// Stored asks each passdb, but for those of master users, what it has for a user; one that does not know him has none.
// ErrUnknown: there can be no such name. ErrTemporary: one does not answer, and the log says why.
func (s *Service) Stored(ctx context.Context, r Request, user string) (list []Holding, err error) {
	s = s.of(r.Service)
	r.Mechanism = ""
	named := s.newAttempt(r)
	if err := named.setName(user); err != nil {
		return nil, ErrUnknown
	}
	for _, p := range s.normal {
		if !acceptsName(p.UsernameFilter, named.r.User) {
			continue
		}
		h := Holding{Database: s.label(p), Deny: p.Deny}
		// A query with the password in it says nothing without one.
		if slices.Contains(p.key, "w") || slices.Contains(p.key, "password") {
			h.Elsewhere = true
			list = append(list, h)
			continue
		}
		a := *named
		a.r.Number = p.number
		switch answer := a.askFind(ctx, p); answer {
		case isUnknown:
			continue
		case isInternal:
			return nil, ErrTemporary
		case isNoScheme:
			h.Elsewhere = true
		case isDisabled, isExpired, isMismatch:
			h.Why = map[result]string{isDisabled: "disabled", isExpired: "expired", isMismatch: "no password fits what is stored"}[answer]
		default:
			a.describe(&h, p)
		}
		if h.Deny {
			h.Why = "refused by this passdb, which is a deny list"
		}
		list = append(list, h)
	}
	return list, nil
}

// label tells a passdb from the others: by its name, and its number among all of them where the name is not its alone.
func (s *Service) label(p *passdb) string {
	for _, other := range s.normal {
		if other != p && other.name() == p.name() {
			return fmt.Sprintf("%s (%d)", p.name(), p.number)
		}
	}
	return p.name()
}

// describe looks at what a database has given.
func (a *attempt) describe(h *Holding, p *passdb) {
	_, verifies := p.DB.(Verifier)
	switch {
	case a.r.Pass.Has("nopassword"):
		h.Any, h.Weak = true, true
		return
	case !a.password.known && verifies:
		h.Elsewhere = true
		return
	case !a.password.known:
		h.Why = "no password"
		return
	}
	h.Kind = scheme.KindOf(a.password.text)
	told := scheme.Tell(a.password.text)
	h.Weak = told.Weak
	password, err := scheme.Parse(a.password.text, "")
	switch {
	case err != nil:
		h.Why = err.Error()
	case password.Weak() != "" && !a.s.o.AllowWeak:
		h.Why = "refused as a weak scheme, unless auth_allow_weak_schemes is set"
	case !told.Weak:
		h.Why = told.Why
	}
}

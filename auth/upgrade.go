package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"dovetail/auth/scheme"
)

// upgrade stores a password anew as the field upgrade_scheme says (scheme.ParseTarget: "BLF-CRYPT:10"), when it was
// right and is stored in another scheme, or in the same with a lower cost. It happens only here that the password is
// known in clear. What fails is logged and does not matter to the login: the next one tries again. The field never
// leaves the service. A database that was not asked for the password, or that has given the user another name, is not
// written; nor is one whose answer came from the cache, which may be old.
func (a *attempt) upgrade(ctx context.Context, p *passdb) {
	field := a.r.Pass.Value("upgrade_scheme")
	if field == "" || a.verified || a.changed || !a.password.fresh || a.r.Password == "" || a.r.Pass.Has("nopassword") {
		return
	}
	target, err := scheme.ParseTarget(field)
	if err == nil && target.Reached(a.password.text) {
		return
	}
	if err == nil {
		err = a.store(ctx, p, target)
	}
	have := scheme.KindOf(a.password.text)
	switch {
	case err == nil:
		a.s.FlushCache(a.translated)
		a.s.log.Info(fmt.Sprintf("%s(%s): Password is stored anew, from %s to %s", p.name(), a.identifier(), have, target))
	case errors.Is(err, ErrChanged): // mostly by another login of the same user
		a.logf(slog.LevelInfo, p.name(), "Password is not stored anew: %v", err)
	case target == scheme.Target{} || errors.Is(err, ErrNoSet):
		// The configuration would have to change: once is enough.
		if p.warned.CompareAndSwap(false, true) {
			a.logf(slog.LevelWarn, p.name(), "upgrade_scheme=%s has no effect: %v", sanitize(field, 64), err)
		}
	default:
		a.logf(slog.LevelError, p.name(), "Password is not stored anew, from %s to %s: %v", have, target, err)
	}
}

// store makes a new hash and puts it in the place of the old one, once it is sure that the user can log in with it.
func (a *attempt) store(ctx context.Context, p *passdb, target scheme.Target) error {
	db, ok := p.DB.(Setter)
	switch {
	case !ok:
		return ErrNoSet
	case a.password.bare:
		return fmt.Errorf("%w: a {SCHEME} in password_noscheme is not one", ErrNoSet)
	}
	if err := a.s.hashes.turns.take(ctx, a.r.Remote.Addr()); err != nil {
		return err
	}
	made, err := target.Make(a.r.User, a.r.Password)
	right := false
	if err == nil {
		right, err = scheme.Verify(made, "", a.original, a.r.Password, a.s.o.AllowWeak)
	}
	a.s.hashes.turns.give()
	switch {
	case err != nil:
		return err
	case !right: // DIGEST-MD5 has the name in it
		return fmt.Errorf("%s would not fit the name as it was given", target)
	}
	return db.Set(ctx, &a.r, a.password.raw, made)
}

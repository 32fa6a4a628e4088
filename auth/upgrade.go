package auth

import (
	"context"
	"log/slog"
	"strings"

	"dovetail/auth/scheme"
)

// upgrade stores a password anew in the scheme that the field upgrade_scheme names, when it was right and is stored in
// another one. It happens only here that the password is known in clear. What fails is logged and does not matter to
// the login: the next one tries again. The field never leaves the service. A database that was not asked for the
// password, or that has given the user another name, is not written.
func (a *attempt) upgrade(ctx context.Context, p *passdb) {
	want := strings.ToUpper(a.r.Pass.Value("upgrade_scheme"))
	if want == "" || a.verified || a.changed || !a.password.known || a.r.Password == "" || a.r.Pass.Has("nopassword") {
		return
	}
	text := a.password.text
	if name, value := scheme.Cut(text, p.Scheme); !strings.HasPrefix(text, "{") {
		text = "{" + name + "}" + value
	}
	have := scheme.Tell(text).Name
	if base, _, _ := strings.Cut(want, "."); have == want || have == base {
		return
	}
	db, ok := p.DB.(Setter)
	if !ok {
		a.logf(slog.LevelWarn, p.name(), "upgrade_scheme=%s: this database cannot be written", want)
		return
	}
	made, err := scheme.Make(want, a.r.User, a.r.Password, scheme.MakeOptions{})
	if err == nil {
		err = db.Set(ctx, &a.r, made)
	}
	if err != nil {
		a.logf(slog.LevelError, p.name(), "Password is not stored anew, from %s to %s: %v", have, want, err)
		return
	}
	a.s.FlushCache(a.r.User)
	a.s.log.Info(p.name() + "(" + a.identifier() + "): Password is stored anew, from " + have + " to " + want)
}

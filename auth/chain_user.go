package auth

import (
	"context"
	"errors"
	"log/slog"
)

// Prefetch is the userdb that gives what the passdb of the same login gave in fields userdb_X. Where there was no
// login, or none of these fields, it does not know the user, and another userdb has to.
type Prefetch struct{}

func (Prefetch) Find(_ context.Context, _ *Request) (Fields, error) { return nil, ErrUnknown }

// lookup runs the chain of userdbs (Dovecot 2.3.19, src/auth/auth-request.c auth_request_userdb_callback).
func (a *attempt) lookup(ctx context.Context) result {
	a.userLookup = true
	if len(a.s.users) == 0 {
		return isOK
	}
	seenInternal := false
	a.keep()
	for i := 0; ; {
		u := a.s.users[i]
		a.r.Number = u.number
		a.changed = false
		answer, cached := a.lookupAt(ctx, u)
		rule := u.Failure
		switch answer {
		case isOK:
			rule = u.Success
		case isInternal:
			rule = u.InternalFailure
		}
		goesOn := false
		switch rule {
		case ReturnOK, ContinueOK:
			a.found, goesOn = true, rule == ContinueOK
		case ReturnFail, ContinueFail:
			a.found, goesOn = false, rule == ContinueFail
		case Continue:
			goesOn = true
		}
		next := i + 1
		for next < len(a.s.users) && a.skipsUser(a.s.users[next]) {
			next++
		}
		if !goesOn || next == len(a.s.users) {
			return a.userOutcome(u, answer, cached, seenInternal)
		}
		seenInternal = seenInternal || answer == isInternal
		if answer == isOK {
			if err := a.lastFields(u); err != nil {
				a.logf(slog.LevelError, u.name(), "Failed to expand override_fields: %v", err)
				return isInternal
			}
			a.keep()
		} else {
			a.r.Found = a.kept.found
		}
		i = next
	}
}

func (a *attempt) skipsUser(u *userdb) bool {
	return u.Skip == SkipFound && a.found || u.Skip == SkipNotFound && !a.found
}

// userOutcome is the result of the chain when the last answer was this.
func (a *attempt) userOutcome(u *userdb, answer result, cached, seenInternal bool) result {
	final := isUnknown
	switch {
	case a.found:
		final = isOK
		if err := a.lastFields(u); err != nil {
			a.logf(slog.LevelError, u.name(), "Failed to expand override_fields: %v", err)
			final = isInternal
		}
	case seenInternal || answer == isInternal:
		final = isInternal
	case a.finished && len(a.s.users) == 1:
		a.logf(slog.LevelError, u.name(), "user not found from userdb")
	case a.finished:
		a.logf(slog.LevelError, a.speaker(), "user not found from any userdbs")
	}
	switch {
	case a.tempFailed:
		return isInternal
	case final != isInternal && !cached:
		a.rememberUser(u, final)
	case final == isInternal:
		if old, ok := a.cachedUser(u, true); ok {
			a.logf(slog.LevelInfo, u.name(), "Falling back to expired data from cache")
			return old
		}
	}
	return final
}

// lookupAt asks one userdb.
func (a *attempt) lookupAt(ctx context.Context, u *userdb) (answer result, cached bool) {
	if !a.started {
		a.startFound()
	} else if err := a.setUserTemplates(u, u.Defaults, nil); err != nil {
		a.logf(slog.LevelError, u.name(), "Failed to expand default_fields: %v", err)
		return isInternal, false
	}
	if old, ok := a.cachedUser(u, false); ok {
		return old, true
	}
	return a.askUser(ctx, u), false
}

// startFound makes room for fields of userdbs; the first userdb's default fields are there from the beginning.
func (a *attempt) startFound() {
	if a.started {
		return
	}
	a.started = true
	if len(a.s.users) == 0 {
		return
	}
	if u := a.s.users[0]; len(u.Defaults) > 0 {
		if err := a.setUserTemplates(u, u.Defaults, nil); err != nil {
			a.logf(slog.LevelError, u.name(), "Failed to expand default_fields: %v", err)
			a.tempFailed = true
		}
	}
}

// askUser asks the database itself.
func (a *attempt) askUser(ctx context.Context, u *userdb) result {
	if _, ok := u.DB.(Prefetch); ok {
		return a.prefetched(u)
	}
	if u.AskPass && !a.finished {
		if answer := a.exists(ctx, u); answer != isOK {
			return answer
		}
	}
	fields, err := u.DB.Find(ctx, &a.r)
	if err != nil {
		return a.explainUser(u, err)
	}
	if u.ImportAll {
		for _, f := range fields {
			a.setUser(u.name(), f.Key, f.Value)
		}
	}
	if !u.FieldsFirst {
		return isOK
	}
	if err := a.setUserTemplates(u, u.Fields, fields); err != nil {
		a.logf(slog.LevelError, u.name(), "Failed to expand fields: %v", err)
		return isInternal
	}
	return isOK
}

func (a *attempt) prefetched(u *userdb) result {
	switch {
	case a.prefetch:
		return isOK
	case len(a.s.users) > 1:
		a.logf(slog.LevelDebug, u.name(), "passdb didn't return userdb entries, trying the next userdb")
		return isUnknown
	}
	a.logf(slog.LevelError, u.name(), "userdb lookup not possible with only userdb prefetch")
	return isInternal
}

// exists asks the passdbs whether there is such a user at all.
func (a *attempt) exists(ctx context.Context, u *userdb) result {
	if len(a.s.normal) == 0 {
		a.logf(slog.LevelError, u.name(), "passdb doesn't support lookups, can't verify user's existence")
		return isInternal
	}
	asked := &attempt{s: a.s, r: a.r, chain: a.s.normal, named: true, original: a.original, translated: a.translated}
	asked.r.Pass, asked.r.Found = nil, nil
	switch asked.find(ctx, "") {
	case isOK:
		a.r.User, a.changed = asked.r.User, a.changed || asked.r.User != a.r.User
		a.r.Pass = asked.r.Pass
		for _, f := range asked.r.Found {
			a.r.Found = a.r.Found.Set(f.Key, f.Value)
		}
		return isOK
	case isUnknown, isDisabled, isExpired:
		return isUnknown
	case isNoScheme:
		a.logf(slog.LevelError, u.name(), "passdb doesn't support lookups, can't verify user's existence")
	}
	return isInternal
}

// explainUser writes down why a userdb has no answer and gives the result that this is.
func (a *attempt) explainUser(u *userdb, err error) result {
	level, answer := slog.LevelInfo, isUnknown
	if !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrDisabled) && !errors.Is(err, ErrExpired) && !errors.Is(err, ErrMismatch) {
		level, answer = slog.LevelError, isInternal
	}
	if r, ok := errors.AsType[*Refusal](err); ok {
		level = r.Level
	}
	a.logf(level, u.name(), "%v", err)
	return answer
}

// lastFields sets the fields of the configuration that come when the chain is done with a userdb.
func (a *attempt) lastFields(u *userdb) error {
	if u.FieldsFirst {
		return nil
	}
	return a.setUserTemplates(u, u.Fields, nil)
}

// setUserTemplates sets the fields that the configuration has for a userdb.
func (a *attempt) setUserTemplates(u *userdb, list []FieldTemplate, given Fields) error {
	for _, t := range list {
		value, err := a.expand(t.Value, u.Driver, given)
		if err != nil {
			return err
		}
		a.setUser(u.name(), t.Key, value)
	}
	return nil
}

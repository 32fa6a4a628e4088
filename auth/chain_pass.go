package auth

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
)

// maxAsked is how many answers of passdbs one login may need.
const maxAsked = 1000

// verify runs a password through the chain of passdbs.
func (a *attempt) verify(ctx context.Context, password string) result {
	a.r.Password = password
	if strings.ContainsAny(password, "\x00\x01\t\r\n") {
		a.logf(slog.LevelInfo, a.speaker(), "Attempted login with password having illegal chars")
		return isUnknown
	}
	if len(password) > maxPassword {
		a.logf(slog.LevelInfo, a.speaker(), "Attempted login with password longer than %d bytes", maxPassword)
		return isUnknown
	}
	return a.walk(func(p *passdb) result { return a.verifyAt(ctx, p) })
}

// find runs the chain without a password. scheme is what a mechanism needs; "" takes anything, also none.
func (a *attempt) find(ctx context.Context, scheme string) result {
	return a.walk(func(p *passdb) result { return a.findAt(ctx, p, scheme) })
}

// walk asks one passdb after the other until one ends it.
func (a *attempt) walk(ask func(*passdb) result) result {
	for {
		for a.at < len(a.chain) && a.skips(a.chain[a.at]) {
			a.at++
		}
		if a.at >= len(a.chain) {
			a.logf(slog.LevelError, a.speaker(), "All password databases were skipped")
			return isInternal
		}
		p := a.chain[a.at]
		if a.asked++; a.asked > maxAsked {
			a.logf(slog.LevelError, p.name(), "login_user leads from one user to the next without an end")
			return isInternal
		}
		a.r.Number = p.number
		a.changed = false
		answer := ask(p)
		if final, end := a.conclude(p, answer); end {
			return final
		}
	}
}

// skips tells whether a passdb has no say in this request, as it is now.
func (a *attempt) skips(p *passdb) bool {
	if !acceptsMechanism(p.Mechanisms, a.r.Mechanism) {
		a.logf(slog.LevelDebug, a.speaker(), "skipping passdb: mechanism filtered")
		return true
	}
	if !acceptsName(p.UsernameFilter, a.r.User) {
		a.logf(slog.LevelDebug, a.speaker(), "skipping passdb: username filtered")
		return true
	}
	return p.Skip == SkipAuthenticated && a.verified || p.Skip == SkipUnauthenticated && !a.verified
}

func acceptsMechanism(list []string, mechanism string) bool {
	if mechanism == "" {
		mechanism = "none"
	}
	return len(list) == 0 || slices.ContainsFunc(list, func(m string) bool { return strings.EqualFold(m, mechanism) })
}

// acceptsName matches a name with wildcards: none that begins with "!" may fit, and one of the others must if there
// are any.
func acceptsName(filter []string, user string) bool {
	wanted, matched := false, false
	for _, pattern := range filter {
		pattern, refuses := strings.CutPrefix(pattern, "!")
		wanted = wanted || !refuses
		if !wildcard(user, pattern) {
			continue
		}
		if refuses {
			return false
		}
		matched = true
	}
	return matched || !wanted
}

// conclude is what the answer of a passdb means for the chain (Dovecot 2.3.19, src/auth/auth-request.c
// auth_request_handle_passdb_callback).
func (a *attempt) conclude(p *passdb, answer result) (final result, end bool) {
	if p.Deny && answer != isUnknown {
		// What is unsure about a list of whom to refuse must not let anybody in.
		if answer != isInternal {
			a.logf(slog.LevelInfo, p.name(), "User found from deny passdb")
			answer = isDisabled
		}
		return answer, true
	}
	if a.refused {
		a.refused = false
		if answer == isOK {
			answer = isUnknown
		}
	}
	rule := p.Failure
	switch answer {
	case isDisabled, isExpired:
		return answer, true
	case isOK:
		rule = p.Success
	case isInternal:
		rule = p.InternalFailure
	case isNext:
		a.logf(slog.LevelDebug, p.name(), "Not performing authentication (noauthenticate set)")
		rule = Continue
	}
	goesOn := a.apply(rule, answer)
	a.r.Pass = a.r.Pass.Without("nopassword", "noauthenticate")
	next := a.at + 1
	if a.r.LoginUser != "" && answer == isOK {
		a.masterKnown(p)
		a.chain, next = a.s.normal, 0
	}
	for next < len(a.chain) && a.skips(a.chain[next]) {
		next++
	}
	a.keepOrRollBack(answer)
	if goesOn && next < len(a.chain) {
		a.at, a.password = next, stored{}
		a.seenUnknown = a.seenUnknown || answer == isUnknown
		a.seenInternal = a.seenInternal || answer == isInternal
		return 0, false
	}
	return a.outcome(p, answer), true
}

// apply follows a rule and tells whether the chain goes on.
func (a *attempt) apply(rule Rule, answer result) (goesOn bool) {
	switch rule {
	case ReturnOK:
		a.success = true
	case ReturnFail:
		a.success = false
	case Continue:
		a.verified = a.verified || answer == isOK
		return true
	case ContinueOK:
		a.success, a.verified = true, true
		return true
	case ContinueFail:
		a.success = false
		return true
	}
	return false
}

// outcome is the result of the chain when the last answer was this.
func (a *attempt) outcome(p *passdb, answer result) result {
	switch {
	case answer == isNext:
		a.logf(slog.LevelError, p.name(), "Last passdb had noauthenticate field, cannot authenticate user")
		return isInternal
	case a.success:
		return isOK
	case a.seenInternal:
		// One that did not answer may have had the right password.
		return isInternal
	}
	return answer
}

// masterKnown goes over to the user whom the master user wants to be.
func (a *attempt) masterKnown(p *passdb) {
	a.logf(slog.LevelInfo, p.name(), "Master user logging in as %s", sanitize(a.r.LoginUser, 64))
	a.r.MasterUser, a.r.AuthUser = a.r.User, a.r.User
	a.r.User, a.translated, a.r.LoginUser = a.r.LoginUser, a.r.LoginUser, ""
}

// keepOrRollBack keeps the fields of a database that has accepted, and takes back those of one that has not.
func (a *attempt) keepOrRollBack(answer result) {
	if answer == isOK || answer == isNext {
		a.keep()
		return
	}
	a.r.Pass, a.r.Found, a.prefetch = a.kept.pass, a.kept.found, a.kept.prefetch
}

func (a *attempt) keep() {
	a.kept.pass, a.kept.found, a.kept.prefetch = a.r.Pass, a.r.Found, a.prefetch
}

// verifyAt asks one passdb whether the password is right.
func (a *attempt) verifyAt(ctx context.Context, p *passdb) result {
	answer, hit := a.cachedVerify(ctx, p, false)
	if !hit {
		answer = a.fieldsOnly(a.askVerify(ctx, p))
		if answer == isInternal {
			if old, ok := a.cachedVerify(ctx, p, true); ok {
				a.logf(slog.LevelInfo, p.name(), "Falling back to expired data from cache")
				answer = old
			}
		} else {
			a.remember(p, answer)
		}
	}
	return a.after(p, answer)
}

// findAt asks one passdb what it knows of a user.
func (a *attempt) findAt(ctx context.Context, p *passdb, scheme string) result {
	answer, hit := a.cachedFind(p, scheme, false)
	if !hit {
		answer = a.fieldsOnly(a.askFind(ctx, p))
		if answer == isInternal {
			if old, ok := a.cachedFind(p, scheme, true); ok {
				a.logf(slog.LevelInfo, p.name(), "Falling back to expired data from cache")
				answer = old
			}
		} else {
			a.remember(p, answer)
		}
	}
	if answer == isOK {
		answer = a.suits(p, scheme)
	}
	return a.after(p, answer)
}

// fieldsOnly makes of an acceptance what the field noauthenticate says that it is.
func (a *attempt) fieldsOnly(answer result) result {
	if answer == isOK && a.r.Pass.Has("noauthenticate") {
		return isNext
	}
	return answer
}

// after sets the fields of the configuration that come last, whatever the answer was.
func (a *attempt) after(p *passdb, answer result) result {
	if p.FieldsFirst {
		return answer
	}
	if err := a.setTemplates(p, p.Fields, nil); err != nil {
		a.logf(slog.LevelError, p.name(), "Failed to expand override_fields: %v", err)
		return isInternal
	}
	return answer
}

// askVerify asks the database itself: whether the password is right if it can tell, else for what is stored.
func (a *attempt) askVerify(ctx context.Context, p *passdb) result {
	if err := a.setTemplates(p, p.Defaults, nil); err != nil {
		a.logf(slog.LevelError, p.name(), "Failed to expand default_fields: %v", err)
		return isInternal
	}
	v, canVerify := p.DB.(Verifier)
	// Of a user whose password was right already, and of one who is to be refused, only the fields matter.
	fieldsOnly := p.Deny || a.verified
	if canVerify && !fieldsOnly {
		fields, err := v.Verify(ctx, &a.r, a.r.Password)
		if !errors.Is(err, ErrNotVerified) {
			return a.takePass(p, fields, err)
		}
	}
	fields, err := p.DB.Find(ctx, &a.r)
	if canVerify && fieldsOnly && errors.Is(err, ErrNoFind) {
		fields, err = v.Verify(ctx, &a.r, a.r.Password)
	}
	answer := a.takePass(p, fields, err)
	if answer == isUnknown && !fieldsOnly {
		a.decoy(ctx, p)
	}
	if answer != isOK || fieldsOnly {
		return answer
	}
	return a.check(ctx, p)
}

// askFind asks the database itself for what is stored.
func (a *attempt) askFind(ctx context.Context, p *passdb) result {
	if err := a.setTemplates(p, p.Defaults, nil); err != nil {
		a.logf(slog.LevelError, p.name(), "Failed to expand default_fields: %v", err)
		return isInternal
	}
	fields, err := p.DB.Find(ctx, &a.r)
	if errors.Is(err, ErrNoFind) {
		a.logf(slog.LevelDebug, p.name(), "%v", ErrNoFind)
		return isNoScheme
	}
	return a.takePass(p, fields, err)
}

// takePass takes over what a database gave.
func (a *attempt) takePass(p *passdb, fields Fields, err error) result {
	if err != nil {
		a.reason = fields.Value("reason")
		a.noDelay = a.noDelay || fields.Has("nodelay")
		return a.explain(p, err)
	}
	if p.ImportAll {
		if a.password.known && (fields.Has("password") || fields.Has("password_noscheme")) {
			a.logf(slog.LevelError, p.name(), "Multiple password values not supported")
			a.password = stored{} // what the database has decides
		}
		for _, f := range fields {
			a.setPass(p, f.Key, f.Value)
		}
	}
	if p.FieldsFirst {
		if err := a.setTemplates(p, p.Fields, fields); err != nil {
			a.logf(slog.LevelError, p.name(), "Failed to expand fields: %v", err)
			return isInternal
		}
	}
	return isOK
}

// explain writes down why a database refused and gives the result that this is.
func (a *attempt) explain(p *passdb, err error) result {
	level, answer := slog.LevelInfo, isInternal
	switch {
	case errors.Is(err, ErrUnknown):
		answer = isUnknown
	case errors.Is(err, ErrMismatch):
		answer = isMismatch
	case errors.Is(err, ErrDisabled):
		answer = isDisabled
	case errors.Is(err, ErrExpired):
		answer = isExpired
	case errors.Is(err, context.Canceled):
		level = slog.LevelDebug // the client has gone
	default:
		level = slog.LevelError
	}
	if r, ok := errors.AsType[*Refusal](err); ok {
		level = r.Level
	}
	if level == slog.LevelInfo {
		a.logFailure(p, err.Error())
	} else {
		a.logf(level, p.name(), "%v", err)
	}
	return answer
}

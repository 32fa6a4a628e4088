package auth

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// ErrTemporary is what lookups give when a database does not answer; the log says why.
var ErrTemporary = errors.New("temporary failure")

// Login checks a password that was given in clear: IMAP LOGIN, POP3 USER and PASS. r has what is known of the client;
// its Mechanism is PLAIN if there is none. It waits as Exchange.Step does.
func (s *Service) Login(ctx context.Context, r Request, user, password string) *Reply {
	s = s.of(r.Service)
	if r.Mechanism == "" {
		r.Mechanism = "PLAIN"
	}
	a := s.newAttempt(r)
	s.penalise(ctx, a)
	answer := isUnknown
	if reply := s.certificate(a); reply != nil {
		return reply
	}
	if err := a.setName(user); err != nil {
		a.logf(slog.LevelInfo, a.speaker(), "%v", err)
	} else {
		answer = a.policed(ctx, func() result { return a.verify(ctx, password) })
	}
	a.r.Password = password
	return s.finish(ctx, a, answer, nil)
}

// certificate refuses clients without one where one is required.
func (s *Service) certificate(a *attempt) *Reply {
	text := ""
	switch {
	case s.o.RequireCert && !a.r.ValidCert:
		text = "Client didn't present valid SSL certificate"
	case s.o.RequireCert && s.o.UsernameFromCert && a.r.CertUser == "":
		text = "SSL certificate didn't contain username"
	default:
		return nil
	}
	a.logf(slog.LevelInfo, a.speaker(), "%s", text)
	return &Reply{Reason: text, Request: a.public()}
}

// penalise makes the client wait for what was wrong before.
func (s *Service) penalise(ctx context.Context, a *attempt) {
	if a.penalised() {
		sleep(ctx, s.o.Penalty.Wait(a.r.Remote.Addr().Unmap()))
	}
}

// penalised tells whether wrong passwords slow down the client.
func (a *attempt) penalised() bool {
	return a.s.o.Penalty != nil && !a.r.NoPenalty && !a.r.Trusted && a.r.Remote.IsValid()
}

// policed asks the policy before the databases are.
func (a *attempt) policed(ctx context.Context, ask func() result) result {
	if a.s.o.Policy != nil && !a.policyProcessed {
		a.policyProcessed = true
		v := a.s.o.Policy.Before(ctx, &a.r)
		if v.Refuse {
			a.policyRefused, a.policyReason = true, v.Reason
			return isMismatch
		}
		if !a.r.NoPenalty {
			sleep(ctx, v.Wait)
		}
	}
	return ask()
}

// finish makes the reply of a login and waits until it may be told.
func (s *Service) finish(ctx context.Context, a *attempt, answer result, final []byte) *Reply {
	if answer == isOK && a.success && s.o.Policy != nil {
		if v := s.o.Policy.After(ctx, &a.r); v.Refuse {
			a.policyRefused, a.policyReason = true, v.Reason
			answer = isMismatch
		}
	}
	switch {
	case answer == isOK && ctx.Err() != nil:
		answer = isInternal
	case answer == isOK && !a.success:
		answer = isMismatch // right, but a rule says that this is not enough
	}
	a.result = answer
	if s.o.Policy != nil {
		s.o.Policy.Report(ctx, &a.r, answer == isOK, a.policyRefused)
	}
	if answer != isOK {
		return s.refuse(ctx, a)
	}
	if err := a.proxy(ctx); err != nil {
		a.logf(slog.LevelError, "proxy", "%v", err)
		a.result = isInternal
		return s.refuse(ctx, a)
	}
	sleep(ctx, time.Until(a.delayUntil))
	if a.penalised() {
		s.o.Penalty.Succeeded(a.r.Remote.Addr().Unmap())
	}
	a.finished = true
	return a.accepted(final, false)
}

// refuse makes the reply of a failure and waits.
func (s *Service) refuse(ctx context.Context, a *attempt) *Reply {
	reply := &Reply{Code: a.code(), User: a.r.User, OriginalUser: a.original, AuthUser: a.r.MasterUser, Request: a.public(), Reason: a.reason}
	if reply.User == "" {
		reply.User = a.original
	}
	a.noProxy()
	for _, f := range a.r.Pass.Without("nologin") {
		if !hidden(f.Key) {
			reply.Fields = append(reply.Fields, f)
		}
	}
	reply.Fields = a.names(reply.Fields)
	if reason, ok := reply.Fields.Get("reason"); ok {
		reply.Reason = reason
	}
	if a.policyReason != "" {
		reply.Reason = a.policyReason
	}
	if a.result == isExpired && reply.Reason == "" {
		reply.Reason = "Password expired"
	}
	if a.result == isInternal {
		// A database that is down is not the client's mistake.
		s.delays.waitRandom(ctx, s.o.InternalFailureDelay)
		return reply
	}
	if a.noDelay {
		return reply
	}
	if a.penalised() {
		s.o.Penalty.Failed(a.r.Remote.Addr().Unmap(), a.r.User, a.r.Password)
	}
	s.delays.wait(ctx, s.o.FailureDelay)
	return reply
}

// code is what the client is told of why.
func (a *attempt) code() Code {
	switch {
	case a.result == isInternal:
		return CodeTempFail
	case a.r.MasterUser != "":
		return CodeAuthzFail
	case a.result == isDisabled:
		return CodeUserDisabled
	case a.result == isExpired:
		return CodePassExpired
	}
	return CodeNone
}

// names adds to the fields which names there are beside the user's.
func (a *attempt) names(fields Fields) Fields {
	if a.named && (a.original != a.r.User || a.original == "") && !fields.Has("original_user") {
		fields = fields.Set("original_user", a.original)
	}
	if a.r.MasterUser != "" && !fields.Has("auth_user") {
		fields = fields.Set("auth_user", a.r.MasterUser)
	}
	if a.s.o.Anonymous != "" && a.r.User == a.s.o.Anonymous {
		fields = fields.Set("anonymous", "")
	}
	return fields
}

// accepted makes the reply of a success.
func (a *attempt) accepted(final []byte, lookup bool) *Reply {
	reply := &Reply{OK: true, User: a.r.User, OriginalUser: a.original, AuthUser: a.r.MasterUser, Final: final, Reason: a.r.Pass.Value("reason"), done: a}
	for _, f := range a.r.Pass {
		if hidden(f.Key) {
			continue
		}
		if f.Key == "nologin" || f.Key == "proxy" {
			f.Value = "" // there or not there
		}
		reply.Fields = append(reply.Fields, f)
	}
	if lookup {
		reply.Request = a.public()
		return reply
	}
	reply.Fields = a.names(reply.Fields)
	if reply.Fields.Has("proxy") && !a.r.AuthOnly {
		if !reply.Fields.Has("pass") && a.r.Password != "" {
			reply.Fields = reply.Fields.Set("pass", a.r.Password)
		}
		if a.r.MasterUser != "" && !reply.Fields.Has("master") {
			reply.Fields = reply.Fields.Set("master", a.r.MasterUser)
		}
	}
	a.r.Password = ""
	reply.Request = a.public()
	return reply
}

// public is the request without its secrets.
func (a *attempt) public() Request {
	r := a.r
	r.Password = ""
	return r
}

// Lookup asks the passdbs for a user without a password: is there one, and which fields. The reply's OK is true then.
// ErrUnknown and ErrTemporary are the errors.
func (s *Service) Lookup(ctx context.Context, r Request, user string) (*Reply, error) {
	s = s.of(r.Service)
	r.Mechanism = ""
	a := s.newAttempt(r)
	if err := a.setName(user); err != nil {
		a.logf(slog.LevelInfo, a.speaker(), "%v", err)
		return nil, ErrUnknown
	}
	switch a.find(ctx, "") {
	case isOK:
		return a.accepted(nil, true), nil
	case isUnknown, isMismatch, isDisabled, isExpired:
		return nil, ErrUnknown
	}
	return nil, ErrTemporary
}

// User asks the userdbs. ErrUnknown and ErrTemporary are the errors.
func (s *Service) User(ctx context.Context, r Request, user string) (*User, error) {
	s = s.of(r.Service)
	a := s.newAttempt(r)
	a.userLookup = true
	if err := a.setName(user); err != nil {
		a.logf(slog.LevelInfo, "userdb", "%v", err)
		return nil, ErrUnknown
	}
	return a.lookupUser(ctx)
}

// Finish asks the userdbs for who has logged in. What the passdb gave for userdb prefetch is known then. A user who
// can log in and is in no userdb is an error: the log says so.
func (s *Service) Finish(ctx context.Context, reply *Reply) (*User, error) {
	if reply == nil || !reply.OK || reply.done == nil {
		return nil, errors.New("userdb lookup for a login that has not succeeded")
	}
	a := *reply.done
	return a.lookupUser(ctx)
}

func (a *attempt) lookupUser(ctx context.Context) (*User, error) {
	answer := a.lookup(ctx)
	switch {
	case a.tempFailed || answer == isInternal:
		return nil, ErrTemporary
	case answer != isOK:
		return nil, ErrUnknown
	}
	u, err := a.user(ctx)
	if err != nil {
		a.logf(slog.LevelError, "userdb", "%v", err)
		return nil, ErrTemporary
	}
	return u, nil
}

// Users gives the names that the userdbs have, database after database, those that fit one of the masks ("*" and "?")
// if there are any. A database that fails gives an error, and the next one follows. ErrNoList: none of them can.
func (s *Service) Users(ctx context.Context, r Request, mask ...string) iter.Seq2[string, error] {
	s = s.of(r.Service)
	return func(yield func(string, error) bool) {
		listed := false
		for _, u := range s.users {
			l, ok := u.DB.(Lister)
			if !ok {
				continue
			}
			listed = true
			a := s.newAttempt(r)
			a.r.Number = u.number
			for name, err := range l.Users(ctx, &a.r) {
				if err == nil && !fits(name, mask) {
					continue
				}
				if !yield(name, err) {
					return
				}
				if err != nil {
					break
				}
			}
		}
		if !listed {
			s.log.Error(ErrNoList.Error())
			yield("", ErrNoList)
		}
	}
}

func fits(name string, masks []string) bool {
	return len(masks) == 0 || slices.ContainsFunc(masks, func(mask string) bool { return wildcard(name, mask) })
}

// wildcard matches a whole text with "*" and "?", upper and lower case being different.
func wildcard(text, pattern string) bool {
	for pattern != "" {
		switch {
		case pattern[0] == '*':
			pattern = strings.TrimLeft(pattern, "*")
			if pattern == "" {
				return true
			}
			for i := range len(text) + 1 {
				if wildcard(text[i:], pattern) {
					return true
				}
			}
			return false
		case text == "" || pattern[0] != '?' && pattern[0] != text[0]:
			return false
		}
		text, pattern = text[1:], pattern[1:]
	}
	return text == ""
}

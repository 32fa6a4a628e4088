package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"dovetail/auth/sasl"
	"dovetail/auth/scheme"
)

// Exchange is one conversation of a mechanism. It is for one goroutine.
type Exchange struct {
	s      *Service
	a      *attempt
	server sasl.Server
	begun  bool
	result result // that the databases gave
}

// Mechanisms gives the mechanisms that are offered, in the order of the options, with their security flags. Those that
// need data of a TLS channel (Binding) and those that are not for lists (Private) are among them.
func (s *Service) Mechanisms() []sasl.Info {
	var list []sasl.Info
	for _, name := range s.o.Mechanisms {
		if info, ok := sasl.Lookup(name); ok {
			list = append(list, info)
		}
	}
	return list
}

// Begin starts a conversation. ErrMechanism: it is not offered. r has what is known of the client, and in Bindings,
// PlusOffered and OwnChallenge what some mechanisms need of the connection.
func (s *Service) Begin(r Request, mechanism string) (*Exchange, error) {
	s = s.of(r.Service)
	_, known := sasl.Lookup(mechanism)
	if !known || !slices.ContainsFunc(s.o.Mechanisms, func(name string) bool { return strings.EqualFold(name, mechanism) }) {
		return nil, fmt.Errorf("%w %q", ErrMechanism, sanitize(mechanism, 64))
	}
	r.Mechanism = mechanism
	x := &Exchange{s: s, a: s.newAttempt(r), result: isMismatch}
	c := sasl.Config{HostName: s.o.ServerName, Realms: s.o.Realms, OwnChallenge: r.OwnChallenge, Bindings: r.Bindings,
		PlusOffered: r.PlusOffered, Secret: s.hashes.secret[:], OpenIDConfiguration: s.o.OpenIDConfiguration}
	if r.ValidCert && s.o.UsernameFromCert { // else names in certificates mean nothing to the site
		c.External = r.CertUser
	}
	server, err := sasl.New(mechanism, backend{x}, c)
	if err != nil {
		return nil, err
	}
	x.server = server
	return x, nil
}

// Step takes the client's response, decoded; nil is none, as at the beginning when no initial response came. It gives
// the next challenge, or the end: done is not nil then. It waits out what earlier failures cost the address, and after
// a failure for its delay. When the context ends, so does the conversation, at once and without success.
func (x *Exchange) Step(ctx context.Context, response []byte) (challenge []byte, done *Reply) {
	if !x.begun {
		x.begun = true
		if reply := x.s.certificate(x.a); reply != nil {
			return nil, reply
		}
		x.s.penalise(ctx, x.a)
	}
	if ctx.Err() != nil {
		return nil, x.s.finish(ctx, x.a, isInternal, nil)
	}
	challenge, over, err := x.server.Next(ctx, response)
	switch {
	case err == nil && !over:
		return challenge, nil
	case err == nil:
		return nil, x.s.finish(ctx, x.a, isOK, challenge)
	}
	if mistake, ok := errors.AsType[*sasl.Error](err); ok {
		x.a.logf(slog.LevelInfo, x.a.speaker(), "%s", mistake.Text)
	} else if errors.Is(err, sasl.ErrMismatch) {
		x.a.logf(slog.LevelInfo, x.a.speaker(), "%v", ErrMismatch)
	}
	if x.result == isOK {
		x.result = isMismatch // the databases know the user, but his proof is wrong
	}
	return nil, x.s.finish(ctx, x.a, x.result, nil)
}

// backend is what a mechanism may ask of the exchange.
type backend struct{ *Exchange }

// named takes the names that the mechanism gives.
func (b backend) named(authcid, authzid string) error {
	err := b.a.setName(authcid)
	if err == nil && authzid != "" {
		err = b.a.setLogin(authzid)
	}
	if err != nil {
		b.result = isUnknown
		b.a.logf(slog.LevelInfo, b.a.speaker(), "%v", err)
		return sasl.ErrRefused
	}
	return nil
}

// answered makes an error for the mechanism of what the databases said.
func (b backend) answered(answer result) error {
	b.result = answer
	switch answer {
	case isOK:
		return nil
	case isInternal:
		return ErrTemporary
	}
	return sasl.ErrRefused
}

func (b backend) Verify(ctx context.Context, authcid, authzid, password string) error {
	b.a.r.Password = password
	if err := b.named(authcid, authzid); err != nil {
		return err
	}
	return b.answered(b.a.policed(ctx, func() result { return b.a.verify(ctx, password) }))
}

func (b backend) Credentials(ctx context.Context, authcid, authzid, name string) (sasl.Credentials, error) {
	none := sasl.Credentials{}
	if err := b.named(authcid, authzid); err != nil {
		return none, err
	}
	none.User = b.a.r.User
	if err := b.answered(b.a.policed(ctx, func() result { return b.a.find(ctx, name) })); err != nil {
		return none, err
	}
	have := b.a.password
	if !have.known {
		have = b.a.credentials
	}
	p, err := scheme.Parse(have.text, "PLAIN")
	if err == nil {
		p, err = credentials(p, name, b.a.original)
	}
	if err != nil {
		b.result = isNoScheme
		return none, sasl.ErrRefused
	}
	return sasl.Credentials{User: none.User, Scheme: p.Scheme, Raw: p.Raw}, nil
}

// Trust asks the databases with an empty password, as Dovecot does: they have to have the field nopassword.
func (b backend) Trust(ctx context.Context, authcid, authzid string) error {
	if err := b.named(authcid, authzid); err != nil {
		return err
	}
	return b.answered(b.a.policed(ctx, func() result { return b.a.verify(ctx, "") }))
}

func (b backend) Anonymous(_ context.Context, trace string) error {
	if b.s.o.Anonymous == "" {
		b.result = isUnknown
		b.a.logf(slog.LevelInfo, b.a.speaker(), "anonymous logins disabled")
		return sasl.ErrRefused
	}
	b.a.r.User, b.a.original = sanitize(trace, 255), b.s.o.Anonymous
	b.a.logf(slog.LevelInfo, b.a.speaker(), "anonymous login")
	b.a.r.User, b.a.r.Requested, b.a.translated = b.s.o.Anonymous, b.s.o.Anonymous, b.s.o.Anonymous
	b.a.success = true
	return b.answered(isOK)
}

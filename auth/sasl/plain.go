package sasl

import (
	"context"
	"strings"
)

// plain is RFC 4616: authzid NUL authcid NUL password.
type plain struct{ Backend }

func newPlain(b Backend, _ Config) Server { return plain{b} }

func (p plain) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	if response == nil {
		return []byte{}, false, nil
	}
	authzid, rest, _ := strings.Cut(string(response), "\x00")
	authcid, password, ok := strings.Cut(rest, "\x00")
	if !ok || authcid == "" || strings.IndexByte(password, 0) >= 0 {
		return nil, false, malformed("invalid input")
	}
	if authzid == authcid {
		authzid = ""
	}
	if err := p.Verify(ctx, authcid, authzid, password); err != nil {
		return nil, false, err
	}
	return nil, true, nil
}

// login is what was in use before PLAIN (draft-murchison-sasl-login): two questions. Clients do not read their words
// but some want exactly these. Dovecot takes a name as initial response, and asks again if that is empty.
type login struct {
	Backend
	name  string
	asked bool // for the name
	known bool
}

func newLogin(b Backend, _ Config) Server { return &login{Backend: b} }

func (l *login) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	switch {
	case !l.asked && len(response) == 0:
		l.asked = true
		return []byte("Username:"), false, nil
	case !l.known && len(response) == 0:
		return nil, false, malformed("Empty username")
	case !l.known:
		l.name, l.asked, l.known = string(response), true, true
		return []byte("Password:"), false, nil
	}
	if err := l.Verify(ctx, l.name, "", string(response)); err != nil {
		return nil, false, err
	}
	return nil, true, nil
}

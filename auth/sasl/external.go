package sasl

import (
	"context"
	"unicode"
	"unicode/utf8"
)

// external is RFC 4422 appendix A: the response is who the client wants to be, or nothing.
type external struct {
	Backend
	name string
}

func newExternal(b Backend, c Config) Server { return external{b, c.External} }

func (s external) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	if response == nil {
		return []byte{}, false, nil
	}
	if s.name == "" {
		return nil, false, malformed("username not known")
	}
	authzid := string(response)
	if authzid == s.name {
		authzid = ""
	}
	if err := s.Trust(ctx, s.name, authzid); err != nil {
		return nil, false, err
	}
	return nil, true, nil
}

// anonymous is RFC 4505: the response is an address or a word for the log, of 255 characters at most.
type anonymous struct{ Backend }

func newAnonymous(b Backend, _ Config) Server { return anonymous{b} }

func (s anonymous) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	if response == nil {
		return []byte{}, false, nil
	}
	if utf8.RuneCount(response) > 255 || !utf8.Valid(response) {
		return nil, false, malformed("invalid input")
	}
	for _, r := range string(response) {
		if unicode.IsControl(r) {
			return nil, false, malformed("invalid input")
		}
	}
	if err := s.Anonymous(ctx, string(response)); err != nil {
		return nil, false, err
	}
	return nil, true, nil
}

package sasl

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
)

// bearer is OAUTHBEARER (RFC 7628) and its forerunner XOAUTH2. A token that is refused is answered with an object of
// JSON, in place of a challenge, so that the client may see why; whatever it says to that, the conversation has failed.
type bearer struct {
	Backend
	parse   func(response string) (name, token string, err error)
	problem []member
	failed  error
}

type member struct{ key, value string }

// newOAuthBearer and newXOAuth2 tell of a refused token in the words of Dovecot 2.3 (src/auth/mech-oauth2.c).
func newOAuthBearer(b Backend, c Config) Server {
	return &bearer{Backend: b, parse: parseOAuthBearer, problem: problem(c, member{"status", "invalid_token"})}
}

func newXOAuth2(b Backend, c Config) Server {
	return &bearer{Backend: b, parse: parseXOAuth2,
		problem: problem(c, member{"status", "401"}, member{"schemes", "bearer"}, member{"scope", "mail"})}
}

func problem(c Config, members ...member) []member {
	if c.OpenIDConfiguration != "" {
		members = append(members, member{"openid-configuration", c.OpenIDConfiguration})
	}
	return members
}

func (s *bearer) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	if s.failed != nil {
		return nil, false, s.failed
	}
	if response == nil {
		return []byte{}, false, nil
	}
	name, token, err := s.parse(string(response))
	if err != nil {
		return nil, false, err
	}
	err = s.Verify(ctx, name, "", token)
	switch {
	case err == nil:
		return nil, true, nil
	case errors.Is(err, ErrRefused):
		s.failed = err
		return object(s.problem), false, nil
	}
	return nil, false, err
}

// object writes JSON with the members in their order.
func object(members []member) []byte {
	out := []byte("{")
	for i, m := range members {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, text(m.key)...), ':')
		out = append(out, text(m.value)...)
	}
	return append(out, '}')
}

func text(s string) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s) // a string is always written
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}

// parseXOAuth2 reads "user=NAME^Aauth=Bearer TOKEN^A^A".
func parseXOAuth2(response string) (name, token string, err error) {
	fields := strings.Split(response, "\x01")
	for _, f := range fields {
		if value, ok := strings.CutPrefix(f, "user="); ok {
			name = value
		}
	}
	if token, err = bearerToken(fields); err != nil {
		return "", "", err
	}
	if name == "" || token == "" {
		return "", "", malformed("Username or token missing")
	}
	return name, token, nil
}

// parseOAuthBearer reads "n,a=NAME,^Ahost=…^Aport=…^Aauth=Bearer TOKEN^A^A".
func parseOAuthBearer(response string) (name, token string, err error) {
	fields := strings.Split(response, "\x01")
	if fields[0] == "" {
		return "", "", malformed("Invalid continued data")
	}
	for _, part := range strings.Split(fields[0], ",") {
		switch {
		case part == "" || part == "n" || part == "y": // no channel binding
		case part[0] == 'f':
			return "", "", malformed("Client requested non-standard mechanism")
		case part[0] == 'p':
			return "", "", malformed("Client requested and used channel-binding")
		case part[0] == 'a':
			value, ok := strings.CutPrefix(part, "a=")
			if name, err = unescape(value); err != nil || !ok {
				return "", "", malformed("Invalid username escaping")
			}
		default:
			return "", "", malformed("Invalid gs2-header in request")
		}
	}
	if token, err = bearerToken(fields[1:]); err != nil {
		return "", "", err
	}
	if name == "" || token == "" {
		return "", "", malformed("Missing username or token")
	}
	return name, token, nil
}

// bearerToken finds "auth=Bearer TOKEN"; the word is in any case (RFC 6750 section 2.1).
func bearerToken(fields []string) (token string, err error) {
	for _, f := range fields {
		value, ok := strings.CutPrefix(f, "auth=")
		if !ok {
			continue
		}
		kind, rest, _ := strings.Cut(value, " ")
		if !strings.EqualFold(kind, "bearer") || !isToken(rest) {
			return "", malformed("Invalid continued data")
		}
		token = rest
	}
	return token, nil
}

// isToken tells whether a token goes through a header of HTTP unchanged (RFC 6750 section 2.1 allows still less).
func isToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}

var errEscape = errors.New("'=' is neither =2C nor =3D")

// unescape reads a saslname (RFC 5802 section 5.1), in which "," is =2C and "=" is =3D.
func unescape(s string) (string, error) {
	var out strings.Builder
	for {
		before, after, ok := strings.Cut(s, "=")
		out.WriteString(before)
		switch {
		case !ok:
			return out.String(), nil
		case strings.HasPrefix(after, "2C"):
			out.WriteByte(',')
		case strings.HasPrefix(after, "3D"):
			out.WriteByte('=')
		default:
			return "", errEscape
		}
		s = after[2:]
	}
}

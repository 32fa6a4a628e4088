package oauth2

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"dovetail/auth"
)

// algorithms are all that signatures are checked by. "none" is not one.
var algorithms = []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512, jose.RS256, jose.RS384, jose.RS512,
	jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}

// keySource finds the key for a token: of the party azp, for this algorithm and no other, with this id ("" if the token
// names none). Its errors are refusals where there is no such key.
type keySource interface {
	key(ctx context.Context, azp string, alg jose.SignatureAlgorithm, kid string) (any, error)
}

// validate checks a JSON web token and gives its claims, by the rules of Dovecot 2.3.19 (src/lib-oauth2/oauth2-jwt.c).
func (l *lookup) validate(ctx context.Context, token string) (map[string]string, error) {
	if strings.Count(token, ".") != 2 {
		return nil, refuse(auth.ErrMismatch, "Not a JWT token")
	}
	signed, err := jose.ParseSignedCompact(token, algorithms)
	if unexpected, ok := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); ok {
		return nil, refuse(auth.ErrMismatch, "Unsupported algorithm '%s'", printable(string(unexpected.Got)))
	}
	if err != nil {
		return nil, refuse(auth.ErrMismatch, "Not a JWT token")
	}
	header := signed.Signatures[0].Protected
	if err := checkType(header); err != nil {
		return nil, err
	}
	claims, err := flatten(signed.UnsafePayloadWithoutVerification(), false)
	if err != nil {
		return nil, refuse(auth.ErrMismatch, "the claims are not a JSON object")
	}
	if err := l.checkClaims(claims); err != nil {
		return nil, err
	}
	key, err := l.keys.key(ctx, claims["azp"], jose.SignatureAlgorithm(header.Algorithm), header.KeyID)
	if err != nil {
		return nil, err
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return nil, refuse(auth.ErrMismatch, "Bad signature")
	}
	return flatten(payload, true)
}

// checkType wants "JWT", or "at+jwt" of RFC 9068 section 4, or none, as 2.4 does; others are not for logins.
func checkType(h jose.Header) error {
	typ, _ := h.ExtraHeaders[jose.HeaderType].(string)
	kind := strings.TrimPrefix(strings.ToLower(typ), "application/")
	if kind != "jwt" && kind != "at+jwt" && kind != "" {
		return refuse(auth.ErrMismatch, "Cannot find 'typ' field")
	}
	if _, ok := h.ExtraHeaders["crit"]; ok { // RFC 7515 section 4.1.11: what is not understood
		return refuse(auth.ErrMismatch, "Critical header fields are not supported")
	}
	return nil
}

// checkClaims looks at all but the signature. These answers tell nothing to someone who made the token himself.
func (l *lookup) checkClaims(claims map[string]string) error {
	mismatch := func(text string) error { return refuse(auth.ErrMismatch, "%s", text) }
	if claims["sub"] == "" {
		return mismatch("Missing 'sub' field")
	}
	now := l.o.Now().Add(time.Second) // the issuer's clock may be a little ahead; 2.4 allows as much
	at := map[string]time.Time{"nbf": now, "iat": now}
	for _, name := range []string{"exp", "nbf", "iat"} {
		text, ok := claims[name]
		if !ok && name == "exp" {
			return mismatch("Missing 'exp' field")
		}
		if t, err := when(text); ok && err != nil {
			return mismatch("Malformed '" + name + "' field")
		} else if ok && (name == "exp" || t.Unix() != 0) {
			at[name] = t
		}
	}
	switch {
	case at["nbf"].After(now):
		return mismatch("Token is not valid yet")
	case at["iat"].After(now):
		return mismatch("Token is issued in future")
	case at["exp"].Add(l.o.Grace).Before(l.o.Now()):
		return mismatch("Token has expired")
	case claims["iat"] != "" && at["exp"].Before(at["iat"]) || claims["nbf"] != "" && at["exp"].Before(at["nbf"]):
		return mismatch("Token time values are conflicting")
	case len(l.o.Issuers) > 0 && claims["iss"] == "":
		return mismatch("Token is missing 'iss' field")
	case len(l.o.Issuers) > 0 && !slices.Contains(l.o.Issuers, claims["iss"]):
		return mismatch("Issuer '" + printable(claims["iss"]) + "' is not allowed")
	}
	return l.checkScope(claims)
}

func (l *lookup) checkScope(claims map[string]string) error {
	scope, ok := claims["scope"]
	switch {
	case l.o.ClientID != "" && claims["aud"] == "":
		return refuse(auth.ErrMismatch, "client_id set but aud is missing")
	case l.o.ClientID != "" && !slices.Contains(strings.Fields(claims["aud"]), l.o.ClientID):
		return refuse(auth.ErrMismatch, "client_id not found in aud field")
	case len(l.o.Scope) > 0 && !ok:
		return refuse(auth.ErrMismatch, "scope set but not found in token")
	case missing(l.o.Scope, scope):
		return refuse(auth.ErrMismatch, "configured scope '%s' missing from token scope '%s'", strings.Join(l.o.Scope, " "), printable(scope))
	}
	return nil
}

// when reads seconds since 1970, whole or not (RFC 7519 section 2), or a date as some issuers write it.
func when(text string) (time.Time, error) {
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(n) || n < 0 || n > 1<<40 {
			return time.Time{}, errors.New("out of range")
		}
		whole, part := math.Modf(n)
		return time.Unix(int64(whole), int64(part*1e9)), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err == nil && t.Unix() < 0 {
		err = errors.New("out of range")
	}
	return t, err
}

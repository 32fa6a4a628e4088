package scheme

import (
	"crypto/rand"
	"errors"
	"strings"
)

// MakeOptions are what a new hash may be asked for.
type MakeOptions struct {
	Rounds uint32 // cost in the scheme's own unit, brought into its range; 0: Dovecot's default
	Memory uint32 // KiB, of ARGON2 in all its forms; 0: what Dovecot asks for with that many rounds
}

// Make gives a new "{SCHEME}value". The name may have an encoding behind a dot and is written as Dovecot does, in upper
// case. user is needed by DIGEST-MD5 alone.
func Make(scheme, user, password string, o MakeOptions) (string, error) {
	m, code, _, ok := find(scheme)
	if !ok {
		return "", ErrUnknown
	}
	if !allowed(password) {
		return "", ErrLong
	}
	raw, err := m.make(user, password, o)
	if err != nil {
		return "", err
	}
	return "{" + strings.ToUpper(scheme) + "}" + encode(raw, code), nil
}

// errNoUser is DIGEST-MD5 without a name.
var errNoUser = errors.New("DIGEST-MD5 needs the name of the user")

// saltAlphabet is that of crypt(3), in the order of its digits.
const saltAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

func randomSalt(n int) string {
	b := randomBytes(n)
	for i := range b {
		b[i] = saltAlphabet[b[i]&63]
	}
	return string(b)
}

// within brings rounds into a range; 0 gives the default.
func within(rounds, low, high, fallback uint32) uint32 {
	if rounds == 0 {
		return fallback
	}
	return min(max(rounds, low), high)
}

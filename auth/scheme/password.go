package scheme

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// Password is a stored password, taken apart. It prints as its scheme alone.
type Password struct {
	Scheme string // in upper case, without an encoding: "SSHA256"
	Raw    []byte // decoded: digest and salt, or the text of schemes that are texts
}

// ErrUnknown is a scheme, or an encoding of one, that nobody knows.
var ErrUnknown = errors.New("Unknown scheme")

// ErrLong is a password of more bytes than MaxLength, or one with a NUL byte.
var ErrLong = errors.New("password is too long or has a NUL byte")

// MaxLength is how long, in bytes, a password may be. crypt(3) has its own limit of 511.
const MaxLength = 16 << 10

// WeakError refuses a password that may be right, for its scheme.
type WeakError struct{ Scheme string }

func (e *WeakError) Error() string {
	return "Weak password scheme '" + e.Scheme + "' used and refused (Set auth_allow_weak_schemes=yes to allow)"
}

// Verify tells whether password is the stored one. The scheme is the one before stored, else fallback; user is for
// schemes that hash it too (DIGEST-MD5: "user@realm"). weak allows weak schemes. The error, which never holds a
// password, says why none could be right: an unknown scheme, a damaged value, a WeakError.
func Verify(stored, fallback, user, password string, weak bool) (bool, error) {
	p, err := Parse(stored, fallback)
	if err != nil {
		return false, err
	}
	return p.Verify(user, password, weak)
}

// Parse takes a stored password apart, without looking at what is in it beyond its encoding and length.
func Parse(stored, fallback string) (Password, error) {
	name, value := Cut(stored, fallback)
	m, code, explicit, ok := find(name)
	if !ok {
		return Password{}, ErrUnknown
	}
	raw, err := decode(value, code, m.size, explicit)
	if err != nil {
		return Password{}, err
	}
	return Password{Scheme: m.name, Raw: raw}, nil
}

// Cut takes the scheme off a stored password, as it is written there. "$1$salt$hash$anything" is MD5-CRYPT and ends
// behind the hash. Without one the name is fallback.
func Cut(stored, fallback string) (name, value string) {
	if rest, ok := strings.CutPrefix(stored, "$1$"); ok {
		if parts := strings.SplitN(rest, "$", 3); len(parts) > 1 {
			return "MD5-CRYPT", "$1$" + parts[0] + "$" + parts[1]
		}
	}
	if rest, ok := strings.CutPrefix(stored, "{"); ok {
		if name, value, ok := strings.Cut(rest, "}"); ok {
			return name, value
		}
	}
	return fallback, stored
}

type coding int

const (
	asText coding = iota
	asBase64
	asHex
)

// find looks up "NAME" or "NAME.encoding"; explicit tells that it was the latter.
func find(name string) (m *method, code coding, explicit, ok bool) {
	name, suffix, explicit := strings.Cut(strings.ToUpper(name), ".")
	m = lookup(name)
	switch {
	case m == nil:
		return nil, 0, false, false
	case !explicit:
		return m, m.encoding, false, true
	case suffix == "B64" || suffix == "BASE64":
		return m, asBase64, true, true
	case suffix == "HEX":
		return m, asHex, true, true
	}
	return nil, 0, false, false
}

// decode is password_decode of Dovecot 2.3.19 (password-scheme.c), with its messages. size 0: any.
func decode(value string, code coding, size int, explicit bool) ([]byte, error) {
	guess := code != asText && size != 0 && !explicit
	if guess {
		code = asBase64
		if len(value) == 2*size {
			code = asHex
		}
	}
	raw := []byte(value)
	var err error
	if code == asHex {
		if raw, err = hex.DecodeString(value); err != nil && !guess {
			return nil, errors.New("Input isn't valid HEX encoded data")
		}
	}
	if code == asBase64 || err != nil {
		if raw, err = base64.StdEncoding.DecodeString(value); err != nil {
			return nil, errors.New("Input isn't valid base64 encoded data")
		}
	}
	if size != 0 && len(raw) != size {
		return nil, fmt.Errorf("Input length isn't valid (%d instead of %d)", len(raw), size)
	}
	return raw, nil
}

func encode(raw []byte, code coding) string {
	switch code {
	case asBase64:
		return base64.StdEncoding.EncodeToString(raw)
	case asHex:
		return hex.EncodeToString(raw)
	}
	return string(raw)
}

// Verify is the function of that name, for a password taken apart before.
func (p Password) Verify(user, password string, weak bool) (bool, error) {
	m := lookup(p.Scheme)
	if m == nil {
		return false, ErrUnknown
	}
	if name := p.weak(m); name != "" && !weak {
		return false, &WeakError{Scheme: name}
	}
	if !allowed(password) {
		return false, ErrLong
	}
	return m.verify(p.Raw, user, password)
}

func allowed(password string) bool {
	return len(password) <= MaxLength && !strings.Contains(password, "\x00")
}

// Weak gives the name of the weak scheme that 2.4 refuses in it, or "": those of Weak, and what is not "$…" or is
// "$1…" in crypt(3) (2.4.4, password-scheme-crypt.c).
func (p Password) Weak() string {
	if m := lookup(p.Scheme); m != nil {
		return p.weak(m)
	}
	return ""
}

func (p Password) weak(m *method) string {
	switch {
	case m.weak:
		return m.name
	case !m.crypt || len(p.Raw) < 2:
		return ""
	case p.Raw[0] != '$':
		return "DES-CRYPT"
	case p.Raw[1] == '1':
		return "MD5-CRYPT"
	}
	return ""
}

// As gives the credentials that a mechanism needs in the scheme it wants: those that are stored, or made from a
// password in clear text. user is for DIGEST-MD5.
func (p Password) As(scheme, user string) (Password, error) {
	want, have := lookup(strings.ToUpper(scheme)), lookup(p.Scheme)
	if want == nil || have == nil {
		return Password{}, ErrUnknown
	}
	if alias(want.name) == alias(have.name) {
		return Password{Scheme: want.name, Raw: p.Raw}, nil
	}
	if alias(have.name) != "PLAIN" {
		return Password{}, fmt.Errorf("Requested %s scheme, but we have only %s", want.name, have.name)
	}
	password := string(p.Raw)
	if !allowed(password) {
		return Password{}, ErrLong
	}
	raw, err := want.make(user, password, MakeOptions{})
	return Password{Scheme: want.name, Raw: raw}, err
}

// alias gives schemes that differ only in name the same name.
func alias(name string) string {
	switch name {
	case "CLEAR", "CLEARTEXT":
		return "PLAIN"
	case "SHA1":
		return "SHA"
	case "HMAC-MD5":
		return "CRAM-MD5"
	case "LDAP-MD5":
		return "PLAIN-MD5"
	}
	return name
}

// Weak tells whether 2.4 refuses the scheme unless auth_allow_weak_schemes is set; an encoding may follow the name.
func Weak(name string) bool {
	m, _, _, ok := find(name)
	return ok && m.weak
}

// Names are the schemes that can be verified and made, sorted.
func Names() []string {
	var names []string
	for _, m := range methods() {
		names = append(names, m.name)
	}
	slices.Sort(names)
	return names
}

// Equal tells whether both are the same, in constant time.
func (p Password) Equal(q Password) bool { return p.Scheme == q.Scheme && equal(p.Raw, q.Raw) }

// String hides the value; so do all verbs of fmt, and slog.
func (p Password) String() string                { return "{" + p.Scheme + "}<hidden>" }
func (p Password) GoString() string              { return p.String() }
func (p Password) Format(f fmt.State, verb rune) { fmt.Fprint(f, p.String()) }
func (p Password) LogValue() slog.Value          { return slog.StringValue(p.String()) }

// text is what is stored of schemes that are texts, which never hold a NUL byte.
func text(raw []byte) (string, bool) {
	return string(raw), bytes.IndexByte(raw, 0) < 0
}

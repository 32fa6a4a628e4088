// Package scheme knows the schemes of stored passwords: it tells which one a text is in, verifies passwords against it,
// makes new ones, and gives mechanisms the credentials that they need.
//
//	{SCHEME}value           the value in the scheme's own encoding
//	{SCHEME.b64}value       (or .base64, .hex) in another one; names in any case
//	value                   in the scheme that the database's settings name
//	$1$salt$hash            MD5-CRYPT, whatever they name
//
// A scheme with a fixed length takes hex and base64 without being told: a value of twice that length is tried as hex
// first (Dovecot 2.3.19 and 2.4.4, password-scheme.c). Everything of crypt(3) answers to {CRYPT}, {DES-CRYPT},
// {SHA256-CRYPT} and {SHA512-CRYPT} alike, with the method that the value's beginning names, as libxcrypt 4.4 has it.
// 2.4 refuses weak schemes unless auth_allow_weak_schemes is set; Verify leaves that to its caller.
//
// Lists are moved between servers by Tell: Dovecot's hold "{SCHEME}value"; vpopmail, Courier and /etc/shadow hold what
// crypt(3) gave, whose beginning says which method it is ("$1$", "$6$", …; 13 characters without one are traditional
// DES). Everything of crypt(3) is given the prefix {CRYPT}: Dovecot 2.3 then asks the same library as the former server
// did.
//
// What a hash asks for is bounded (see MaxIterations): nobody who can write a stored password can stop the server with it.
// Verifying is done in constant time where the scheme allows. Passwords end at a NUL byte in C; here they are refused.
package scheme

import (
	"encoding/base64"
	"strings"
)

// Scheme is what is known of one stored password.
type Scheme struct {
	Name   string // as in "doveadm pw -l", upper case: "SHA512-CRYPT", "PLAIN"; "" when there is no password
	Stored string // with the prefix for Dovecot; "" when there is no password, or none that Dovecot could use
	Weak   bool   // breakable by who has the list: clear text, DES, MD5
	Why    string // with a Name and no Stored: what is wrong
}

// crypts are the methods of crypt(3) by the beginning of what it gives, and the length of the whole, 0 when it varies.
var crypts = []struct {
	prefix, name string
	length       int
	weak         bool
}{
	{"$1$", "MD5-CRYPT", 0, true},
	{"$5$", "SHA256-CRYPT", 0, false},
	{"$6$", "SHA512-CRYPT", 0, false},
	{"$2a$", "BLF-CRYPT", 60, false},
	{"$2b$", "BLF-CRYPT", 60, false},
	{"$2x$", "BLF-CRYPT", 60, false},
	{"$2y$", "BLF-CRYPT", 60, false},
	{"$y$", "YESCRYPT", 0, false},
	{"$gy$", "GOST-YESCRYPT", 0, false},
	{"$7$", "SCRYPT", 0, false},
	{"$sha1$", "SHA1-CRYPT", 0, false},
	{"$md5", "SUN-MD5-CRYPT", 0, true},
	{"$3$", "NT-CRYPT", 0, true},
	{"_", "BSDI-CRYPT", 20, true},
}

// weak are Dovecot's own schemes from which passwords come back easily.
var weak = map[string]bool{
	"PLAIN": true, "CLEAR": true, "CLEARTEXT": true, "PLAIN-TRUNC": true, "DES-CRYPT": true, "MD5-CRYPT": true, "MD5": true, "SMD5": true,
	"PLAIN-MD5": true, "LDAP-MD5": true, "PLAIN-MD4": true, "CRAM-MD5": true, "HMAC-MD5": true, "DIGEST-MD5": true, "SHA": true, "SHA1": true,
	"LANMAN": true, "NTLM": true,
}

// Tell looks at a hash: with a prefix {SCHEME}, or as crypt(3) gave it.
func Tell(hash string) Scheme {
	if hash == "" {
		return Scheme{}
	}
	if name, value, ok := Split(hash); ok {
		return tellPrefixed(name, value, hash)
	}
	for _, c := range crypts {
		if strings.HasPrefix(hash, c.prefix) {
			s := Scheme{Name: c.name, Weak: c.weak}
			switch {
			case c.length != 0 && len(hash) != c.length || !isCrypt(hash):
				s.Why = "cut off or damaged"
			default:
				s.Stored = "{CRYPT}" + hash
			}
			return s
		}
	}
	if len(hash) == 13 && isCrypt(hash) && !strings.Contains(hash, "$") {
		return Scheme{Name: "DES-CRYPT", Stored: "{CRYPT}" + hash, Weak: true}
	}
	if strings.Trim(hash, "*!x") == "" || strings.HasPrefix(hash, "!") || strings.HasPrefix(hash, "*") {
		return Scheme{Name: "LOCKED", Why: "locked: no password is right"}
	}
	return Scheme{Name: "UNKNOWN", Why: "no hash of a known kind"}
}

func tellPrefixed(name, value, hash string) Scheme {
	base, _, _ := strings.Cut(name, ".") // .b64, .hex
	switch {
	case base == "CRYPT" && strings.HasPrefix(value, "{"):
		return Scheme{Name: "UNKNOWN", Why: "one scheme within another"}
	case base == "CRYPT" && value != "":
		s := Tell(value)
		if s.Stored != "" {
			s.Stored = hash
		}
		return s
	case value == "" && (base == "PLAIN" || base == "CLEAR" || base == "CLEARTEXT"):
		// Dovecot 2.3.19 accepts the empty password for "{PLAIN}".
		return Scheme{Name: base, Weak: true, Why: "the empty password would be right"}
	case value == "":
		return Scheme{Name: name, Why: "no value behind the scheme"}
	}
	return Scheme{Name: name, Stored: hash, Weak: weak[base]}
}

// Split cuts "{SCHEME}value"; the name comes back in upper case.
func Split(stored string) (name, value string, ok bool) {
	if !strings.HasPrefix(stored, "{") {
		return "", stored, false
	}
	name, value, ok = strings.Cut(stored[1:], "}")
	if !ok || name == "" || strings.ContainsAny(name, " :\t") {
		return "", stored, false
	}
	return strings.ToUpper(name), value, true
}

// Plain writes a password in clear text for Dovecot; it must not be empty. What a passwd-file cannot hold as it is goes
// as base64.
func Plain(password string) Scheme {
	s := Scheme{Name: "PLAIN", Stored: "{PLAIN}" + password, Weak: true}
	safe := strings.TrimSpace(password) == password
	for i := range len(password) {
		safe = safe && password[i] >= ' ' && password[i] != ':' && password[i] != 0x7f
	}
	if !safe {
		s.Stored = "{PLAIN.B64}" + base64.StdEncoding.EncodeToString([]byte(password))
	}
	return s
}

// Clear gives the password of a {PLAIN} value in any of its spellings.
func Clear(stored string) (password string, ok bool) {
	name, value, _ := Split(stored)
	switch name {
	case "PLAIN", "CLEAR", "CLEARTEXT":
		return value, true
	case "PLAIN.B64", "PLAIN.BASE64", "CLEAR.B64", "CLEARTEXT.B64":
		b, err := base64.StdEncoding.DecodeString(value)
		return string(b), err == nil
	}
	return "", false
}

// isCrypt tells whether the text has only characters that crypt(5) allows.
func isCrypt(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || strings.IndexByte("!*:;\\", s[i]) >= 0 {
			return false
		}
	}
	return true
}

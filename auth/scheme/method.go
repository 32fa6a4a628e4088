package scheme

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"fmt"
	"hash"
	"sync"

	"golang.org/x/crypto/md4" //lint:ignore SA1019 PLAIN-MD4 is stored at sites
)

// method is one scheme. Passwords that come here are of an allowed length and have no NUL byte.
type method struct {
	name     string
	encoding coding
	size     int  // of the raw value, in bytes; 0: any
	weak     bool // refused by 2.4 unless it is told otherwise
	crypt    bool // of crypt(3): the value says which method, which may be weak too
	verify   func(raw []byte, user, password string) (bool, error)
	make     func(user, password string, o MakeOptions) ([]byte, error)
}

// methods are those of "doveadm pw -l" of 2.3.19, and ARGON2 of 2.4.4. Which are weak: 2.4.4, password-scheme.c.
var methods = sync.OnceValue(func() []*method {
	all := []*method{
		{name: "PLAIN", verify: verifyPlain, make: makePlain},
		{name: "CLEAR", verify: verifyPlain, make: makePlain},
		{name: "CLEARTEXT", verify: verifyPlain, make: makePlain},
		{name: "PLAIN-TRUNC", verify: verifyTruncated, make: makeTruncated},
		digest("SHA", asBase64, sha1.New, false), digest("SHA1", asBase64, sha1.New, false),
		digest("SHA256", asBase64, sha256.New, false), digest("SHA512", asBase64, sha512.New, false),
		digest("PLAIN-MD4", asHex, md4.New, true),
		digest("PLAIN-MD5", asHex, md5.New, true), digest("LDAP-MD5", asBase64, md5.New, true),
		salted("SSHA", sha1.New, false), salted("SSHA256", sha256.New, false), salted("SSHA512", sha512.New, false),
		salted("SMD5", md5.New, true),
		again("CRAM-MD5", asHex, contextSize, false, makeContext), again("HMAC-MD5", asHex, contextSize, true, makeContext),
		again("DIGEST-MD5", asHex, md5.Size, false, makeDigestMD5),
		{name: "SCRAM-SHA-1", verify: scramSHA1.verify, make: scramSHA1.make},
		{name: "SCRAM-SHA-256", verify: scramSHA256.verify, make: scramSHA256.make},
		{name: "PBKDF2", verify: verifyPBKDF2, make: makePBKDF2},
		{name: "OTP", verify: verifyOTP, make: makeOTP},
		{name: "ARGON2", verify: verifyArgon2, make: makeArgon2id},
		{name: "ARGON2I", verify: verifyArgon2, make: makeArgon2i},
		{name: "ARGON2ID", verify: verifyArgon2, make: makeArgon2id},
		{name: "MD5", weak: true, verify: verifyMD5, make: makeMD5Crypt},
		{name: "MD5-CRYPT", weak: true, verify: verifyMD5Crypt, make: makeMD5Crypt},
		{name: "BLF-CRYPT", verify: verifyBlowfish, make: makeBlowfish},
		{name: "CRYPT", crypt: true, verify: verifyCrypt, make: makeBlowfish},
		{name: "DES-CRYPT", crypt: true, weak: true, verify: verifyCrypt, make: makeDES},
		{name: "SHA256-CRYPT", crypt: true, verify: verifyCrypt, make: makeSHA256Crypt},
		{name: "SHA512-CRYPT", crypt: true, verify: verifyCrypt, make: makeSHA512Crypt},
	}
	return all
})

var methodsByName = sync.OnceValue(func() map[string]*method {
	byName := map[string]*method{}
	for _, m := range methods() {
		byName[m.name] = m
	}
	return byName
})

func lookup(name string) *method { return methodsByName()[name] }

// again is a scheme in which the same password always gives the same value.
func again(name string, code coding, size int, weak bool, value func(user, password string) ([]byte, error)) *method {
	return &method{name: name, encoding: code, size: size, weak: weak,
		verify: func(raw []byte, user, password string) (bool, error) {
			made, err := value(user, password)
			return err == nil && equal(made, raw), err
		},
		make: func(user, password string, _ MakeOptions) ([]byte, error) { return value(user, password) },
	}
}

// digest is the hash of the password alone.
func digest(name string, code coding, h func() hash.Hash, weak bool) *method {
	return again(name, code, h().Size(), weak, func(_, password string) ([]byte, error) {
		d := h()
		d.Write([]byte(password))
		return d.Sum(nil), nil
	})
}

// salted is hash(password + salt) and the salt; new salts have 4 bytes, stored ones any length above 0.
func salted(name string, h func() hash.Hash, weak bool) *method {
	sum := func(password string, salt []byte) []byte {
		d := h()
		d.Write([]byte(password))
		d.Write(salt)
		return d.Sum(nil)
	}
	size := h().Size()
	return &method{name: name, encoding: asBase64, weak: weak,
		verify: func(raw []byte, _, password string) (bool, error) {
			if len(raw) <= size {
				return false, damaged(name + " password is too short")
			}
			return equal(sum(password, raw[size:]), raw[:size]), nil
		},
		make: func(_, password string, _ MakeOptions) ([]byte, error) {
			salt := randomBytes(4)
			return append(sum(password, salt), salt...), nil
		},
	}
}

// damaged is what is wrong with a stored value; Dovecot's words where it has some.
type damaged string

func (d damaged) Error() string { return string(d) }

func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

func verifyPlain(raw []byte, _, password string) (bool, error) {
	return equal(raw, []byte(password)), nil
}

func makePlain(_, password string, _ MakeOptions) ([]byte, error) { return []byte(password), nil }

// makeTruncated gives the length too, without which nobody could verify it; "doveadm pw" of 2.3.19 forgets it.
func makeTruncated(_, password string, _ MakeOptions) ([]byte, error) {
	return fmt.Appendf(nil, "%d-%s", len(password), password), nil
}

// verifyTruncated: "N-text" holds the first N bytes of the password, or all of it.
func verifyTruncated(raw []byte, _, password string) (bool, error) {
	digits := 0
	length := 0
	for digits < len(raw) && raw[digits] >= '0' && raw[digits] <= '9' && digits < 6 {
		length = 10*length + int(raw[digits]-'0')
		digits++
	}
	prefix, kept, ok := bytes.Cut(raw, []byte("-"))
	if !ok || len(prefix) != digits {
		return false, damaged("PLAIN-TRUNC missing length: prefix")
	}
	given := []byte(password)
	if len(kept) == length && len(given) >= length {
		given = given[:length]
	}
	return equal(kept, given), nil
}

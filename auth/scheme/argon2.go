package scheme

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// argon is a hash of Argon2 as its reference writes it (the PHC string format, RFC 9106 for the function):
//
//	$argon2id$v=19$m=65536,t=3,p=1$salt$hash      KiB of memory, passes, lanes; base64 without padding
type argon struct {
	variant      string // "argon2i", "argon2id"
	memory, time uint32
	lanes        uint8
	salt, hash   []byte
}

var argonBase64 = base64.RawStdEncoding.Strict()

func parseArgon2(stored string) (a argon, err error) {
	bad := damaged("not a hash of Argon2i or Argon2id, version 19")
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[0] != "" || parts[2] != "v=19" {
		return a, bad
	}
	a.variant = parts[1]
	var lanes uint32
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &a.memory, &a.time, &lanes); err != nil ||
		parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", a.memory, a.time, lanes) {
		return a, bad
	}
	salt, err1 := argonBase64.DecodeString(parts[4])
	hash, err2 := argonBase64.DecodeString(parts[5])
	if a.variant != "argon2i" && a.variant != "argon2id" || err1 != nil || err2 != nil || len(salt) < 8 || len(hash) < 16 || len(hash) > 1024 ||
		a.time == 0 || lanes == 0 || lanes > 255 || a.memory < 8*lanes {
		return a, bad
	}
	a.lanes, a.salt, a.hash = uint8(lanes), salt, hash
	return a, a.allowed()
}

func (a argon) allowed() error {
	if err := atMost("bytes of memory", uint64(a.memory)<<10, MaxMemory); err != nil {
		return err
	}
	return atMost("bytes times passes", uint64(a.memory)<<10*uint64(a.time), MaxMemoryWork)
}

func (a argon) key(password string, size int) []byte {
	if a.variant == "argon2i" {
		return argon2.Key([]byte(password), a.salt, a.time, a.memory, a.lanes, uint32(size))
	}
	return argon2.IDKey([]byte(password), a.salt, a.time, a.memory, a.lanes, uint32(size))
}

// verifyArgon2 takes both variants under each name, as libsodium does for Dovecot.
func verifyArgon2(raw []byte, _, password string) (bool, error) {
	a, err := parseArgon2(string(raw))
	if _, ok := errors.AsType[damaged](err); ok {
		return false, nil // as libsodium says
	}
	if err != nil {
		return false, err
	}
	return equal(a.key(password, len(a.hash)), a.hash), nil
}

// argonLevel is the memory, in KiB, that Dovecot 2.3.19 asks libsodium for, from a number of passes on
// (password-scheme-sodium.c): libsodium's limits "interactive", "moderate" and "sensitive".
type argonLevel struct{ passes, memory uint32 }

func newArgon2i(o MakeOptions) argon {
	return newArgon2("argon2i", o.Memory, within(o.Rounds, 3, 1<<31, 4), []argonLevel{{8, 512 << 10}, {6, 128 << 10}, {0, 32 << 10}})
}

func newArgon2id(o MakeOptions) argon {
	return newArgon2("argon2id", o.Memory, within(o.Rounds, 1, 1<<31, 2), []argonLevel{{4, 1 << 20}, {3, 256 << 10}, {0, 64 << 10}})
}

// newArgon2 is what a new hash costs: three passes at least.
func newArgon2(variant string, memory, passes uint32, levels []argonLevel) argon {
	a := argon{variant: variant, memory: memory, time: max(passes, 3), lanes: 1}
	for _, l := range levels {
		if a.memory == 0 && passes >= l.passes {
			a.memory = l.memory
		}
	}
	a.memory = max(a.memory, 8)
	return a
}

func (a argon) kind() Kind {
	return Kind{Name: strings.ToUpper(a.variant), Rounds: a.time, Memory: a.memory}
}

func makeArgon2i(_, password string, o MakeOptions) ([]byte, error) {
	return newArgon2i(o).make(password)
}

func makeArgon2id(_, password string, o MakeOptions) ([]byte, error) {
	return newArgon2id(o).make(password)
}

func (a argon) make(password string) ([]byte, error) {
	if err := a.allowed(); err != nil {
		return nil, err
	}
	a.salt = randomBytes(16)
	hash := a.key(password, 32)
	return fmt.Appendf(nil, "$%s$v=19$m=%d,t=%d,p=%d$%s$%s", a.variant, a.memory, a.time, a.lanes,
		argonBase64.EncodeToString(a.salt), argonBase64.EncodeToString(hash)), nil
}

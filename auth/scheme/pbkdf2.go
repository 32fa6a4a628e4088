package scheme

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// PBKDF2 with HMAC-SHA1: "$1$salt$rounds$hex", the salt as text (Dovecot 2.3.19, password-scheme-pbkdf2.c).
func verifyPBKDF2(raw []byte, _, password string) (bool, error) {
	rest, ok := strings.CutPrefix(string(raw), "$1$")
	if !ok {
		return false, damaged("Invalid PBKDF2 passdb entry prefix")
	}
	fields := strings.Split(rest, "$")
	if len(fields) != 3 {
		return false, damaged("Invalid PBKDF2 passdb entry format")
	}
	rounds, err := strconv.ParseUint(fields[1], 10, 32)
	if err != nil || rounds == 0 {
		return false, damaged("Invalid PBKDF2 passdb entry format")
	}
	if err := atMost("rounds", rounds, MaxIterations); err != nil {
		return false, err
	}
	stored, err := hex.DecodeString(fields[2])
	if err != nil || len(stored) != sha1.Size {
		return false, damaged("PBKDF2 hash not 160bit hex-encoded")
	}
	made, err := pbkdf2.Key(sha1.New, password, []byte(fields[0]), int(rounds), sha1.Size)
	return err == nil && equal(made, stored), err
}

func makePBKDF2(_, password string, o MakeOptions) ([]byte, error) {
	rounds := pbkdf2Rounds(o)
	if err := atMost("rounds", uint64(rounds), MaxIterations); err != nil {
		return nil, err
	}
	salt := randomSalt(16)
	key, err := pbkdf2.Key(sha1.New, password, []byte(salt), int(rounds), sha1.Size)
	return fmt.Appendf(nil, "$1$%s$%d$%x", salt, rounds, key), err
}

func pbkdf2Rounds(o MakeOptions) uint32 { return within(o.Rounds, 1, 1<<32-1, 5000) }

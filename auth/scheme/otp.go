package scheme

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/md4" //lint:ignore SA1019 one of the three hashes of RFC 2289
)

// otpSteps is how many one-time passwords a new entry gives.
const otpSteps = 1024

// verifyOTP takes "hash count seed hex" (RFC 2289 for the function; Dovecot 2.3.19, otp-parse.c, for the entry): hash
// is md4, md5 or sha1, the seed at most 16 letters and digits, hex the result after count steps.
func verifyOTP(raw []byte, _, password string) (bool, error) {
	fields := strings.Split(string(raw), " ")
	if len(fields) != 4 {
		return false, damaged("Invalid OTP data in passdb")
	}
	count, err := strconv.ParseUint(fields[1], 10, 31)
	stored, errHex := hex.DecodeString(fields[3])
	seed := strings.ToLower(fields[2])
	if err != nil || errHex != nil || len(stored) != 8 || !otpSeed(seed) || otpFold(fields[0], nil) == nil {
		return false, damaged("Invalid OTP data in passdb")
	}
	if err := atMost("steps", count, MaxIterations); err != nil {
		return false, err
	}
	return equal(otpHash(fields[0], seed, password, int(count)), stored), nil
}

func makeOTP(_, password string, _ MakeOptions) ([]byte, error) {
	seed := hex.EncodeToString(randomBytes(8))
	return fmt.Appendf(nil, "sha1 %d %s %x", otpSteps, seed, otpHash("sha1", seed, password, otpSteps)), nil
}

func otpSeed(s string) bool {
	return len(s) <= 16 && strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyz") == ""
}

func otpHash(name, seed, password string, steps int) []byte {
	value := otpFold(name, []byte(seed+password))
	for range steps {
		value = otpFold(name, value)
	}
	return value
}

// otpFold is the hash, folded to 64 bits by exclusive or; nil for an unknown name. RFC 2289, appendix A: of SHA-1 the
// words are taken in the other byte order.
func otpFold(name string, message []byte) []byte {
	out := make([]byte, 8)
	switch name {
	case "md4":
		h := md4.New()
		h.Write(message)
		fold(out, h.Sum(nil))
	case "md5":
		sum := md5.Sum(message)
		fold(out, sum[:])
	case "sha1":
		sum := sha1.Sum(message)
		fold(out, sum[:])
		swap4(out)
	default:
		return nil
	}
	return out
}

func fold(out, sum []byte) {
	for i, b := range sum {
		out[i%8] ^= b
	}
}

// swap4 turns both words around.
func swap4(b []byte) {
	turned := bytes.Clone(b)
	for i := range b {
		b[i] = turned[i^3]
	}
}

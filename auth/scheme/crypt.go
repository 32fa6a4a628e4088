package scheme

import (
	"crypto/md5"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-crypt/x/crypt"
	"golang.org/x/crypto/md4" //lint:ignore SA1019 "$3$" is stored at sites
)

// cryptLength is how long, in bytes, a password may be for crypt(3) (libxcrypt 4.4.33, CRYPT_MAX_PASSPHRASE_SIZE).
const cryptLength = 511

// function is one method of crypt(3): it gives the hash as it would be stored, of a setting or a whole hash.
type function struct {
	prefix string
	crypt  func(password, setting string) (string, error)
}

// functions are those of libxcrypt 4.4.33 but for "$2…", which Dovecot does itself and so do we.
var functions = []function{
	{"$y$", yescryptHash},
	{"$gy$", gostYescrypt},
	{"$7$", scryptHash},
	{"$6$", func(p, s string) (string, error) { return shaCrypt("$6$", sha512Crypt, p, s) }},
	{"$5$", func(p, s string) (string, error) { return shaCrypt("$5$", sha256Crypt, p, s) }},
	{"$sha1", sha1Crypt},
	{"$md5", sunMD5},
	{"$1$", func(p, s string) (string, error) { return md5Crypt(p, s), nil }},
	{"$3$", ntHash},
	{"_", bsdiDES},
}

// crypt3 is crypt(3). The error tells why it cannot be: a setting that is damaged or of an unknown kind, a cost that is
// not allowed, a password that is too long.
func crypt3(password, setting string) (string, error) {
	if !isCrypt(setting) {
		return "", damaged("crypt() failed: a hash does not have such characters")
	}
	if len(password) > cryptLength {
		return "", damaged("crypt() failed: the password is longer than 511 bytes")
	}
	for _, f := range functions {
		if strings.HasPrefix(setting, f.prefix) {
			return f.crypt(password, setting)
		}
	}
	return traditionalDES(password, setting)
}

// verifyCrypt is crypt_verify of Dovecot 2.3.19. An empty value matches nothing.
func verifyCrypt(raw []byte, user, password string) (bool, error) {
	stored, ok := text(raw)
	switch {
	case !ok:
		return false, damaged("crypt() failed: a hash has no NUL byte")
	case stored == "":
		return false, nil
	case len(stored) > 4 && strings.HasPrefix(stored, "$2") && stored[3] == '$':
		return verifyBlowfish(raw, user, password)
	}
	made, err := crypt3(password, stored)
	if _, ok := errors.AsType[damaged](err); ok {
		return false, nil // libxcrypt gives "*0" then, which is no hash of anything: "x", "!" and "*" are locked accounts
	}
	return err == nil && equal([]byte(made), raw), err
}

// verifyMD5 takes MD5-CRYPT and PLAIN-MD5.
func verifyMD5(raw []byte, user, password string) (bool, error) {
	if strings.HasPrefix(string(raw), "$1$") {
		return verifyMD5Crypt(raw, user, password)
	}
	plain, err := decode(string(raw), asHex, md5.Size, false)
	if err != nil {
		return false, damaged("Not a valid MD5-CRYPT or PLAIN-MD5 password")
	}
	sum := md5.Sum([]byte(password))
	return equal(sum[:], plain), nil
}

// verifyMD5Crypt has no limit of 511 bytes: Dovecot does not ask crypt(3) here.
func verifyMD5Crypt(raw []byte, _, password string) (bool, error) {
	return equal([]byte(md5Crypt(password, string(raw))), raw), nil
}

func makeMD5Crypt(_, password string, _ MakeOptions) ([]byte, error) {
	return []byte(md5Crypt(password, "$1$"+randomSalt(8))), nil
}

// md5Crypt is "$1$salt$hash"; of a salt, 8 bytes count.
func md5Crypt(password, setting string) string {
	salt := saltOf(strings.TrimPrefix(setting, "$1$"), 8)
	return "$1$" + salt + "$" + string(crypt.KeyMD5Crypt([]byte(password), []byte(salt)))
}

// saltOf is what precedes "$", at most that many bytes.
func saltOf(s string, most int) string {
	salt, _, _ := strings.Cut(s, "$")
	return salt[:min(len(salt), most)]
}

// The rounds of SHA-crypt without "rounds=", and the range of those with it (Drepper, "Unix crypt using SHA-256 and
// SHA-512", 2007). libxcrypt refuses numbers outside where the paper brings them inside.
const (
	shaRounds    = 5000
	shaRoundsMin = 1000
	shaRoundsMax = 999_999_999
)

// shaCrypt is "$5$" and "$6$": [rounds=N$]salt$hash, at most 16 bytes of salt.
func shaCrypt(prefix string, h sha, password, setting string) (string, error) {
	rest := strings.TrimPrefix(setting, prefix)
	rounds := uint64(shaRounds)
	if number, ok := strings.CutPrefix(rest, "rounds="); ok {
		number, rest, ok = strings.Cut(number, "$")
		n, err := strconv.ParseUint(number, 10, 32)
		if !ok || err != nil || number[0] == '0' || n < shaRoundsMin || n > shaRoundsMax {
			return "", damaged("crypt() failed: rounds= is not a number from 1000 to 999999999")
		}
		if err := atMost("rounds", n, MaxIterations); err != nil {
			return "", err
		}
		rounds, prefix = n, prefix+"rounds="+number+"$"
	}
	salt := saltOf(rest, 16)
	return prefix + salt + "$" + h.key([]byte(password), []byte(salt), int(rounds)), nil
}

func makeSHA256Crypt(_, password string, o MakeOptions) ([]byte, error) {
	return makeSHACrypt("$5$", password, o)
}

func makeSHA512Crypt(_, password string, o MakeOptions) ([]byte, error) {
	return makeSHACrypt("$6$", password, o)
}

func makeSHACrypt(prefix, password string, o MakeOptions) ([]byte, error) {
	if rounds := shaCryptRounds(o); rounds != shaRounds {
		prefix += fmt.Sprintf("rounds=%d$", rounds)
	}
	made, err := crypt3(password, prefix+randomSalt(16))
	return []byte(made), err
}

func shaCryptRounds(o MakeOptions) uint32 {
	return within(o.Rounds, shaRoundsMin, shaRoundsMax, shaRounds)
}

// sha1Crypt is NetBSD's "$sha1$iterations$salt$hash", PBKDF1 with HMAC-SHA1; at most 64 bytes of salt.
func sha1Crypt(password, setting string) (string, error) {
	rest, ok := strings.CutPrefix(setting, "$sha1$")
	number, rest, ok2 := strings.Cut(rest, "$")
	n, err := strconv.ParseUint(number, 10, 32)
	if !ok || !ok2 || err != nil {
		return "", damaged("crypt() failed: the iterations of $sha1$ are no number")
	}
	if err := atMost("iterations", n, MaxIterations); err != nil {
		return "", err
	}
	salt, _, _ := strings.Cut(rest, "$")
	if salt == "" || strings.Trim(salt, saltAlphabet) != "" {
		return "", damaged("crypt() failed: the salt of $sha1$ is missing or damaged")
	}
	key := crypt.KeySHA1Crypt([]byte(password), []byte(salt), uint32(n))
	return fmt.Sprintf("$sha1$%d$%s$%s", n, salt, key), nil
}

// ntHash is FreeBSD's "$3$$hex": MD4 of the password with each byte widened to two.
func ntHash(password, _ string) (string, error) {
	wide := make([]byte, 2*len(password))
	for i := range len(password) {
		wide[2*i] = password[i]
	}
	h := md4.New()
	h.Write(wide)
	return fmt.Sprintf("$3$$%x", h.Sum(nil)), nil
}

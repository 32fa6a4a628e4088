package scheme

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"

	//lint:ignore SA1019 bcrypt is made of it; nothing new is built on it
	"golang.org/x/crypto/blowfish"
)

// bcryptBase64 is base64 with bcrypt's alphabet.
var bcryptBase64 = base64.NewEncoding("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789").WithPadding(base64.NoPadding)

// blowfishSetting is the length of "$2y$05$" and the salt.
const blowfishSetting = 7 + 22

// verifyBlowfish is bcrypt in the four variants of crypt_blowfish 1.3, which Dovecot has built in: "$2b$" and "$2y$" are
// right, "$2x$" has a bug with bytes above 127 on purpose, "$2a$" is right but for passwords that would collide with it.
func verifyBlowfish(raw []byte, _, password string) (bool, error) {
	stored, ok := text(raw)
	switch {
	case stored == "":
		return false, nil
	case !ok || len(stored) < blowfishSetting+1 || !strings.HasPrefix(stored, "$2") || stored[2] < 'a' || stored[2] > 'z' || stored[3] != '$':
		return false, damaged("Password is not blowfish password")
	}
	made, err := bcrypt(password, stored)
	return err == nil && equal([]byte(made), raw), err
}

func makeBlowfish(_, password string, o MakeOptions) ([]byte, error) {
	made, err := bcrypt(password, fmt.Sprintf("$2y$%02d$%s", blowfishCost(o), bcryptBase64.EncodeToString(randomBytes(16))))
	return []byte(made), err
}

func blowfishCost(o MakeOptions) uint32 { return within(o.Rounds, 4, 31, 5) }

// bcrypt is Provos and Mazières, "A Future-Adaptable Password Scheme" (1999), of a setting or a whole hash.
func bcrypt(password, setting string) (string, error) {
	variant := setting[2]
	cost := 10*int(setting[4]-'0') + int(setting[5]-'0')
	if strings.IndexByte("abxy", variant) < 0 || setting[4] < '0' || setting[4] > '3' || setting[5] < '0' || setting[5] > '9' ||
		cost < 4 || cost > 31 || setting[6] != '$' {
		return "", damaged("crypt_blowfish_rn failed: Invalid argument")
	}
	if err := atMost("as bcrypt's cost", uint64(cost), MaxBlowfishCost); err != nil {
		return "", err
	}
	salt, err := bcryptBase64.DecodeString(setting[7:blowfishSetting])
	if err != nil {
		return "", damaged("crypt_blowfish_rn failed: Invalid argument")
	}
	first, key := blowfishKeys(password, variant)
	c, err := blowfish.NewSaltedCipher(first, salt)
	if err != nil {
		return "", err
	}
	for range 1 << cost {
		blowfish.ExpandKey(key, c)
		blowfish.ExpandKey(salt, c)
	}
	out := []byte("OrpheanBeholderScryDoubt")
	for i := 0; i < len(out); i += blowfish.BlockSize {
		for range 64 {
			c.Encrypt(out[i:], out[i:])
		}
	}
	// Of the 24 bytes, 23 are stored. The salt is written anew: its last digit holds two bits.
	return setting[:7] + bcryptBase64.EncodeToString(salt) + bcryptBase64.EncodeToString(out[:23]), nil
}

// blowfishKeys gives the 18 words that are mixed into the cipher: the password and its NUL byte, over and over. The
// first of the two is for the first mixing; they differ only in "$2a$".
func blowfishKeys(password string, variant byte) (first, key []byte) {
	var sign, differs uint32
	key = make([]byte, 0, 72)
	for i, word := 0, 0; word < 18; word++ {
		var right, buggy uint32
		for j := range 4 {
			var c byte
			if at := i % (len(password) + 1); at < len(password) {
				c = password[at]
			}
			i++
			right = right<<8 | uint32(c)
			buggy = buggy<<8 | uint32(int32(int8(c)))
			if j != 0 {
				sign |= buggy & 0x80
			}
		}
		differs |= right ^ buggy
		if variant == 'x' {
			right = buggy
		}
		key = binary.BigEndian.AppendUint32(key, right)
	}
	first = key
	if variant == 'a' && differs == 0 && sign != 0 {
		first = append([]byte(nil), key...)
		first[1] ^= 1 // bit 16 of the first word
	}
	return first, key
}

package scheme

import (
	"crypto/sha256"
	"crypto/sha512"

	"github.com/go-crypt/x/base64"
)

// sha is one of the two functions of SHA-crypt (Drepper, "Unix crypt using SHA-256 and SHA-512", 2007).
type sha struct {
	size int
	sum  func(to, text []byte) // to may be a part of text
	step int                   // how the bytes of the result are mixed
}

var (
	sha256Crypt = sha{sha256.Size, func(to, text []byte) { s := sha256.Sum256(text); copy(to, s[:]) }, 21}
	sha512Crypt = sha{sha512.Size, func(to, text []byte) { s := sha512.Sum512(text); copy(to, s[:]) }, 22}
)

// key is the part of a hash behind its salt. What is hashed in a round is put together first, as a sum over a whole text
// takes a quarter less time than writes to a hash.Hash: nearly all of a login's time is spent here. The numbers are the
// steps in the paper.
func (h sha) key(password, salt []byte, rounds int) string {
	b := make([]byte, h.size) // 4-8
	h.sum(b, join(password, salt, password))
	text := append(join(password, salt), repeat(b, len(password))...) // 1-3, 9, 10
	for n := len(password); n > 0; n >>= 1 {                          // 11
		if n&1 != 0 {
			text = append(text, b...)
		} else {
			text = append(text, password...)
		}
	}
	a := make([]byte, h.size) // 12
	h.sum(a, text)
	h.sum(b, repeat(password, len(password)*len(password))) // 13-16
	p := repeat(b, len(password))
	h.sum(b, repeat(salt, len(salt)*(16+int(a[0])))) // 17-20
	s := repeat(b, len(salt))
	text = make([]byte, 0, len(a)+len(s)+2*len(p))
	for i := range rounds { // 21
		text = text[:0]
		if i&1 != 0 {
			text = append(text, p...)
		} else {
			text = append(text, a...)
		}
		if i%3 != 0 {
			text = append(text, s...)
		}
		if i%7 != 0 {
			text = append(text, p...)
		}
		if i&1 != 0 {
			text = append(text, a...)
		} else {
			text = append(text, p...)
		}
		h.sum(a, text)
	}
	return string(base64.EncodeCrypt(h.mixed(a))) // 22
}

// mixed gives the bytes in the order in which they are written: triples from the three thirds, each triple beginning
// a step further, then what is left.
func (h sha) mixed(a []byte) []byte {
	third := h.size / 3
	out := make([]byte, 0, h.size)
	for i := range third {
		first := i * h.step
		for _, part := range []int{2, 1, 0} {
			out = append(out, a[(first+part*third)%(3*third)])
		}
	}
	return append(out, a[3*third:]...)
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// repeat writes b over and over until there are so many bytes.
func repeat(b []byte, length int) []byte {
	out := make([]byte, 0, length+len(b))
	for len(out) < length && len(b) > 0 {
		out = append(out, b...)
	}
	return out[:length]
}

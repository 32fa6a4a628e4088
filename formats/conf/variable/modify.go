package variable

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
)

// modify applies one modifier letter of 2.x.
func (r *rest) modify(letter byte, s string) string {
	switch letter {
	case 'L':
		return lower(s)
	case 'U':
		return upper(s)
	case 'E':
		return strings.NewReplacer(`"`, `\"`, `'`, `\'`, `\`, `\\`).Replace(s)
	case 'X':
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			n = 0
		}
		return strconv.FormatUint(n, 16)
	case 'R':
		return reverse(s)
	case 'H':
		return r.digits(uint64(pjw(s)))
	case 'N':
		sum := md5.Sum([]byte(s))
		return r.digits(binary.BigEndian.Uint64(sum[:]))
	case 'M':
		sum := md5.Sum([]byte(s))
		return hex.EncodeToString(sum[:])
	case 'D':
		return strings.ReplaceAll(s, ".", ",dc=")
	case 'T':
		return strings.TrimRight(s, " \t\n\v\f\r")
	}
	return s
}

// digits prints a hash: the width is its modulus, the offset the least number
// of digits; both are used up. Only the low 32 bits are printed.
func (r *rest) digits(n uint64) string {
	if r.width > 0 {
		n %= uint64(r.width)
	}
	s := strconv.FormatUint(n&0xffffffff, 16)
	if pad := min(r.offset, maxPadding) - len(s); pad > 0 {
		s = strings.Repeat("0", pad) + s
	}
	r.offset, r.width = 0, 0
	return s
}

// pjw is the hash of P. J. Weinberger in the form of the ELF object format.
func pjw(s string) uint32 {
	var h uint32
	for _, c := range []byte(s) {
		h = h<<4 + uint32(c)
		if top := h & 0xf0000000; top != 0 {
			h ^= top>>24 ^ top
		}
	}
	return h
}

// lower and upper know ASCII only, so that bytes of other letters stay.
func lower(s string) string { return mapBytes(s, 'A', 'Z', 'a'-'A') }

func upper(s string) string { return mapBytes(s, 'a', 'z', -('a' - 'A')) }

// mapBytes adds a distance to the bytes in a range.
func mapBytes(s string, from, to byte, distance int) string {
	b := []byte(s)
	for i, c := range b {
		if c >= from && c <= to {
			b[i] = byte(int(c) + distance)
		}
	}
	return string(b)
}

func reverse(s string) string {
	b := make([]byte, len(s))
	for i := range len(s) {
		b[len(s)-1-i] = s[i]
	}
	return string(b)
}

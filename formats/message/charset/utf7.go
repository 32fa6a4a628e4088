package charset

import (
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/transform"
)

// utf7 reads UTF-7 (RFC 2152): "+" begins base64 of UTF-16, which ends with the first other character; "-" behind it is
// dropped, "+-" is a plus sign.
type utf7 struct {
	inside, fresh bool
	bits          uint32
	have          int
	high          rune // the first half of a pair
}

// Reset is for another text.
func (u *utf7) Reset() { *u = utf7{} }

// Transform is as transform.Transformer says.
func (u *utf7) Transform(dst, src []byte, _ bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if len(dst)-nDst < 2*utf8.UTFMax {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += u.take(dst[nDst:], src[nSrc])
		nSrc++
	}
	return nDst, nSrc, nil
}

func (u *utf7) take(dst []byte, b byte) int {
	if !u.inside {
		switch {
		case b == '+':
			*u = utf7{inside: true, fresh: true}
			return 0
		case b < utf8.RuneSelf:
			dst[0] = b
			return 1
		}
		return utf8.EncodeRune(dst, utf8.RuneError)
	}
	v := base64Value(b)
	if v < 0 {
		return u.leave(dst, b)
	}
	u.fresh = false
	u.bits, u.have = u.bits<<6|uint32(v), u.have+6
	if u.have < 16 {
		return 0
	}
	u.have -= 16
	return u.unit(dst, rune(u.bits>>u.have&0xffff))
}

// leave ends base64 with the character b.
func (u *utf7) leave(dst []byte, b byte) (n int) {
	if u.high != 0 {
		n = utf8.EncodeRune(dst, utf8.RuneError)
	}
	fresh := u.fresh
	*u = utf7{}
	switch {
	case b == '-' && fresh:
		dst[n] = '+'
		return n + 1
	case b == '-':
		return n
	}
	return n + u.take(dst[n:], b)
}

func (u *utf7) unit(dst []byte, r rune) int {
	if u.high != 0 {
		pair := utf16.DecodeRune(u.high, r)
		u.high = 0
		if pair != utf8.RuneError {
			return utf8.EncodeRune(dst, pair)
		}
		return utf8.EncodeRune(dst, utf8.RuneError)
	}
	if r >= 0xd800 && r < 0xdc00 {
		u.high = r
		return 0
	}
	return utf8.EncodeRune(dst, r)
}

func base64Value(b byte) int {
	switch {
	case b >= 'A' && b <= 'Z':
		return int(b - 'A')
	case b >= 'a' && b <= 'z':
		return int(b-'a') + 26
	case b >= '0' && b <= '9':
		return int(b-'0') + 52
	case b == '+':
		return 62
	case b == '/':
		return 63
	}
	return -1
}

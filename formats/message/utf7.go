package message

import (
	"unicode/utf16"
	"unicode/utf8"

	xencoding "golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// utf7 is UTF-7 (RFC 2152), which x/text does not have. It is only read.
type utf7 struct{}

func (utf7) NewDecoder() *xencoding.Decoder {
	return &xencoding.Decoder{Transformer: &utf7Decoder{}}
}

func (utf7) NewEncoder() *xencoding.Encoder { return xencoding.Nop.NewEncoder() }

// utf7Decoder keeps what was begun between calls.
type utf7Decoder struct {
	shifted bool
	fresh   bool // right behind "+"
	bits    uint32
	have    uint
	high    rune // first half of a pair, 0 none
}

func (d *utf7Decoder) Reset() { *d = utf7Decoder{} }

// Transform never needs more than one byte of input; each gives at most two characters.
func (d *utf7Decoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if len(dst)-nDst < 2*utf8.UTFMax {
			return nDst, nSrc, transform.ErrShortDst
		}
		c := src[nSrc]
		nSrc++
		if !d.shifted {
			if c == '+' {
				*d = utf7Decoder{shifted: true, fresh: true}
				continue
			}
			nDst += utf8.EncodeRune(dst[nDst:], rune(c))
			continue
		}
		if v := base64Values[c]; v < 64 {
			d.fresh = false
			d.bits, d.have = d.bits<<6|uint32(v), d.have+6
			if d.have >= 16 {
				d.have -= 16
				nDst += d.unit(dst[nDst:], rune(d.bits>>d.have&0xffff))
			}
			continue
		}
		d.shifted = false
		if d.high != 0 {
			d.high = 0
			nDst += utf8.EncodeRune(dst[nDst:], utf8.RuneError)
		}
		switch {
		case c == '-' && d.fresh:
			nDst += utf8.EncodeRune(dst[nDst:], '+')
		case c != '-':
			nDst += utf8.EncodeRune(dst[nDst:], rune(c))
		}
	}
	return nDst, nSrc, nil
}

// unit takes 16 bits of UTF-16.
func (d *utf7Decoder) unit(dst []byte, u rune) int {
	if d.high != 0 {
		r := utf16.DecodeRune(d.high, u)
		d.high = 0
		return utf8.EncodeRune(dst, r)
	}
	if u >= 0xd800 && u < 0xdc00 {
		d.high = u
		return 0
	}
	return utf8.EncodeRune(dst, u)
}

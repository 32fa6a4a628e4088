package message

import "bytes"

// encoding is a Content-Transfer-Encoding.
type encoding uint8

const (
	asIs encoding = iota // 7bit, 8bit, binary, or none given
	quotedPrintable
	base64
	unknownEncoding
)

var encodings = map[string]encoding{"7bit": asIs, "8bit": asIs, "binary": asIs, "quoted-printable": quotedPrintable, "base64": base64}

// encodingOf reads a value (message-decoder.c message_decoder_parse_cte). Parameters, which there are none of, are
// allowed behind it.
func encodingOf(l *lexer, value []byte) encoding {
	l.reset(value)
	l.skip()
	token, r := l.token(nil)
	if r == more {
		l.skip()
		if !l.at(';') {
			return unknownEncoding
		}
	}
	for name, e := range encodings {
		if equalFold(token, name) {
			return e
		}
	}
	return unknownEncoding
}

// transferDecoder takes a transfer encoding away. Invalid input never stops the lenient reader of its output; broken
// remembers it.
type transferDecoder interface {
	decode(dst, src []byte) []byte
	broken() bool   // something was invalid
	complete() bool // the input may end here
}

func newDecoder(e encoding) transferDecoder {
	switch e {
	case quotedPrintable:
		return &qpDecoder{}
	case base64:
		return &base64Decoder{}
	}
	return plainDecoder{}
}

type plainDecoder struct{}

func (plainDecoder) decode(dst, src []byte) []byte { return append(dst, src...) }
func (plainDecoder) broken() bool                  { return false }
func (plainDecoder) complete() bool                { return true }

// base64Decoder decodes until something is invalid. White space may stand anywhere, other bytes nowhere.
type base64Decoder struct {
	bits     uint32
	have     uint8 // characters of the current four
	padding  uint8 // "=" seen
	isBroken bool
}

const base64Chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// base64Values has 0xff for bytes that are none of its characters and 0xfe for white space.
var base64Values = func() (v [256]byte) {
	for i := range v {
		v[i] = 0xff
	}
	for i := range len(base64Chars) {
		v[base64Chars[i]] = byte(i)
	}
	for _, c := range []byte(" \t\r\n") {
		v[c] = 0xfe
	}
	return v
}()

func (d *base64Decoder) broken() bool { return d.isBroken }

func (d *base64Decoder) complete() bool { return d.have == 0 }

func (d *base64Decoder) decode(dst, src []byte) []byte {
	for i := 0; i < len(src) && !d.isBroken; i++ {
		if d.have == 0 && d.padding == 0 {
			dst, i = fours(dst, src, i)
			if i == len(src) {
				break
			}
		}
		dst = d.one(dst, src[i])
	}
	return dst
}

// fours decodes whole groups from src[i:] as long as they are plain.
func fours(dst, src []byte, i int) ([]byte, int) {
	for i+4 <= len(src) {
		a, b, c, e := base64Values[src[i]], base64Values[src[i+1]], base64Values[src[i+2]], base64Values[src[i+3]]
		if (a|b|c|e)&0xc0 != 0 {
			break
		}
		dst = append(dst, a<<2|b>>4, b<<4|c>>2, c<<6|e)
		i += 4
	}
	return dst, i
}

func (d *base64Decoder) one(dst []byte, c byte) []byte {
	v := base64Values[c]
	switch {
	case v == 0xfe:
		return dst
	case c == '=' && d.have >= 2:
		d.padding++
		if d.have++; d.have == 4 {
			d.have = 0
		}
		return dst
	case v == 0xff || d.padding > 0:
		d.isBroken = true
		return dst
	}
	d.bits = d.bits<<6 | uint32(v)
	switch d.have++; d.have {
	case 2:
		dst = append(dst, byte(d.bits>>4))
	case 3:
		dst = append(dst, byte(d.bits>>2))
	case 4:
		dst = append(dst, byte(d.bits))
		d.have = 0
	}
	return dst
}

// qpDecoder decodes quoted-printable text (qp-decoder.c). Line ends become CRLF, white space before them goes.
type qpDecoder struct {
	state    qpState
	hex      byte
	white    [77]byte // white space that may end a line
	n        int
	isBroken bool
}

type qpState uint8

const (
	qpText       qpState = iota
	qpWhite              // white space was seen
	qpEquals             // "="
	qpEqualsTail         // "=" and white space
	qpHex                // "=A"
	qpCR                 // "\r"
	qpSoftCR             // "=\r"
)

func (d *qpDecoder) broken() bool { return d.isBroken }

func (d *qpDecoder) complete() bool { return d.state == qpText || d.state == qpWhite }

func (d *qpDecoder) decode(dst, src []byte) []byte {
	for i := 0; i < len(src); {
		if d.state == qpText {
			dst, i = d.text(dst, src, i)
			continue
		}
		var taken bool
		if dst, taken = d.step(dst, src[i]); taken {
			i++
		}
	}
	return dst
}

// text copies what needs no decoding, and the byte that ends it.
func (d *qpDecoder) text(dst, src []byte, i int) ([]byte, int) {
	start := i
	for ; i < len(src); i++ {
		switch c := src[i]; c {
		case '=':
			d.state = qpEquals
		case '\r':
			d.state = qpCR
		case '\n':
			dst = append(append(dst, src[start:i]...), "\r\n"...)
			start = i + 1
			continue
		case ' ', '\t':
			d.state = qpWhite
			d.white[0], d.n = c, 1
		default:
			continue
		}
		return append(dst, src[start:i]...), i + 1
	}
	return append(dst, src[start:]...), i
}

func (d *qpDecoder) addWhite(c byte) {
	if d.n < len(d.white) {
		d.white[d.n] = c
		d.n++
	}
}

// step takes one byte outside of plain text, or leaves it for the next step.
func (d *qpDecoder) step(dst []byte, c byte) (_ []byte, taken bool) {
	switch blank := c == ' ' || c == '\t'; d.state {
	case qpWhite:
		switch {
		case blank:
			d.addWhite(c)
		case c == '\r':
			d.state = qpCR
		case c == '\n':
			dst, d.n = append(dst, "\r\n"...), 0
		default:
			d.isBroken = d.isBroken || d.n == len(d.white) // some of it is lost
			dst, d.n = append(dst, d.white[:d.n]...), 0
			d.state = qpText
			return dst, false
		}
		return dst, true
	case qpEquals, qpEqualsTail:
		switch {
		case hexValue(c) >= 0 && d.state == qpEquals:
			d.hex, d.state = c, qpHex
		case blank:
			d.addWhite(c)
			d.state = qpEqualsTail
		case c == '\r':
			d.state = qpSoftCR
		case c == '\n':
			d.n, d.state = 0, qpText
		default:
			return d.invalid(dst), false
		}
		return dst, true
	case qpHex:
		if hexValue(c) < 0 {
			return d.invalid(dst), false
		}
		d.state = qpText
		return append(dst, byte(hexValue(d.hex)<<4|hexValue(c))), true
	}
	if c != '\n' {
		return d.invalid(dst), false
	}
	if d.n = 0; d.state == qpCR {
		dst = append(dst, "\r\n"...)
	}
	d.state = qpText
	return dst, true
}

// invalid puts back what turned out to be no encoding.
func (d *qpDecoder) invalid(dst []byte) []byte {
	d.isBroken = true
	if d.state != qpCR {
		dst = append(dst, '=')
	}
	if d.state == qpHex {
		dst = append(dst, d.hex)
	}
	dst, d.n = append(dst, d.white[:d.n]...), 0
	if d.state == qpCR || d.state == qpSoftCR {
		dst = append(dst, '\r')
	}
	d.state = qpText
	return dst
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// decodeQ decodes the Q encoding of encoded words (RFC 2047 section 4.2), leaving what is invalid.
func decodeQ(dst, src []byte) []byte {
	for i := 0; i < len(src); i++ {
		switch c := src[i]; {
		case c == '_':
			dst = append(dst, ' ')
		case c == '=' && i+2 < len(src) && hexValue(src[i+1]) >= 0 && hexValue(src[i+2]) >= 0:
			dst = append(dst, byte(hexValue(src[i+1])<<4|hexValue(src[i+2])))
			i += 2
		case c == '=' && i+2 >= len(src):
			return append(dst, src[i:]...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// isWhite tells whether there is nothing but white space and line ends.
func isWhite(b []byte) bool { return len(bytes.TrimLeft(b, " \t\r\n")) == 0 }

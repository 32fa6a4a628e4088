package message

import "bytes"

// DecodeHeader appends the value of a header field in UTF-8, its encoded words (RFC 2047) decoded wherever they stand, as
// Dovecot's message-header-decode.c does. White space between two of them goes. What cannot be decoded stays.
func DecodeHeader(dst, value []byte) []byte {
	start, pos := 0, 0
	for pos+1 < len(value) {
		i := bytes.Index(value[pos:], []byte("=?"))
		if i < 0 {
			break
		}
		pos += i
		if pos != start && !isWhite(value[start:pos]) {
			dst = toUTF8(dst, value[start:pos], nil)
			start = pos
		}
		charset, text, n := encodedWord(value[pos+2:])
		if n == 0 {
			start = pos
			pos += 2
			continue
		}
		dst = toUTF8(dst, text, charset)
		pos += 2 + n
		start = pos
	}
	return toUTF8(dst, value[start:], nil)
}

// encodedWord reads "charset?Q?text?=" and gives its length, 0 if it is none.
func encodedWord(b []byte) (charset, text []byte, n int) {
	first := bytes.IndexByte(b, '?')
	if first < 0 || first+3 >= len(b) {
		return nil, nil, 0
	}
	second := bytes.IndexByte(b[first+1:], '?')
	if second < 0 {
		return nil, nil, 0
	}
	second += first + 1
	third := bytes.IndexByte(b[second+1:], '?')
	if third < 0 {
		return nil, nil, 0
	}
	third += second + 1
	if third+1 >= len(b) || b[third+1] != '=' {
		return nil, nil, 0
	}
	encoded := b[second+1 : third]
	switch b[first+1] {
	case 'q', 'Q':
		text = decodeQ(nil, encoded)
	case 'b', 'B':
		var d base64Decoder
		text = d.decode(nil, encoded)
	default:
		return nil, nil, 0
	}
	charset = b[:first]
	if i := bytes.IndexByte(charset, '*'); i >= 0 {
		charset = charset[:i] // a language (RFC 2231 section 5)
	}
	return charset, text, third + 2
}

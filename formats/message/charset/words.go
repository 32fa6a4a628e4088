package charset

import "bytes"

// Form changes text in UTF-8 while it is appended; titlecase.Append is one.
type Form func(dst, text []byte) (out []byte, valid bool)

// AppendWords appends a header field's value, in one line, with its encoded words decoded (RFC 2047) and all of it in a
// form; nil leaves it as it is. It is as lenient as Dovecot 2.3 (message-header-decode.c): words may stand anywhere, hold
// spaces and be as long as they like; white space between two of them is dropped. One in an unknown character set is not
// brought into the form.
func AppendWords(dst, value []byte, form Form) []byte {
	if form == nil {
		form = func(dst, text []byte) ([]byte, bool) { return appendValid(dst, text), true }
	}
	start := 0
	var text, decoded []byte
	for at := 0; at+1 < len(value); {
		n := bytes.Index(value[at:], []byte("=?"))
		if n < 0 {
			break
		}
		at += n
		if between := value[start:at]; !isSpace(between) {
			dst, _ = form(dst, between)
		}
		var charset string
		var used int
		charset, text, used = cutWord(text[:0], value[at+2:])
		if used == 0 {
			start = at
			at += 2
			continue
		}
		at += 2 + used
		start = at
		if len(text) == 0 {
			continue
		}
		if IsUTF8(charset) {
			dst, _ = form(dst, text)
			continue
		}
		d, known := NewDecoder(charset)
		decoded = d.Append(decoded[:0], text, true)
		if !known {
			dst = append(dst, decoded...)
			continue
		}
		dst, _ = form(dst, decoded)
	}
	if start < len(value) {
		dst, _ = form(dst, value[start:])
	}
	return dst
}

func isSpace(b []byte) bool {
	for _, c := range b {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return false
		}
	}
	return true
}

// cutWord takes "charset?encoding?text?=" apart. used is 0 when it is none.
func cutWord(dst, b []byte) (charset string, text []byte, used int) {
	one := bytes.IndexByte(b, '?')
	if one < 0 {
		return "", dst, 0
	}
	two := bytes.IndexByte(b[one+1:], '?') + one + 1
	if two <= one {
		return "", dst, 0
	}
	three := bytes.IndexByte(b[two+1:], '?') + two + 1
	if three <= two || three+1 >= len(b) || b[three+1] != '=' {
		return "", dst, 0
	}
	switch b[one+1] {
	case 'q', 'Q':
		dst = appendQ(dst, b[two+1:three])
	case 'b', 'B':
		dst = appendBase64(dst, b[two+1:three])
	default:
		return "", dst, 0
	}
	return string(b[:one]), dst, three + 2
}

func appendQ(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '_':
			dst = append(dst, ' ')
		case b[i] == '=' && i+2 < len(b) && hexValue(b[i+1]) >= 0 && hexValue(b[i+2]) >= 0:
			dst = append(dst, byte(hexValue(b[i+1])<<4|hexValue(b[i+2])))
			i += 2
		default:
			dst = append(dst, b[i])
		}
	}
	return dst
}

func hexValue(b byte) int {
	switch {
	case b >= '0' && b <= '9':
		return int(b - '0')
	case b >= 'a' && b <= 'f':
		return int(b-'a') + 10
	case b >= 'A' && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}

// appendBase64 decodes up to what is none.
func appendBase64(dst, b []byte) []byte {
	bits, have := uint32(0), 0
	for _, c := range b {
		v := base64Value(c)
		switch {
		case v >= 0:
			if bits, have = bits<<6|uint32(v), have+6; have >= 8 {
				have -= 8
				dst = append(dst, byte(bits>>have))
			}
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return dst
		}
	}
	return dst
}

package layout

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// mutf7Base64 is the alphabet of RFC 3501 section 5.1.3: "," in place of "/", no padding, and no stray bits at the end.
var mutf7Base64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding).Strict()

var errMUTF7 = errors.New("not modified UTF-7")

// EncodeMUTF7 writes a name as modified UTF-7 (RFC 3501 section 5.1.3). It fails for a name that is not UTF-8.
func EncodeMUTF7(name string) (string, error) {
	if !utf8.ValidString(name) {
		return "", errors.New("not UTF-8")
	}
	var b strings.Builder
	for rest := name; rest != ""; {
		n := strings.IndexFunc(rest, func(r rune) bool { return r == '&' || !direct(r) })
		if n < 0 {
			n = len(rest)
		}
		b.WriteString(rest[:n])
		rest = rest[n:]
		if strings.HasPrefix(rest, "&") {
			b.WriteString("&-")
			rest = rest[1:]
			continue
		}
		if n = strings.IndexFunc(rest, direct); n < 0 {
			n = len(rest)
		}
		if n > 0 {
			b.WriteString("&" + mutf7Base64.EncodeToString(utf16BE(rest[:n])) + "-")
		}
		rest = rest[n:]
	}
	return b.String(), nil
}

// direct tells whether a character stands for itself (with "&" written "&-").
func direct(r rune) bool { return r >= 0x20 && r <= 0x7e }

func utf16BE(s string) []byte {
	var b []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		b = append(b, byte(unit>>8), byte(unit))
	}
	return b
}

// DecodeMUTF7 reads modified UTF-7. Only the one correct spelling of each name is accepted, so that encoding what was
// decoded gives the same bytes.
func DecodeMUTF7(s string) (string, error) {
	var b strings.Builder
	for rest := s; rest != ""; {
		n := strings.IndexByte(rest, '&')
		if n < 0 {
			n = len(rest)
		}
		if strings.IndexFunc(rest[:n], func(r rune) bool { return !direct(r) }) >= 0 {
			return "", errMUTF7
		}
		b.WriteString(rest[:n])
		if rest = rest[n:]; rest == "" {
			break
		}
		coded, after, ok := strings.Cut(rest[1:], "-")
		if !ok {
			return "", errMUTF7
		}
		rest = after
		if coded == "" {
			b.WriteByte('&')
			continue
		}
		if strings.HasPrefix(rest, "&") && !strings.HasPrefix(rest, "&-") {
			return "", errMUTF7 // two runs where one would do
		}
		if err := decodeRun(&b, coded); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

func decodeRun(b *strings.Builder, coded string) error {
	raw, err := mutf7Base64.DecodeString(coded)
	if err != nil || len(raw)%2 != 0 || strings.ContainsAny(coded, "\r\n") {
		return errMUTF7
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
	}
	for i := 0; i < len(units); i++ {
		r := rune(units[i])
		if utf16.IsSurrogate(r) {
			if i+1 == len(units) {
				return errMUTF7
			}
			i++
			if r = utf16.DecodeRune(r, rune(units[i])); r == utf8.RuneError {
				return errMUTF7
			}
		}
		if direct(r) {
			return errMUTF7
		}
		b.WriteRune(r)
	}
	return nil
}

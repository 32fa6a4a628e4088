package client

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// mUTF-7 of RFC 3501 section 5.1.3, written apart from package layout on purpose: what judges shares no code with what
// is judged.
var mutf7 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// Quote gives a mailbox name as IMAP's quoted string in mUTF-7.
func Quote(mailbox string) string {
	r := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	return `"` + r.Replace(Encode(mailbox)) + `"`
}

// Encode gives a name in mUTF-7.
func Encode(name string) string {
	var out strings.Builder
	var wide []rune
	flush := func() {
		if len(wide) == 0 {
			return
		}
		var b []byte
		for _, u := range utf16.Encode(wide) {
			b = append(b, byte(u>>8), byte(u))
		}
		out.WriteString("&" + mutf7.EncodeToString(b) + "-")
		wide = nil
	}
	for _, r := range name {
		switch {
		case r == '&':
			flush()
			out.WriteString("&-")
		case r >= 0x20 && r < 0x7f:
			flush()
			out.WriteRune(r)
		default:
			wide = append(wide, r)
		}
	}
	flush()
	return out.String()
}

// Decode reads mUTF-7; what cannot be decoded is given as it is.
func Decode(name string) string {
	var out strings.Builder
	for name != "" {
		before, rest, ok := strings.Cut(name, "&")
		out.WriteString(before)
		if !ok {
			break
		}
		code, after, ok := strings.Cut(rest, "-")
		switch b, err := mutf7.DecodeString(code); {
		case ok && code == "":
			out.WriteByte('&')
		case !ok || err != nil || len(b)%2 != 0:
			return name
		default:
			out.WriteString(decodeUTF16(b))
		}
		name = after
	}
	if s := out.String(); utf8.ValidString(s) {
		return s
	}
	return name
}

func decodeUTF16(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
	}
	return string(utf16.Decode(units))
}

package main

import (
	"encoding/base64"
	"fmt"
	"strings"
)

func qEncodeWord(cs string, raw []byte) string {
	var out strings.Builder
	start := func() { out.WriteString("=?" + cs + "?Q?") }
	start()
	n := 0
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if n > 50 && (c < 0x80 || c >= 0xc0) {
			out.WriteString("?=\n ")
			start()
			n = 0
		}
		switch {
		case c == ' ':
			out.WriteByte('_')
			n++
		case c > 0x20 && c < 0x7f && !strings.ContainsRune("=?_\"(),.:;<>@[]\\", rune(c)):
			out.WriteByte(c)
			n++
		default:
			fmt.Fprintf(&out, "=%02X", c)
			n += 3
		}
	}
	out.WriteString("?=")
	return out.String()
}
func bEncodeWord(cs string, raw []byte) string {
	return "=?" + cs + "?B?" + base64.StdEncoding.EncodeToString(raw) + "?="
}
func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
func (r *rng) hdrText(s string) string {
	if isASCII(s) {
		return s
	}
	if r.p(0.5) {
		return qEncodeWord("UTF-8", []byte(s))
	}
	// base64 words, split on rune borders
	var parts []string
	var cur []byte
	for _, c := range s {
		if len(cur) > 36 {
			parts = append(parts, bEncodeWord("utf-8", cur))
			cur = nil
		}
		cur = append(cur, string(c)...)
	}
	parts = append(parts, bEncodeWord("utf-8", cur))
	return strings.Join(parts, "\n ")
}

func qp(b []byte) []byte {
	const hx = "0123456789ABCDEF"
	out := make([]byte, 0, len(b)+len(b)/8)
	col := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '\n' {
			out = append(out, '\n')
			col = 0
			continue
		}
		w := 1
		enc := c == '=' || c >= 0x7f || (c < 0x20 && c != '\t') || ((c == ' ' || c == '\t') && (i+1 == len(b) || b[i+1] == '\n'))
		if enc {
			w = 3
		}
		if col+w > 75 {
			out = append(out, '=', '\n')
			col = 0
		}
		if enc {
			out = append(out, '=', hx[c>>4], hx[c&15])
		} else {
			out = append(out, c)
		}
		col += w
	}
	return out
}
func b64(b []byte) []byte {
	e := make([]byte, base64.StdEncoding.EncodedLen(len(b)))
	base64.StdEncoding.Encode(e, b)
	out := make([]byte, 0, len(e)+len(e)/76+1)
	for len(e) > 76 {
		out = append(append(out, e[:76]...), '\n')
		e = e[76:]
	}
	return append(append(out, e...), '\n')
}

// single-byte charsets by table of their upper half
var cp1251 = []rune("ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\u0098™љ›њќћџ\u00a0ЎўЈ¤Ґ¦§Ё©Є«¬\u00ad®Ї°±Ііґµ¶·ё№є»јЅѕїАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмнопрстуфхцчшщъыьэюя")
var koi8r = []rune("─│┌┐└┘├┤┬┴┼▀▄█▌▐░▒▓⌠■∙√≈≤≥\u00a0⌡°²·÷═║╒ё╓╔╕╖╗╘╙╚╛╜╝╞╟╠╡Ё╢╣╤╥╦╧╨╩╪╫╬©юабцдефгхийклмнопярстужвьызшэщчъЮАБЦДЕФГХИЙКЛМНОПЯРСТУЖВЬЫЗШЭЩЧЪ")

func toSingle(cs, s string) []byte {
	var tab []rune
	switch cs {
	case "windows-1251":
		tab = cp1251
	case "koi8-r":
		tab = koi8r
	}
	out := make([]byte, 0, len(s))
	for _, c := range s {
		switch {
		case c < 0x80:
			out = append(out, byte(c))
		case tab == nil && c >= 0xa0 && c < 0x100:
			out = append(out, byte(c))
		case cs == "iso-8859-7" && c >= 0x384 && c <= 0x3ce:
			out = append(out, byte(c-0x384+0xb4))
		case cs == "iso-8859-8" && c >= 0x5d0 && c <= 0x5ea:
			out = append(out, byte(c-0x5d0+0xe0))
		default:
			b := byte('?')
			for i, t := range tab {
				if t == c {
					b = byte(0x80 + i)
				}
			}
			out = append(out, b)
		}
	}
	return out
}

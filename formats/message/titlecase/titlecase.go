// Package titlecase brings text into the form in which Dovecot compares and sorts it: every letter in titlecase, and
// decomposed by one step of Unicode's decompositions, whether they are canonical or not. It is what Dovecot 2.3 has for
// i;unicode-casemap (RFC 5051): src/lib/unichar.c, uni_utf8_to_decomposed_titlecase.
//
// One step only: U+1EA5 becomes U+00C2 U+0301, in which "A" is not found. Characters beyond U+FFFF are replaced when
// their decomposition is a single character. A run of bytes that are not UTF-8 becomes one U+FFFD.
//
// decompositions.tsv is field 5 of Unicode 14's UnicodeData.txt without its tags: a character and what it becomes, in
// hex. Characters that have a titlecase are not in it, as they never come that far.
package titlecase

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

//go:embed decompositions.tsv
var decompositions string

// pages are the decompositions in UTF-8, by the upper bits of the character and then by the lower eight.
type pages map[rune]*[256]string

var table = sync.OnceValue(func() pages {
	p := pages{}
	for line := range strings.Lines(decompositions) {
		from, to, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		r := hex(from)
		page := p[r>>8]
		if page == nil {
			page = new([256]string)
			p[r>>8] = page
		}
		var text []rune
		for code := range strings.SplitSeq(to, " ") {
			text = append(text, hex(code))
		}
		page[r&0xff] = string(text)
	}
	return p
})

func hex(s string) rune {
	n, err := strconv.ParseInt(s, 16, 32)
	if err != nil {
		panic("titlecase: decompositions.tsv: " + err.Error())
	}
	return rune(n)
}

var replacement = []byte("\uFFFD")

// Append appends text in that form to dst. valid is false when some of text is not UTF-8.
func Append(dst, text []byte) (out []byte, valid bool) {
	valid = true
	for len(text) > 0 {
		if text[0] < utf8.RuneSelf {
			var n int
			dst, n = appendASCII(dst, text)
			text = text[n:]
			continue
		}
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size <= 1 {
			valid = false
			if !bytes.HasSuffix(dst, replacement) {
				dst = append(dst, replacement...)
			}
			text = text[1:]
			continue
		}
		text = text[size:]
		dst = appendRune(dst, r)
	}
	return dst, valid
}

// String is Append for strings.
func String(text string) string {
	out, _ := Append(make([]byte, 0, len(text)+len(text)/8), []byte(text))
	return string(out)
}

// appendASCII appends the ASCII that text begins with, and tells how long it is.
func appendASCII(dst, text []byte) ([]byte, int) {
	const high, each = 0x8080808080808080, 0x0101010101010101
	n := 0
	for ; n+8 <= len(text); n += 8 {
		x := binary.LittleEndian.Uint64(text[n:])
		if x&high != 0 {
			break
		}
		// The highest bit of each byte that is at least "a" and below the one behind "z".
		small := (x + (0x80-'a')*each) &^ (x + (0x80-'z'-1)*each) & high
		dst = binary.LittleEndian.AppendUint64(dst, x-small>>2)
	}
	for ; n < len(text) && text[n] < utf8.RuneSelf; n++ {
		b := text[n]
		if b-'a' < 26 {
			b -= 'a' - 'A'
		}
		dst = append(dst, b)
	}
	return dst, n
}

const (
	hangulFirst, hangulLast       = 0xAC00, 0xD7A3
	hangulL, hangulV, hangulT     = 0x1100, 0x1161, 0x11A7
	hangulVowels, hangulTrailings = 21, 28
)

// forms are those of characters, by their upper bits and then by the lower eight; each page is made when it is needed.
// Characters behind them are as they are.
var forms [0x300]atomic.Pointer[[256]string]

func appendRune(dst []byte, r rune) []byte {
	if r>>8 >= rune(len(forms)) {
		return utf8.AppendRune(dst, r)
	}
	page := forms[r>>8].Load()
	if page == nil {
		page = new([256]string)
		for i := range rune(256) {
			page[i] = string(makeForm(nil, r&^0xff|i))
		}
		forms[r>>8].Store(page)
	}
	return append(dst, page[r&0xff]...)
}

func makeForm(dst []byte, r rune) []byte {
	r = unicode.ToTitle(r)
	if r >= hangulFirst && r <= hangulLast {
		n := r - hangulFirst
		dst = utf8.AppendRune(dst, hangulL+n/(hangulVowels*hangulTrailings))
		dst = utf8.AppendRune(dst, hangulV+n%(hangulVowels*hangulTrailings)/hangulTrailings)
		if t := n % hangulTrailings; t != 0 {
			dst = utf8.AppendRune(dst, hangulT+t)
		}
		return dst
	}
	if page := table()[r>>8]; page != nil {
		if text := page[r&0xff]; text != "" {
			return append(dst, text...)
		}
	}
	return utf8.AppendRune(dst, r)
}

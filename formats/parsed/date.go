package parsed

import (
	"bytes"
	"strings"
	"time"
)

// ParseDate reads the value of a Date field (RFC 5322 section 3.3) as Dovecot does (message-date.c): a date that does not
// exist is none, an unknown zone is UTC, and seconds are counted in 32 bits without a sign, so a date before 1970 is one
// after 2038. at is in seconds since 1970, zone in minutes.
func ParseDate(value []byte) (at int64, zone int, ok bool) {
	p := dateReader{b: value}
	p.skip()
	word := p.word()
	if len(word) == 3 {
		if !p.take(",") {
			return 0, 0, false
		}
		p.skip()
		word = p.word()
	}
	day, ok := number(word, 1, 2)
	month := monthOf(p.word())
	year := yearOf(p.word())
	hour, okHour := number(p.word(), 1, 2)
	if !ok || month == 0 || year < 0 || !okHour || !p.take(":.") {
		return 0, 0, false
	}
	p.skip()
	minute, ok := number(p.word(), 2, 2)
	second := 0
	if ok && p.take(":.") {
		p.skip()
		second, ok = number(p.word(), 2, 2)
	}
	if !ok || p.bad {
		return 0, 0, false
	}
	name := p.word()
	if p.bad {
		return 0, 0, false
	}
	if second == 60 { // a leap second
		second = 59
	}
	t := time.Date(year, month, day, hour, minute, second, 0, time.UTC)
	if t.Day() != day || t.Hour() != hour || t.Minute() != minute || t.Second() != second {
		return 0, 0, false
	}
	zone = zoneOf(name)
	return int64(uint32(t.Unix() - int64(zone)*60)), zone, true
}

// dateReader takes words out of a text with comments.
type dateReader struct {
	b   []byte
	bad bool
}

// skip passes white space and comments.
func (p *dateReader) skip() {
	for len(p.b) > 0 {
		switch p.b[0] {
		case ' ', '\t', '\r', '\n':
			p.b = p.b[1:]
		case '(':
			p.comment()
		default:
			return
		}
	}
}

func (p *dateReader) comment() {
	depth := 0
	for i := 0; i < len(p.b); i++ {
		switch p.b[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				p.b = p.b[i+1:]
				return
			}
		case '\\':
			if i+1 < len(p.b) && p.b[i+1] != '\r' && p.b[i+1] != '\n' && p.b[i+1] != 0 {
				i++
			}
		}
	}
	p.b, p.bad = nil, true
}

// word takes an atom and what may be passed behind it. Something else in its place is bad; nothing at all is not.
func (p *dateReader) word() []byte {
	n := 0
	for n < len(p.b) && isAtext(p.b[n]) {
		n++
	}
	word := p.b[:n]
	p.bad = p.bad || n == 0 && len(p.b) > 0
	p.b = p.b[n:]
	p.skip()
	return word
}

func isAtext(b byte) bool {
	return b >= 0x80 || b > ' ' && b != 0x7f && strings.IndexByte(`()<>@,;:\".[]`, b) < 0
}

// take passes one of these characters.
func (p *dateReader) take(any string) bool {
	if len(p.b) == 0 || strings.IndexByte(any, p.b[0]) < 0 {
		return false
	}
	p.b = p.b[1:]
	return true
}

func number(word []byte, least, most int) (n int, ok bool) {
	if len(word) < least || len(word) > most {
		return 0, false
	}
	for _, b := range word {
		if b < '0' || b > '9' {
			return 0, false
		}
		n = n*10 + int(b-'0')
	}
	return n, true
}

const months = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"

func monthOf(word []byte) time.Month {
	if len(word) < 3 {
		return 0
	}
	n := strings.Index(months, string(appendUpper(nil, word[:3])))
	if n%3 != 0 {
		return 0
	}
	return time.Month(n/3 + 1)
}

// yearOf takes two digits for 1970 to 2069; -1 is none.
func yearOf(word []byte) int {
	if len(word) != 2 && len(word) != 4 {
		return -1
	}
	n, ok := number(word, 2, 4)
	switch {
	case !ok || len(word) == 4 && n < 1900:
		return -1
	case len(word) == 4:
		return n
	case n < 70:
		return n + 2000
	}
	return n + 1900
}

// zoneOf gives a zone's offset in minutes: digits, a military letter, or one of the zones of the United States.
func zoneOf(word []byte) int {
	switch len(word) {
	case 5:
		hours, ok := number(word[1:3], 2, 2)
		minutes, ok2 := number(word[3:5], 2, 2)
		switch {
		case !ok || !ok2:
			return 0
		case word[0] == '+':
			return hours*60 + minutes
		case word[0] == '-':
			return -hours*60 - minutes
		}
	case 1:
		return militaryZone(word[0])
	case 3:
		upper := appendUpper(nil, word[:2])
		hours := bytes.IndexByte([]byte("ECMP"), upper[0])
		if word[2] != 'T' || hours < 0 {
			return 0
		}
		switch upper[1] {
		case 'D':
			return -(hours+5)*60 + 60
		case 'S':
			return -(hours + 5) * 60
		}
	}
	return 0
}

// militaryZone is meant as it was before RFC 822 had it the wrong way round.
func militaryZone(b byte) int {
	upper := b
	if b-'a' < 26 {
		upper -= 'a' - 'A'
	}
	n := int(b)
	switch {
	case upper < 'J':
		return (n - 'A' + 1) * 60
	case upper == 'J':
		return 0
	case upper <= 'M':
		return (n - 'A') * 60
	case upper < 'Z':
		return ('M' - n) * 60
	}
	return 0
}

package message

import "time"

// ParseDate reads a Date field as leniently as Dovecot's message-date.c does: the weekday, its seconds and the zone may
// be missing, a zone that is not known is UTC. ok is false where no date can be read.
func ParseDate(value []byte) (t time.Time, ok bool) {
	d := dateParser{}
	d.lex.reset(value)
	d.lex.skip()
	return d.date()
}

type dateParser struct {
	lex   lexer
	token []byte
}

// next reads an atom, which is empty at the end.
func (d *dateParser) next() bool {
	d.token = d.token[:0]
	if d.lex.atEnd() {
		return true
	}
	var r result
	d.token, r = d.lex.atom(d.token)
	return r != bad
}

// digits gives the token as a number of at least min and at most max digits.
func (d *dateParser) digits(least, most int) (n int, ok bool) {
	if len(d.token) < least || len(d.token) > most {
		return 0, false
	}
	for _, c := range d.token {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// separator takes ":" or, as some programs write, ".".
func (d *dateParser) separator() bool {
	if !d.lex.at(':') && !d.lex.at('.') {
		return false
	}
	d.lex.i++
	d.lex.skip()
	return true
}

func (d *dateParser) date() (_ time.Time, ok bool) {
	if !d.next() {
		return time.Time{}, false
	}
	if len(d.token) == 3 {
		if !d.lex.at(',') {
			return time.Time{}, false
		}
		d.lex.i++
		if d.lex.skip(); !d.next() {
			return time.Time{}, false
		}
	}
	day, ok := d.digits(1, 2)
	if !ok || !d.next() {
		return time.Time{}, false
	}
	month := d.month()
	if month == 0 || !d.next() {
		return time.Time{}, false
	}
	year, ok := d.year()
	if !ok || !d.next() {
		return time.Time{}, false
	}
	hour, ok := d.digits(1, 2)
	if !ok || !d.separator() || !d.next() {
		return time.Time{}, false
	}
	minute, ok := d.digits(2, 2)
	if !ok {
		return time.Time{}, false
	}
	second := 0
	if d.separator() {
		if !d.next() {
			return time.Time{}, false
		}
		if second, ok = d.digits(2, 2); !ok {
			return time.Time{}, false
		}
	}
	if !d.next() || day == 0 || day > 31 || hour > 23 || minute > 59 || second > 60 {
		return time.Time{}, false
	}
	zone := zoneMinutes(d.token)
	second = min(second, 59) // utc-mktime.c: a leap second is the one before it, and a day that does not exist is none
	t := time.Date(year, month, day, hour, minute, second, 0, time.FixedZone("", zone*60))
	return t, t.Day() == day
}

func (d *dateParser) month() time.Month {
	if len(d.token) < 3 {
		return 0
	}
	const months = "janfebmaraprmayjunjulaugsepoctnovdec"
	for m := range 12 {
		if equalFold(d.token[:3], months[3*m:3*m+3]) {
			return time.Month(m + 1)
		}
	}
	return 0
}

func (d *dateParser) year() (int, bool) {
	if len(d.token) == 2 {
		y, ok := d.digits(2, 2)
		if y < 70 {
			y += 100
		}
		return y + 1900, ok
	}
	y, ok := d.digits(4, 4)
	return y, ok && y >= 1900
}

// zoneMinutes reads "+0100", "EST" or a military letter (RFC 822 section 5.1, the letters the right way round).
func zoneMinutes(zone []byte) int {
	switch {
	case len(zone) == 5 && (zone[0] == '+' || zone[0] == '-'):
		d := dateParser{token: zone[1:]}
		n, ok := d.digits(4, 4)
		if !ok {
			return 0
		}
		if n = n/100*60 + n%100; zone[0] == '-' {
			return -n
		}
		return n
	case len(zone) == 1:
		return militaryZone(zone[0])
	case len(zone) == 3 && zone[2] == 'T':
		hours := map[byte]int{'e': -5, 'c': -6, 'm': -7, 'p': -8}[lowered(zone[0])]
		switch {
		case hours == 0:
			return 0
		case lowered(zone[1]) == 'd':
			return (hours + 1) * 60
		case lowered(zone[1]) == 's':
			return hours * 60
		}
	}
	return 0
}

func militaryZone(c byte) int {
	switch c = lowered(c); {
	case c >= 'a' && c < 'j':
		return int(c-'a'+1) * 60
	case c > 'j' && c <= 'm':
		return int(c-'a') * 60
	case c > 'm' && c < 'z':
		return (int('m') - int(c)) * 60
	}
	return 0
}

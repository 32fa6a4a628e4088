package mbox

import (
	"bytes"
	"errors"
	"time"
)

// fromLine is what a From_ line says.
type fromLine struct {
	sender []byte // part of the line
	date   time.Time
}

var (
	fromPrefix  = []byte("From ")
	errFromLine = errors.New("no From_ line with a date")
)

// minDate is the length of the shortest date: "Thu Nov  9 22:33 2001".
const minDate = 21

// parseFromLine reads a From_ line without its line end. Which dates it takes, and how it reads their zones, is what
// Dovecot 2.3.19.1 does (lib-mail/mbox-from.c), because whatever it takes for a From_ line ends the message before it:
//
//	Www Mmm [D]D HH:MM[:SS] [ZONE ]YYYY[ +hhmm]    a zone before the year is skipped
//	Www, [D]D Mmm YYYY HH:MM:SS[ +hhmm]
//
// Of a zone behind the date the minutes count as seconds there; so they do here, or dates would differ from those that
// clients saw. A date without zone is in zone, which is the local one of the program that wrote it.
func parseFromLine(line []byte, zone *time.Location) (fromLine, error) {
	rest, ok := bytes.CutPrefix(line, fromPrefix)
	if !ok {
		return fromLine{}, errFromLine
	}
	n := senderLen(rest)
	f := fromLine{sender: rest[:n]}
	rest = bytes.TrimLeft(rest[n:], " ")
	if len(rest) < minDate {
		return fromLine{}, errFromLine
	}
	p := dateParser{b: rest}
	if p.date(zone); p.bad {
		return fromLine{}, errFromLine
	}
	f.date = p.result
	return f, nil
}

// senderLen finds the end of the sender: the first space behind a quoted part that it may begin with.
func senderLen(b []byte) int {
	i := 0
	if len(b) > 0 && b[0] == '"' {
		escaped := false
		for i = 1; i < len(b) && (b[i] != '"' || escaped); i++ {
			escaped = b[i] == '\\'
		}
	}
	for i < len(b) && b[i] != ' ' {
		i++
	}
	return min(i, len(b))
}

// dateParser eats the date of a From_ line from the front; bad stays set once something does not fit.
type dateParser struct {
	b                            []byte
	bad                          bool
	year, month, day             int
	hour, minute, second, offset int
	hasOffset                    bool
	result                       time.Time
}

func (p *dateParser) date(zone *time.Location) {
	p.b = p.b[4:] // the weekday is not looked at
	if p.monthName(p.b) {
		p.asctime()
	} else {
		p.internet()
	}
	if p.bad {
		return
	}
	p.trailingZone()
	p.finish(zone)
}

// asctime reads "Nov  9 22:33[:52] [ZONE ]2001".
func (p *dateParser) asctime() {
	p.b = p.b[4:]
	if p.peek(0) == ' ' {
		p.b = p.b[1:]
	}
	if p.peek(1) == ' ' {
		p.day = p.digits(1)
	} else {
		p.day = p.digits(2)
	}
	p.eat(' ')
	p.clock()
	p.eat(' ')
	if len(p.b) >= 4 && !allDigits(p.b[:4]) {
		_, rest, ok := bytes.Cut(p.b, []byte(" "))
		p.b, p.bad = rest, p.bad || !ok
	}
	p.year = p.digits(4)
}

// internet reads ", 9 Nov 2001 22:33:52", of which the comma and what stands before it are skipped.
func (p *dateParser) internet() {
	p.b = p.b[1:]
	if isDigit(p.peek(1)) {
		p.day = p.digits(2)
	} else {
		p.day = p.digits(1)
	}
	p.eat(' ')
	if p.bad || !p.monthName(p.b) {
		p.bad = true
		return
	}
	p.b = p.b[4:]
	p.year = p.digits(4)
	p.skip(1)
	p.clock()
}

// clock reads HH:MM[:SS].
func (p *dateParser) clock() {
	p.hour = p.digits(2)
	p.eat(':')
	p.minute = p.digits(2)
	if p.peek(0) == ':' {
		p.b = p.b[1:]
		p.second = p.digits(2)
	}
}

func (p *dateParser) trailingZone() {
	b := p.b
	if len(b) < 6 || b[0] != ' ' || b[1] != '+' && b[1] != '-' || !allDigits(b[2:6]) {
		return
	}
	p.hasOffset = true
	p.offset = (int(b[2]-'0')*10+int(b[3]-'0'))*3600 + int(b[4]-'0')*10 + int(b[5]-'0')
	if b[1] == '-' {
		p.offset = -p.offset
	}
}

// finish makes the time. With a zone, fields that are out of range are no date; without one they are carried over to
// the next field, as mktime(3) does.
func (p *dateParser) finish(zone *time.Location) {
	p.day = max(p.day, 1)
	if !p.hasOffset {
		p.result = time.Date(p.year, time.Month(p.month), p.day, p.hour, p.minute, p.second, 0, zone).UTC()
		return
	}
	if p.second == 60 {
		p.second = 59
	}
	t := time.Date(p.year, time.Month(p.month), p.day, p.hour, p.minute, p.second, 0, time.UTC)
	if t.Day() != p.day || t.Hour() != p.hour || t.Minute() != p.minute || t.Second() != p.second {
		p.bad = true
		return
	}
	p.result = t.Add(-time.Duration(p.offset) * time.Second)
}

const monthNames = "janfebmaraprmayjunjulaugsepoctnovdec"

// monthName tells whether b begins with a month and a space. "???" is January.
func (p *dateParser) monthName(b []byte) bool {
	if len(b) < 4 || b[3] != ' ' {
		return false
	}
	if string(b[:3]) == "???" {
		p.month = 1
		return true
	}
	name := [3]byte{b[0] | 0x20, b[1] | 0x20, b[2] | 0x20}
	for i := 0; i < len(monthNames); i += 3 {
		if string(name[:]) == monthNames[i:i+3] && isLetter(b[0]) && isLetter(b[1]) && isLetter(b[2]) {
			p.month = i/3 + 1
			return true
		}
	}
	return false
}

func (p *dateParser) peek(i int) byte {
	if i >= len(p.b) {
		return 0
	}
	return p.b[i]
}

func (p *dateParser) skip(n int) {
	if len(p.b) < n {
		p.bad = true
		return
	}
	p.b = p.b[n:]
}

func (p *dateParser) eat(c byte) {
	if p.peek(0) != c {
		p.bad = true
		return
	}
	p.b = p.b[1:]
}

func (p *dateParser) digits(n int) int {
	if len(p.b) < n || !allDigits(p.b[:n]) {
		p.bad = true
		return 0
	}
	v := 0
	for _, c := range p.b[:n] {
		v = v*10 + int(c-'0')
	}
	p.b = p.b[n:]
	return v
}

func allDigits(b []byte) bool {
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// fromDate is how we write dates: as asctime(3) does, which every reader of mbox files takes, and with a zone, without
// which Dovecot takes its own.
const fromDate = "Mon Jan _2 15:04:05 2006 +0000"

// appendFromLine adds a From_ line with its line end. A sender that would not be read back is MAILER-DAEMON.
func appendFromLine(b []byte, sender string, date time.Time) []byte {
	date = date.UTC()
	if date.Year() < 1 || date.Year() > 9999 {
		date = time.Unix(0, 0).UTC() // four digits have room for no other year
	}
	b = append(b, fromPrefix...)
	b = append(b, cleanSender(sender)...)
	b = append(b, ' ', ' ')
	b = date.AppendFormat(b, fromDate)
	return append(b, '\n')
}

const defaultSender = "MAILER-DAEMON"

// maxSender is the longest address of RFC 5321 section 4.5.3.1.3, and a little.
const maxSender = 320

func cleanSender(sender string) string {
	if sender == "" || len(sender) > maxSender {
		return defaultSender
	}
	for i := range len(sender) {
		if c := sender[i]; c <= ' ' || c >= 0x7f || c == '"' {
			return defaultSender
		}
	}
	return sender
}

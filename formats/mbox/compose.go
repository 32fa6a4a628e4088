package mbox

import (
	"bytes"
	"errors"
	"net/mail"
	"strings"
	"time"
)

// composer turns a message into its form in the file, as the message streams through it: a From_ line, the header
// without hidden fields but with ours, the body as it is, and the line end that separates it from the next message.
//
// One thing cannot be held as it is: a line in the header that looks like a From_ line would end the message; it gets a
// ">" in front.
type composer struct {
	out  *spool
	own  ownFields
	date time.Time
	size int64 // what the message is said to have, for Content-Length

	header  []byte // not yet written
	begun   bool   // the From_ line is written
	pend    []byte // a line that is not complete
	middle  bool   // the line before was only the beginning of one
	hiding  bool   // in a hidden field
	sender  string
	from    string
	inBody  bool
	in      int64 // bytes taken while in the header
	last    byte
	ownAt   int64 // where our fields begin
	ownLen  int
	uidAt   int64
	bodyAt  int64
	noTail  bool // the separator is written already
	failure error

	ownFirst bool // our fields come before the message's
	blank    bool // the message begins with a blank: its first line would go on in a field before it
}

// errOwnFirst asks for the message to be composed again with our fields first.
var errOwnFirst = errors.New("behind this header there is no place for fields")

// Limits of what is kept of a header in memory.
const (
	maxLine   = 64 << 10
	maxHeader = 1 << 20
)

func (c *composer) Write(p []byte) (int, error) {
	n := len(p)
	if n > 0 {
		c.blank = c.blank || c.in == 0 && isBlank(p[0])
		c.last = p[n-1]
	}
	for len(p) > 0 && c.failure == nil {
		if c.inBody {
			_, c.failure = c.out.Write(p)
			break
		}
		line := p
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			line = p[:i+1]
		}
		p = p[len(line):]
		c.in += int64(len(line))
		c.piece(line)
	}
	return n, c.failure
}

// piece takes a line or a part of one.
func (c *composer) piece(line []byte) {
	if len(c.pend) > 0 {
		c.pend = append(c.pend, line...)
		line = c.pend
	}
	complete := line[len(line)-1] == '\n'
	if !complete && len(line) < maxLine {
		if len(c.pend) == 0 {
			c.pend = append(c.pend, line...)
		}
		return
	}
	c.line(line)
	c.middle = !complete
	c.pend = c.pend[:0]
}

func (c *composer) line(line []byte) {
	switch {
	case c.middle, isBlank(line[0]):
	case blankLine(line) > 0:
		c.endHeader(line)
		return
	default:
		name := fieldName(line)
		c.hiding = hiddenField(name) != notHidden
		c.noteSender(name, line)
		if headerProblem(trimEOL(line)) != "" {
			c.header = append(c.header, '>')
		}
	}
	if c.hiding {
		return
	}
	c.header = append(c.header, line...)
	if len(c.header) > maxHeader {
		c.writeHeader()
	}
}

// headerProblem: see Limits.
func headerProblem(line []byte) string {
	if !bytes.HasPrefix(line, fromPrefix) {
		return ""
	}
	if _, err := parseFromLine(line, time.UTC); err != nil {
		return ""
	}
	return `it would begin a new message in mbox and gets a ">" in front`
}

func (c *composer) noteSender(name, line []byte) {
	switch {
	case c.sender == "" && equalFold(name, "Return-Path"):
		c.sender = address(fieldValue(line))
		if c.sender == "" {
			c.sender = defaultSender
		}
	case c.from == "" && equalFold(name, "From"):
		c.from = address(fieldValue(line))
	}
}

// address finds the address in a field that holds one.
func address(value []byte) string {
	text := strings.TrimSpace(string(value))
	if a, err := mail.ParseAddress(text); err == nil {
		return a.Address
	}
	_, rest, _ := strings.Cut(text, "<")
	inner, _, _ := strings.Cut(rest, ">")
	return inner
}

// writeHeader writes what is kept of the header; first the From_ line.
func (c *composer) writeHeader() {
	if !c.begun {
		c.begun = true
		sender := c.sender
		if sender == "" {
			sender = c.from
		}
		c.write(appendFromLine(nil, sender, c.date))
		if c.ownFirst {
			c.own.contentLength = -1
			c.writeOwn()
		}
	}
	c.write(c.header)
	c.header = c.header[:0]
}

func (c *composer) write(p []byte) {
	if c.failure == nil {
		_, c.failure = c.out.Write(p)
	}
}

// endHeader writes our fields and the empty line.
func (c *composer) endHeader(blank []byte) {
	c.own.contentLength = max(c.size-c.in, 0)
	c.writeHeader()
	c.writeOwn()
	c.write(blank)
	c.inBody, c.bodyAt = true, c.out.pos()
}

func (c *composer) writeOwn() {
	text, uidAt := c.own.append(nil)
	c.ownAt, c.ownLen, c.uidAt = c.out.pos(), len(text), c.out.pos()+int64(uidAt)
	c.write(text)
}

// finish ends the message.
func (c *composer) finish() error {
	if !c.inBody {
		c.endWithoutBody()
	} else {
		c.fixLength()
	}
	if !c.noTail {
		c.write(separator(c.last))
	}
	return c.failure
}

// separator is the line end behind a message whose last byte is last. Behind a bare CR it is CR LF: of a LF alone
// Dovecot would take the message's CR for a part (2.3.19.1 even dies of it).
func separator(last byte) []byte {
	if last == '\r' {
		return []byte("\r\n")
	}
	return []byte("\n")
}

// endWithoutBody ends a message that is all header, without an empty line: none is added. Our fields then stand at its
// end, and the line end of the last one is the separator; or before its last line, when that has no line end; or before
// everything, when that line cannot be parted from what is before it.
func (c *composer) endWithoutBody() {
	c.own.contentLength = -1
	rest := c.pend
	if len(rest) == 0 && !c.middle || len(rest) > 0 && hiddenField(fieldName(rest)) != notHidden && !c.middle {
		c.noTail = true
		c.writeHeader()
		c.writeOwn()
		return
	}
	if c.ownFirst {
		if len(rest) > 0 {
			c.line(rest)
		}
		c.writeHeader()
		return
	}
	if c.middle || isBlank(rest[0]) { // it belongs to the line before, and behind it there must be a line end
		if !c.blank && !c.hiding {
			c.failure = errOwnFirst
			return
		}
		c.line(append(rest, '\n'))
		c.noTail = true
		c.writeHeader()
		c.writeOwn()
		return
	}
	c.writeHeader()
	c.writeOwn()
	c.line(rest)
	c.writeHeader()
}

// fixLength puts the right Content-Length where the size was not what the message was said to have. The spaces behind
// the keywords make up for the digits.
func (c *composer) fixLength() {
	length := c.out.pos() - c.bodyAt
	if c.failure != nil || length == c.own.contentLength {
		return
	}
	c.own.contentLength = length
	text, _ := c.own.append(nil)
	c.own.pad += c.ownLen - len(text)
	text, _ = c.own.append(nil)
	c.failure = c.out.patch(c.ownAt, text)
}

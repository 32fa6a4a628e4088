package imapwire

import (
	"io"
	"math"
	"strings"
)

// Classes of bytes (RFC 3501 section 9).
const (
	isAtom    = 1 << iota // ATOM-CHAR
	isTag                 // tag
	isAString             // ASTRING-CHAR
	isList                // list-char
	isFlag                // of a keyword: as an atom, and what is no list, so that the server can tell what is wrong with it
	isQuoted              // between quotes, without a backslash before it
)

var classes = func() (c [256]uint8) {
	for i := range c {
		b := byte(i)
		switch {
		case b == 0 || b == '\r' || b == '\n':
			continue
		case b != '"' && b != '\\':
			c[i] |= isQuoted
		}
		if b > ' ' && b < 0x7f && strings.IndexByte(`(){"`, b) < 0 {
			c[i] |= isFlag
		}
		if b <= ' ' || b == 0x7f || strings.IndexByte(`(){%*"\`, b) >= 0 {
			continue
		}
		c[i] |= isAString | isList
		if b != ']' {
			c[i] |= isAtom
		}
		if b != '+' && b < 0x80 {
			c[i] |= isTag
		}
	}
	c['%'] |= isList
	c['*'] |= isList
	return c
}()

// word reads bytes of a class, at least one. what names them in the error.
func (d *Decoder) word(class uint8, what string) string {
	var text []byte
	d.peek() // which may move what is buffered
	start := d.pos
	for classes[d.peek()]&class != 0 && d.err == nil {
		d.skip()
		if d.pos == d.end { // the word may go on in the next buffer
			text = append(text, d.buf[start:d.pos]...)
			d.peek()
			start = d.pos
		}
	}
	if d.err != nil {
		return ""
	}
	text = append(text, d.buf[min(start, d.pos):d.pos]...)
	if len(text) == 0 {
		d.missing(what)
	}
	return string(text)
}

// missing says that something else was expected.
func (d *Decoder) missing(what string) {
	switch b := d.peek(); {
	case d.err != nil:
	case b == '\r' || b == '\n':
		d.fail("Missing %s", what)
	case b == 0:
		d.fail("NUL in command")
	case b >= 0x80:
		d.fail("8bit data in atom")
	default:
		d.fail("Invalid %s", what)
	}
}

// keyword reads an atom in upper case.
func (d *Decoder) keyword(what string) string { return strings.ToUpper(d.word(isAtom, what)) }

// space goes past one or more spaces.
func (d *Decoder) space(before string) {
	if !d.accept(' ') {
		d.missing(before)
		return
	}
	for d.accept(' ') {
	}
}

// more goes past spaces if something follows on the line.
func (d *Decoder) more() bool {
	if d.peek() != ' ' || d.err != nil {
		return false
	}
	for d.accept(' ') {
	}
	b := d.peek()
	return d.err == nil && b != '\r' && b != '\n'
}

// finish wants the end of the line.
func (d *Decoder) finish() {
	for d.accept(' ') {
	}
	if d.err == nil && !d.lineEnd() {
		d.fail("Too many arguments")
	}
}

// astring reads an atom, a quoted string or a literal (astring).
func (d *Decoder) astring(what string) string {
	switch d.peek() {
	case '"':
		return d.quoted()
	case '{': // "~{" is for messages only; "~" alone is a character like any
		return d.held(what)
	}
	return d.word(isAString, what)
}

// nstring reads NIL or a string (nstring); ok is false for NIL.
func (d *Decoder) nstring(what string) (text string, ok bool) {
	switch d.peek() {
	case '"':
		return d.quoted(), true
	case '{':
		return d.held(what), true
	}
	if word := d.word(isAtom, what); d.err == nil && !strings.EqualFold(word, "NIL") {
		d.fail("Invalid %s", what)
	}
	return "", false
}

// pattern reads what LIST looks for: an astring in which % and * may stand (list-mailbox).
func (d *Decoder) pattern() string {
	if b := d.peek(); b == '"' || b == '{' {
		return d.astring("mailbox pattern")
	}
	return d.word(isList|isAString, "mailbox pattern")
}

func (d *Decoder) quoted() string {
	d.skip()
	var text []byte
	for {
		b := d.peek()
		switch {
		case d.err != nil:
			return ""
		case b == '"':
			d.skip()
			return string(text)
		case b == '\\':
			d.skip()
			if b = d.peek(); d.err == nil && b != '"' && b != '\\' {
				d.fail(`Invalid character after '\' in a quoted string`)
				return ""
			}
		case classes[b]&isQuoted == 0:
			if b == 0 {
				d.fail("NUL in command")
			} else {
				d.fail(`Missing '"'`)
			}
			return ""
		}
		text = append(text, b)
		d.skip()
	}
}

// opening reads "{5}", "{5+}" or "~{5}" with its line end. For a literal that the client waits with, asked is false.
func (d *Decoder) opening(what string) (size uint64, binary, asked bool) {
	binary = d.accept('~')
	if !d.accept('{') {
		d.missing(what)
		return 0, false, false
	}
	size = d.number64("literal size")
	asked = d.accept('+')
	if !d.accept('}') {
		d.fail("Missing '}'")
	}
	if d.err == nil && !d.lineEnd() {
		d.fail("Invalid literal")
	}
	if d.err != nil {
		return 0, false, false
	}
	d.atEnd = !asked // a client that waits has nothing more to say if it is refused
	if asked && !d.Plus && !(d.Minus && size <= 4096) {
		d.failPast(size, "Literals that are not waited for are not supported")
	}
	return size, binary, asked
}

// failPast says no to a literal that the client is sending already.
func (d *Decoder) failPast(size uint64, why string) {
	d.fail("%s", why)
	if err := d.refuse(size); err != nil {
		d.err = err
	}
}

// held reads a literal into memory.
func (d *Decoder) held(what string) string {
	size, binary, asked := d.opening(what)
	switch {
	case d.err != nil:
		return ""
	case size > uint64(d.limit()) && asked:
		d.err = d.tooMuch(tooLongLiteral)
		return ""
	case size > uint64(d.left) && asked:
		d.failPast(size, tooLongLiteral)
		return ""
	case size > uint64(d.left):
		d.fail(tooLongLiteral)
		return ""
	case !asked:
		if err := d.Continue(); err != nil {
			d.err = err
			return ""
		}
	}
	d.atEnd = false
	text := make([]byte, 0, size)
	for uint64(len(text)) < size {
		if d.pos == d.end {
			if err := d.fill(); err != nil {
				d.err = unexpected(err)
				return ""
			}
		}
		n := min(d.end-d.pos, int(size)-len(text))
		text = append(text, d.buf[d.pos:d.pos+n]...)
		d.pos += n
	}
	d.left -= len(text)
	if !binary && strings.IndexByte(string(text), 0) >= 0 {
		d.fail("NUL in literal")
		return ""
	}
	return string(text)
}

// number64 reads a number of at most 63 bits.
func (d *Decoder) number64(what string) uint64 {
	var n uint64
	digits := 0
	for b := d.peek(); b >= '0' && b <= '9' && d.err == nil; b = d.peek() {
		if n > (math.MaxInt64-uint64(b-'0'))/10 {
			d.fail("%s is too large", what)
			return 0
		}
		n = n*10 + uint64(b-'0')
		digits++
		d.skip()
	}
	if digits == 0 {
		d.missing(what)
	}
	return n
}

// number reads a number of 32 bits.
func (d *Decoder) number(what string) uint32 {
	n := d.number64(what)
	if n > math.MaxUint32 {
		d.fail("%s is too large", what)
		return 0
	}
	return uint32(n)
}

// list reads "(" one … one ")"; it may be empty.
func (d *Decoder) list(what string, one func()) {
	if !d.accept('(') {
		d.missing(what)
		return
	}
	for d.err == nil {
		for d.accept(' ') {
		}
		if d.accept(')') {
			return
		}
		if b := d.peek(); d.err == nil && (b == '\r' || b == '\n') {
			d.fail("Missing ')'")
		}
		if d.err != nil {
			return
		}
		one()
		if b := d.peek(); d.err == nil && b != ' ' && b != ')' {
			if b == '\r' || b == '\n' {
				d.fail("Missing ')'")
			} else {
				d.missing(what)
			}
		}
	}
}

// Literal is the body of a message on its way in. It must be read before anything else is.
type Literal struct {
	Size   int64
	Binary bool // sent as "~{5}": it may hold NUL
	left   int64
	d      *Decoder
}

// Read gives bytes of the literal, io.EOF at its end. NUL outside of a binary literal is given as it came.
func (l *Literal) Read(p []byte) (int, error) {
	d := l.d
	if l.left == 0 {
		return 0, io.EOF
	}
	if d.pos == d.end {
		if int64(len(p)) >= bufferSize { // straight into the caller's buffer
			n, err := d.src.Read(p[:min(int64(len(p)), l.left)])
			l.left -= int64(n)
			if n > 0 {
				return n, nil
			}
			return 0, unexpected(err)
		}
		if err := d.fill(); err != nil {
			return 0, unexpected(err)
		}
	}
	n := copy(p[:min(int64(len(p)), l.left)], d.buf[d.pos:d.end])
	d.pos += n
	l.left -= int64(n)
	return n, nil
}

// ReadLine reads one line of at most limit bytes without its end, as the client sends between commands: answers to
// AUTHENTICATE, DONE. It is a SyntaxError if there are more; the line is then passed over.
func (d *Decoder) ReadLine(limit int) (string, error) {
	d.release()
	d.left, d.skipped, d.err, d.atEnd = limit+2, 0, nil, false
	var text []byte
	for {
		b := d.peek()
		if b == '\r' || b == '\n' {
			if d.lineEnd() {
				break
			}
		}
		if d.err != nil {
			return "", d.recovered()
		}
		text = append(text, b)
		d.skip()
	}
	d.release()
	return string(text), nil
}

// recovered passes over the rest of a line or command that has an error, and gives that error.
func (d *Decoder) recovered() error {
	err := d.err
	if e, ok := err.(*SyntaxError); ok && !e.Fatal {
		if dropped := d.discard(); dropped != nil {
			return dropped
		}
	}
	d.release()
	return err
}

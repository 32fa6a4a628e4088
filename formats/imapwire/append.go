package imapwire

import (
	"math"
	"strings"
	"time"
)

// Append is APPEND: the mailbox only. The messages follow one by one: see NextMessage.
type Append struct{ Mailbox string }

func (d *Decoder) appending() any { return &Append{d.mailboxName()} }

// AppendMessage is one message of an APPEND (RFC 3502), or the beginning of one that is put together (RFC 4469).
type AppendMessage struct {
	Flags   []string
	Date    time.Time // zero: none given
	Literal *Literal  // nil when Catenate
	// Catenate: the parts follow, see NextPart.
	Catenate bool
}

// Part is one part of a message that is put together: a URL, or text.
type Part struct {
	URL  string
	Text *Literal
}

// MaxMessage is the largest size of a literal that makes sense: RFC822.SIZE has 63 bits.
const MaxMessage = math.MaxInt64

// NextMessage reads the beginning of the next message of an APPEND; nil at the end of the command. Its literal must be
// read, or it is passed over. grant is asked, with what was said of the message, before the client may send it; its error
// refuses the message, and the rest of the command is passed over: that error is given back as it is.
func (d *Decoder) NextMessage(first bool, grant func(m *AppendMessage, size uint64) error) (*AppendMessage, error) {
	if err := d.endLiteral(); err != nil {
		return nil, err
	}
	if !first && !d.more() {
		d.finish()
		if d.err != nil {
			return nil, d.recovered()
		}
		d.release()
		return nil, nil
	}
	if first {
		d.space("message")
	}
	m := &AppendMessage{}
	if d.peek() == '(' {
		m.Flags = d.flags()
		d.space("message")
	}
	if d.peek() == '"' {
		m.Date = d.internalDate()
		d.space("message")
	}
	if b := d.peek(); b == 'c' || b == 'C' {
		d.one("APPEND data", "CATENATE")
		d.space("CATENATE parts")
		m.Catenate = true
		if !d.accept('(') {
			d.missing("CATENATE parts")
		}
	}
	if d.err != nil {
		return nil, d.recovered()
	}
	if m.Catenate {
		return m, nil
	}
	var err error
	m.Literal, err = d.stream(func(size uint64) error { return grant(m, size) })
	return m, err
}

// NextPart reads the next part of a message that is put together; nil at its end.
func (d *Decoder) NextPart(grant func(size uint64) error) (*Part, error) {
	if err := d.endLiteral(); err != nil {
		return nil, err
	}
	for d.accept(' ') {
	}
	if d.accept(')') {
		return nil, nil
	}
	switch d.one("CATENATE part", "URL", "TEXT") {
	case "URL":
		d.space("URL")
		p := &Part{URL: d.astring("URL")}
		if d.err == nil {
			return p, nil
		}
	case "TEXT":
		d.space("text")
		if d.err == nil {
			text, err := d.stream(grant)
			return &Part{Text: text}, err
		}
	}
	return nil, d.recovered()
}

// Abandon passes over the rest of a command after NextMessage or NextPart, when the server has no use for it.
func (d *Decoder) Abandon() error {
	err := d.discard()
	d.release()
	return err
}

// endLiteral passes over what is left of a literal.
func (d *Decoder) endLiteral() error {
	if d.literal == nil {
		return nil
	}
	left := uint64(d.literal.left)
	d.literal = nil
	return d.drop(left)
}

// stream opens a literal that is read while it comes.
func (d *Decoder) stream(grant func(size uint64) error) (*Literal, error) {
	size, binary, asked := d.opening("message literal")
	if d.err != nil {
		return nil, d.recovered()
	}
	if err := grant(size); err != nil {
		if asked {
			if dropped := d.refuse(size); dropped != nil {
				return nil, dropped
			}
			d.atEnd = false
		}
		if dropped := d.discard(); dropped != nil {
			return nil, dropped
		}
		d.release()
		return nil, err
	}
	if !asked {
		if err := d.Continue(); err != nil {
			return nil, err
		}
	}
	d.atEnd = false
	d.literal = &Literal{Size: int64(size), Binary: binary, left: int64(size), d: d}
	return d.literal, nil
}

// dateLayouts of a date-time: the day has two characters, the first of which may be a space.
var dateLayouts = []string{"_2-Jan-2006 15:04:05 -0700", "2-Jan-2006 15:04:05 -0700"}

func (d *Decoder) internalDate() time.Time {
	text := d.quoted()
	if d.err != nil {
		return time.Time{}
	}
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	d.fail("Invalid internal date")
	return time.Time{}
}

// ParseDate reads an INTERNALDATE without its quotes.
func ParseDate(text string) (time.Time, bool) {
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, strings.Trim(text, `"`)); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

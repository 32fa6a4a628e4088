package message

import "bytes"

// Address is one of a list of addresses (RFC 5322 section 3.4), as it stands in an ENVELOPE (RFC 9051 section 7.5.2): a
// group begins with its name as Mailbox and a nil Domain, and ends with all four nil. nil is what is not there.
type Address struct {
	Name, Route, Mailbox, Domain []byte

	// Broken: it could not be read as an address.
	Broken bool
}

// What Dovecot puts where a broken address lacks something (message-address.c).
var (
	missingMailbox = []byte("MISSING_MAILBOX")
	missingDomain  = []byte("MISSING_DOMAIN")
	invalidRoute   = []byte("INVALID_ROUTE")
	syntaxError    = []byte("SYNTAX_ERROR")
)

// addressParser reads a list of addresses. It takes broken ones for what their writer may have meant, exactly as
// Dovecot's message-address.c does.
type addressParser struct {
	lexer
	list []Address
	a    Address
	text []byte // scratch
}

// ParseAddresses reads the value of a From, To or the like field, at most limit addresses and groups; 0 all.
func ParseAddresses(value []byte, limit int) []Address {
	var p addressParser
	return p.parse(nil, value, limit)
}

// parse appends to list.
func (p *addressParser) parse(list []Address, value []byte, limit int) []Address {
	p.lexer.reset(value)
	p.withComments, p.nul = true, replacement
	p.list, p.a = list, Address{}
	if p.skip() == more {
		p.addresses(limit)
	}
	return p.list
}

func (p *addressParser) addresses(limit int) {
	for n := 0; limit == 0 || n < limit; n++ {
		if p.address() == done || !p.at(',') {
			return
		}
		p.i++
		switch p.skip() {
		case bad: // ends with an open comment
			p.addFixed()
			return
		case done:
			return
		}
	}
}

func (p *addressParser) address() result {
	start := p.i
	if r := p.group(); r != bad {
		return r
	}
	p.i = start
	return p.mailbox()
}

func (p *addressParser) add() {
	p.list = append(p.list, p.a)
	p.a = Address{}
}

// addFixed adds an address that is none of a group's ends.
func (p *addressParser) addFixed() {
	if p.a.Mailbox == nil {
		p.a.Mailbox, p.a.Broken = missingMailbox, true
	}
	if len(p.a.Domain) == 0 {
		p.a.Domain, p.a.Broken = missingDomain, true
	}
	p.add()
}

// kept copies scratch text; never nil.
func kept(text []byte) []byte { return append(make([]byte, 0, len(text)), text...) }

func (p *addressParser) group() result {
	var r result
	if p.text, r = p.phrase(p.text[:0]); r != more || !p.at(':') {
		return bad
	}
	p.i++
	name := kept(p.text)
	if r = p.skip(); r != more {
		p.a.Broken = true
	}
	p.a.Mailbox = name
	p.add()
	if r == more && !p.at(';') {
		r = p.members(r)
	}
	if r != bad {
		if p.at(';') {
			p.i++
			r = p.skip()
		} else {
			r = bad
		}
	}
	if r == bad {
		p.a.Broken = true
	}
	p.add()
	if r == done {
		return done
	}
	return more
}

// members reads the mailboxes of a group.
func (p *addressParser) members(r result) result {
	for {
		p.mailbox()
		if !p.at(',') {
			return r
		}
		p.i++
		if p.skip() != more {
			return bad
		}
	}
}

func (p *addressParser) mailbox() result {
	start := p.i
	r := p.nameAddr()
	if r == bad {
		p.i = start
		r = p.addrSpec()
		if p.a.Broken && p.a.Name == nil && p.a.Mailbox != nil && p.a.Domain == nil {
			p.a.Name, p.a.Mailbox = p.a.Mailbox, nil
		}
	}
	if r == bad {
		p.a.Broken = true
	}
	p.addFixed()
	return r
}

// nameAddr reads "Name <address>".
func (p *addressParser) nameAddr() result {
	var r result
	if p.text, r = p.phrase(p.text[:0]); r != more || !p.at('<') {
		return bad
	}
	if p.a.Name = nil; len(p.text) > 0 {
		p.a.Name = kept(p.text)
	}
	if p.angleAddr() == bad {
		p.a.Domain, p.a.Broken = syntaxError, true
	}
	return p.rest()
}

// angleAddr reads "<@route:local@domain>".
func (p *addressParser) angleAddr() result {
	p.i++
	if p.skip() != more {
		return bad
	}
	if p.at('@') {
		if p.route() == more && p.at(':') {
			p.i++
		} else {
			p.a.Route = invalidRoute
			if p.atEnd() {
				return bad
			}
		}
		if p.skip() != more {
			return bad
		}
	}
	if !p.at('>') {
		if p.localPart() != more {
			return bad
		}
		if p.at('@') && p.domainPart() != more {
			return bad
		}
	}
	if !p.at('>') {
		return bad
	}
	p.i++
	return p.skip()
}

// route reads "@a,@b".
func (p *addressParser) route() result {
	p.text = p.text[:0]
	for {
		if p.atEnd() {
			return done
		}
		if !p.at('@') {
			p.a.Route = kept(p.text)
			return more
		}
		if len(p.text) > 0 {
			p.text = append(p.text, ',')
		}
		p.text = append(p.text, '@')
		var r result
		if p.text, r = p.domain(p.text); r != more {
			return r
		}
		for p.skip() == more && p.at(',') {
			p.i++
		}
	}
}

func (p *addressParser) localPart() result {
	var r result
	p.text = p.text[:0]
	if p.at('"') {
		p.text, r = p.quotedString(p.text)
	} else {
		p.text, r = p.looseDotAtom(p.text)
	}
	if r != bad {
		p.a.Mailbox = kept(p.text)
	}
	return r
}

// looseDotAtom is a dot-atom that may have dots anywhere.
func (p *addressParser) looseDotAtom(dst []byte) ([]byte, result) {
	r := bad
	for {
		for p.at('.') {
			dst = append(dst, '.')
			if p.i++; p.atEnd() {
				return dst, done
			}
			r = more
		}
		if p.at('@') {
			return dst, r
		}
		if dst, r = p.atom(dst); r != more || !p.at('.') {
			return dst, r
		}
	}
}

func (p *addressParser) domainPart() result {
	var r result
	if p.text, r = p.domain(p.text[:0]); r != bad {
		p.a.Domain = kept(p.text)
	}
	return r
}

// addrSpec reads "local@domain", with the name in a comment behind it.
func (p *addressParser) addrSpec() result {
	p.comment = p.comment[:0]
	quoted := p.at('"')
	hasDomain := false
	r := p.localPart()
	if r != more {
		p.a.Broken = true
	}
	if r != done && p.at('@') {
		hasDomain = true
		if d := p.domainPart(); d != more {
			r = d
		}
	}
	if len(p.comment) > 0 {
		p.a.Name = kept(p.comment)
		return r
	}
	if hasDomain {
		return r
	}
	// A word alone is taken for a mailbox, more of them for a name.
	p.text = append(p.text, ' ')
	before := len(p.text)
	p.text, _ = p.phrase(p.text)
	if len(p.text) != before {
		p.a.Mailbox, p.a.Name = nil, kept(p.text)
	} else if !quoted {
		p.a.Domain = []byte{}
	}
	p.a.Broken = true
	return bad
}

// appendAddresses writes a list of addresses as it stands in an ENVELOPE.
func appendAddresses(dst []byte, list []Address) []byte {
	if len(list) == 0 {
		return append(dst, "NIL"...)
	}
	dst = append(dst, '(')
	for _, a := range list {
		dst = append(dst, '(')
		if a.Name == nil {
			dst = append(dst, "NIL"...)
		} else {
			dst = appendForHumans(dst, a.Name)
		}
		for _, s := range [][]byte{a.Route, a.Mailbox, a.Domain} {
			dst = appendNString(append(dst, ' '), s)
		}
		dst = append(dst, ')')
	}
	return append(dst, ')')
}

// textOf is a value as a text that ends at no NUL: each becomes U+FFFD.
func textOf(value []byte) []byte {
	if bytes.IndexByte(value, 0) < 0 {
		return value
	}
	return bytes.ReplaceAll(value, []byte{0}, replacement)
}

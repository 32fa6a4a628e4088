package message

import "sync"

var addressParsers = sync.Pool{New: func() any { return new(addressParser) }}

// AppendEnvelope writes the ENVELOPE of the message, in parentheses.
func (m *Message) AppendEnvelope(dst []byte) []byte { return m.appendEnvelope(dst, 0) }

func (m *Message) appendEnvelope(dst []byte, part int32) []byte {
	p := addressParsers.Get().(*addressParser)
	defer addressParsers.Put(p)
	fields := m.fieldsOf(part)
	dst = appendOneLine(append(dst, '('), m.last(fields, date))
	dst = append(dst, ' ')
	if s := m.last(fields, subject); s != nil {
		dst = appendForHumans(dst, s)
	} else {
		dst = append(dst, "NIL"...)
	}
	begin := len(dst)
	dst = m.appendList(append(dst, ' '), p, fields, from)
	end := len(dst)
	for _, n := range []name{sender, replyTo} {
		before := len(dst)
		if dst = m.appendList(append(dst, ' '), p, fields, n); string(dst[before:]) == " NIL" {
			dst = append(dst[:before], dst[begin:end]...) // RFC 9051 section 7.5.2: From is meant
		}
	}
	for _, n := range []name{to, cc, bcc} {
		dst = m.appendList(append(dst, ' '), p, fields, n)
	}
	dst = appendOneLine(append(dst, ' '), m.last(fields, inReplyTo))
	dst = appendOneLine(append(dst, ' '), m.last(fields, messageID))
	return append(dst, ')')
}

// last gives the value of the last field of a name, nil if there is none.
func (m *Message) last(fields []field, n name) []byte {
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].name == n {
			return textOf(m.value(fields[i]))
		}
	}
	return nil
}

// appendList writes the addresses of all fields of a name as one list.
func (m *Message) appendList(dst []byte, p *addressParser, fields []field, n name) []byte {
	list := p.list[:0]
	for _, f := range fields {
		if f.name == n {
			list = p.parse(list, m.value(f), 0)
		}
	}
	dst = appendAddresses(dst, list)
	clear(list)
	p.list = list[:0]
	return dst
}

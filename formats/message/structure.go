package message

import "strconv"

// AppendBody writes the BODY of the message: its structure without extensions, in parentheses.
func (m *Message) AppendBody(dst []byte) []byte { return m.structure(dst, 0, false) }

// AppendBodyStructure writes the BODYSTRUCTURE, in parentheses.
func (m *Message) AppendBodyStructure(dst []byte) []byte { return m.structure(dst, 0, true) }

const (
	emptyBody          = `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)`
	emptyBodyStructure = `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)`
)

// content is what the Content- fields of a part say. nil is a field that is not there or cannot be read.
type content struct {
	kind, subtype        []byte
	params               []param
	encoding             []byte
	disposition          []byte
	dispositionParams    []param
	languages            [][]byte
	id, description, md5 []byte
	location             []byte
}

// content reads the fields of a part (message-part-data.c).
func (m *Message) content(part int32) content {
	var c content
	if m.Tree[part].Flags&MIME == 0 {
		return c
	}
	var l lexer
	for _, f := range m.fieldsOf(part) {
		v := m.value(f)
		switch f.name {
		case contentType:
			c.readType(&l, v)
		case contentEncoding:
			if c.encoding == nil {
				c.readEncoding(&l, v)
			}
		case contentDisposition:
			if c.dispositionParams == nil {
				c.readDisposition(&l, v)
			}
		case contentLanguage:
			if c.languages == nil {
				c.languages = readLanguages(&l, v)
			}
		case contentID:
			c.id = textOf(v)
		case contentDescription:
			c.description = textOf(v)
		case contentMD5:
			c.md5 = textOf(v)
		case contentLocation:
			c.location = textOf(v)
		}
	}
	return c
}

func (c *content) readType(l *lexer, v []byte) {
	l.reset(v)
	l.skip()
	kind, r := l.contentType([]byte{})
	c.kind, c.subtype = kind, []byte{}
	for i, b := range kind {
		if b == '/' {
			c.kind, c.subtype = kind[:i], kind[i+1:]
			break
		}
	}
	if r != bad {
		c.params = l.parameters(nil)
	}
}

func (c *content) readEncoding(l *lexer, v []byte) {
	l.reset(v)
	l.skip()
	if token, r := l.token(nil); r != bad && l.skip() == done && len(token) > 0 {
		c.encoding = token
	}
}

func (c *content) readDisposition(l *lexer, v []byte) {
	l.reset(v)
	l.skip()
	if token, r := l.token([]byte{}); r != bad {
		c.disposition = token
		c.dispositionParams = l.parameters(nil)
	}
}

func readLanguages(l *lexer, v []byte) (languages [][]byte) {
	l.reset(v)
	l.skip()
	for {
		tag, r := l.atom(nil)
		if r == bad {
			return languages
		}
		languages = append(languages, tag)
		if !l.at(',') {
			return languages
		}
		l.i++
		l.skip()
	}
}

// structure writes one part with those inside of it. The tree is at most MaxDepth deep.
func (m *Message) structure(dst []byte, part int32, extended bool) []byte {
	c := m.content(part)
	dst = append(dst, '(')
	if m.Tree[part].Flags&Multipart != 0 {
		dst = m.multipart(dst, part, &c, extended)
	} else {
		dst = m.single(dst, part, &c, extended)
	}
	return append(dst, ')')
}

func (m *Message) multipart(dst []byte, part int32, c *content, extended bool) []byte {
	child := m.Tree[part].Child
	switch {
	case child != 0:
		for ; child != 0; child = m.Tree[child].Next {
			dst = m.structure(dst, child, extended)
		}
	case extended:
		dst = append(dst, emptyBodyStructure...) // no parts at all cannot be written
	default:
		dst = append(dst, emptyBody...)
	}
	dst = AppendString(append(dst, ' '), c.subtype)
	if !extended {
		return dst
	}
	dst = appendParams(append(dst, ' '), c.params, false)
	return c.appendRest(dst)
}

// cut tells that a part's type is not what its flags say, because a limit was reached.
func (m *Message) cut(part int32, c *content) bool {
	if c.kind == nil {
		parent := &m.Tree[m.Tree[part].Parent]
		return part != 0 && parent.Flags&Digest != 0
	}
	return equalFold(c.kind, "message") && equalFold(c.subtype, "rfc822") || equalFold(c.kind, "multipart")
}

func (m *Message) single(dst []byte, part int32, c *content, extended bool) []byte {
	p := &m.Tree[part]
	text := false
	switch {
	case p.Flags&RFC822 != 0:
		dst = append(dst, `"message" "rfc822"`...)
	case m.cut(part, c):
		dst = append(dst, `"application" "octet-stream"`...)
	case c.kind == nil:
		text = true
		dst = append(dst, `"text" "plain"`...)
	default:
		text = equalFold(c.kind, "text")
		dst = AppendString(dst, c.kind)
		dst = AppendString(append(dst, ' '), c.subtype)
	}
	dst = appendParams(append(dst, ' '), c.params, text)
	dst = appendOneLine(append(dst, ' '), c.id)
	dst = appendOneLine(append(dst, ' '), c.description)
	if c.encoding != nil {
		dst = AppendString(append(dst, ' '), c.encoding)
	} else {
		dst = append(dst, ` "7bit"`...)
	}
	dst = strconv.AppendInt(append(dst, ' '), p.Body.Virtual, 10)
	switch {
	case text:
		dst = appendLines(dst, p.Body.Lines)
	case p.Flags&RFC822 != 0:
		dst = m.appendEnvelope(append(dst, ' '), p.Child)
		dst = m.structure(append(dst, ' '), p.Child, extended)
		dst = appendLines(dst, p.Body.Lines)
	}
	if !extended {
		return dst
	}
	dst = appendOneLine(append(dst, ' '), c.md5)
	return c.appendRest(dst)
}

func appendLines(dst []byte, n int64) []byte {
	// Dovecot counts lines in 32 bits.
	return strconv.AppendUint(append(dst, ' '), uint64(uint32(n)), 10)
}

// appendRest writes disposition, language and location.
func (c *content) appendRest(dst []byte) []byte {
	if c.disposition == nil {
		dst = append(dst, " NIL"...)
	} else {
		dst = AppendString(append(dst, " ("...), c.disposition)
		dst = appendParams(append(dst, ' '), c.dispositionParams, false)
		dst = append(dst, ')')
	}
	dst = append(dst, ' ')
	if c.languages == nil {
		dst = append(dst, "NIL"...)
	} else {
		for i, tag := range c.languages {
			dst = append(dst, "( "[min(i, 1)])
			dst = AppendString(dst, tag)
		}
		dst = append(dst, ')')
	}
	return appendOneLine(append(dst, ' '), c.location)
}

// appendParams writes parameters; text has a charset in any case.
func appendParams(dst []byte, params []param, text bool) []byte {
	if !text && len(params) == 0 {
		return append(dst, "NIL"...)
	}
	charset := false
	for i, p := range params {
		dst = append(dst, "( "[min(i, 1)])
		dst = AppendString(dst, p.key)
		dst = AppendString(append(dst, ' '), p.value)
		charset = charset || equalFold(p.key, "charset")
	}
	if text && !charset {
		dst = append(dst, "( "[min(len(params), 1)])
		dst = append(dst, `"charset" "us-ascii"`...)
	}
	return append(dst, ')')
}

package message

import "bytes"

// maxName is the longest name of a header field; what is longer is no name (message-header-parser.c).
const maxName = 1000

// header reads the header of the current part, whose first byte is next.
func (p *parser) header() state {
	p.first = append(p.first, int32(len(p.fields)))
	p.marker = nil
	h := headerRead{wantEnvelope: p.current == 0 || p.tree[p.part().Parent].Flags&RFC822 != 0}
	for {
		line := p.w.peekLine()
		if len(line) == 0 {
			break
		}
		end, _ := cutLineEnd(line)
		ends := len(end) == 0 && !h.ended
		if ends && p.marker != nil && p.part().Flags&MIME != 0 {
			// From here on "--boundary" may come; before the boundaries outside of it that begin with the same text.
			p.beginMultipart(&h)
		}
		if found := p.delimiter(line); found >= 0 && p.open[found].part != p.current {
			// The line end before it belongs to the boundary, even if it is the empty line that ends the header.
			p.tree[p.part().Parent].Body.add(h.takeBack())
			break
		}
		if h.ended {
			break
		}
		if h.ended = ends; ends {
			h.add(line)
			p.w.pos += len(line)
			continue
		}
		p.headerField(&h)
	}
	return p.headerEnd(&h)
}

// headerRead is what is known of a header while it is read.
type headerRead struct {
	counter
	wantEnvelope       bool
	typed, ended, nuls bool
	multipart          bool // its boundary is open
	seen               [lastName]bool
	at                 [lastName]int32 // where the last field of a name is in fields
}

func (p *parser) beginMultipart(h *headerRead) {
	if p.tooDeep() {
		p.part().Flags |= Overflow
		p.part().Flags &^= Multipart
		return
	}
	p.open = append(p.open, boundary{text: p.marker, part: p.current})
	p.marker, h.multipart = nil, true
}

// headerField reads one field with the lines it goes on in.
func (p *parser) headerField(h *headerRead) {
	line := p.headerLine(h)
	n, value := splitField(line)
	keep := p.wanted(h, n)
	start := len(p.text)
	end, whole := cutLineEnd(value)
	if keep {
		p.keep(start, end)
	}
	for {
		if !whole {
			if line = p.headerLine(h); len(line) == 0 {
				break
			}
			value = line
		} else {
			if c := p.w.peek(0); c != ' ' && c != '\t' {
				break
			}
			value = p.headerLine(h)
			// Seen with Dovecot 2.3.19: a line of one blank goes on without a line end.
			if text, _ := cutLineEnd(value); keep && len(text) > 1 {
				p.keep(start, []byte{'\n'})
			}
		}
		end, whole = cutLineEnd(value)
		if keep {
			p.keep(start, end)
		}
	}
	if keep {
		p.fieldRead(h, n, start)
	}
}

func (p *parser) headerLine(h *headerRead) []byte {
	line := p.w.line()
	if len(line) > 0 {
		h.add(line)
		h.nuls = h.nuls || p.w.nuls && bytes.IndexByte(line, 0) >= 0
	}
	return line
}

// splitField finds the name of the field a line begins, and its value without leading white space. A line without a name
// is all value.
func splitField(line []byte) (name, []byte) {
	key, value := cutField(line)
	if i := bytes.IndexByte(key, 0); i >= 0 {
		key = key[:i] // a text ends there for Dovecot
	}
	return nameOf(key), skipBlank(value)
}

// cutField cuts a line behind the colon. The name is nil if there is none.
func cutField(line []byte) (key, value []byte) {
	end, _ := cutLineEnd(line)
	colon := bytes.IndexByte(end, ':')
	if colon < 0 {
		return nil, line
	}
	key = end[:colon]
	for len(key) > 0 && isBlank(key[len(key)-1]) {
		key = key[:len(key)-1]
	}
	if len(key) > maxName {
		return nil, line
	}
	return key, line[colon+1:]
}

// skipBlank skips the white space before a value. Of a value that is nothing else, one byte is skipped.
func skipBlank(value []byte) []byte {
	end, _ := cutLineEnd(value)
	for i := range end {
		if !isBlank(end[i]) {
			return value[i:]
		}
	}
	if len(end) > 0 {
		return value[1:]
	}
	return value
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// wanted tells whether a field's value is kept.
func (p *parser) wanted(h *headerRead, n name) bool {
	switch {
	case n == otherField, n >= date && !h.wantEnvelope:
		return false
	case n == mimeVersion:
		p.part().Flags |= MIME
		return false
	case n == contentType:
		p.part().Flags |= MIME
		return !h.seen[n]
	case n == contentEncoding, n == contentLanguage, n == contentDisposition:
		return true // Dovecot goes on to the next one when the first is broken
	case n < date:
		return !h.seen[n]
	}
	return true
}

// keep appends to the value that began at start, within the limits.
func (p *parser) keep(start int, b []byte) {
	room := min(MaxField-(len(p.text)-start), MaxFields-len(p.text))
	if len(b) > room {
		b = b[:max(room, 0)]
	}
	p.text = append(p.text, b...)
}

// fieldRead takes a field whose value is complete.
func (p *parser) fieldRead(h *headerRead, n name, start int) {
	if n == contentType {
		p.contentType(p.text[start:])
		h.typed = true
	}
	single := n == date || n == subject || n == inReplyTo || n == messageID
	switch {
	case single && h.seen[n]:
		p.replace(&p.fields[h.at[n]], start) // the last one counts
		return
	case h.seen[n] && (len(p.fields)-int(p.first[p.current]) > maxRepeated || len(p.fields) > maxKept):
		p.text = p.text[:start]
		return
	}
	h.seen[n], h.at[n] = true, int32(len(p.fields))
	p.fields = append(p.fields, field{n, int32(start), int32(len(p.text))})
}

// How many fields are kept of one part, and of all, if there is one of the name already.
const (
	maxRepeated = 1000
	maxKept     = 100_000
)

// replace gives f the value that begins at start, in the place of the old one if it fits.
func (p *parser) replace(f *field, start int) {
	if size := len(p.text) - start; size <= int(f.end-f.start) {
		f.end = f.start + int32(copy(p.text[f.start:], p.text[start:]))
		p.text = p.text[:start]
		return
	}
	f.start, f.end = int32(start), int32(len(p.text))
}

// contentType finds what kind of part the current one is (message-parser.c parse_content_type).
func (p *parser) contentType(value []byte) {
	part := p.part()
	l := &p.lex
	l.reset(value)
	l.skip()
	kind, state := l.contentType(nil)
	switch {
	case equalFold(kind, "message/rfc822"):
		part.Flags |= RFC822
	case equalFold(kind, "text"), hasPrefixFold(kind, "text/"):
		part.Flags |= TextPart
	case hasPrefixFold(kind, "multipart/"):
		part.Flags |= Multipart
		if equalFold(kind, "multipart/digest") {
			part.Flags |= Digest
		}
		if state == bad {
			return
		}
		p.params = l.parameters(p.params[:0])
		for _, param := range p.params {
			if equalFold(param.key, "boundary") {
				p.marker = append([]byte{}, param.value[:min(len(param.value), boundaryLength)]...)
				return
			}
		}
	}
}

// headerEnd decides what the part is (message-parser.c parse_next_header).
func (p *parser) headerEnd(h *headerRead) state {
	part := p.part()
	part.Header = h.Size
	mime := part.Flags&MIME != 0
	if !mime {
		part.Flags = 0
	}
	if !h.typed || !mime {
		if p.current != 0 && p.tree[part.Parent].Flags&Digest != 0 {
			part.Flags |= RFC822
		} else {
			part.Flags |= TextPart
		}
	}
	if h.nuls {
		part.Flags |= NULs
	}
	switch {
	case h.multipart, part.Flags&RFC822 == 0:
		return inBody
	case p.tooDeep(), len(p.tree) >= MaxParts:
		part.Flags |= Overflow
		part.Flags &^= RFC822
		return inBody
	}
	return p.child(0)
}

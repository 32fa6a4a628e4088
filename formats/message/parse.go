package message

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"
)

// Parse reads size bytes of r once and gives the message they are. Every text is a message, however broken; an error is
// one of reading.
func Parse(r io.ReaderAt, size int64) (*Message, error) { return parse(r, size, true) }

// ParseHeader reads only the header of the message. What it gives is good for AppendEnvelope and, with its Tree of one
// part without a body, for the sections of that header.
func ParseHeader(r io.ReaderAt, size int64) (*Message, error) { return parse(r, size, false) }

func parse(r io.ReaderAt, size int64, whole bool) (*Message, error) {
	p := parsers.Get().(*parser)
	defer parsers.Put(p)
	p.w.reset(r, 0, size)
	p.fields, p.first, p.text, p.tree = p.fields[:0], p.first[:0], p.text[:0], p.tree[:0]
	p.open, p.path, p.current = p.open[:0], p.path[:0], 0
	p.tree = append(p.tree, Part{})
	p.path = append(p.path, 0)
	if whole {
		p.run()
	} else {
		p.header()
		p.tree = p.tree[:1]
		p.tree[0].Child = 0
		p.first = p.first[:1]
	}
	defer func() { p.w.r = nil }()
	if p.w.err != nil {
		return nil, fmt.Errorf("read message: %w", p.w.err)
	}
	p.first = append(p.first, int32(len(p.fields)))
	m := &Message{
		Tree: slices.Clone(p.tree), fields: slices.Clone(p.fields), first: slices.Clone(p.first), text: bytes.Clone(p.text),
	}
	if cap(p.text) > 1<<20 {
		p.text = make([]byte, 0, 2048) // a rare message is not to keep its memory
	}
	return m, nil
}

var parsers = sync.Pool{New: func() any { return &parser{text: make([]byte, 0, 2048)} }}

// parser holds what is open while a message is read.
type parser struct {
	w window

	tree    Tree
	fields  []field
	first   []int32
	text    []byte
	current int32      // the part that is being read
	path    []int32    // the last child of each part that is open, by depth; 0 none
	open    []boundary // that may come, the innermost last

	marker []byte // boundary of the multipart whose header is being read, nil none
	lex    lexer
	params []param
}

// boundary is a delimiter of a multipart's parts.
type boundary struct {
	text []byte
	part int32
	last bool // the line that was found has "--" behind it
}

// ends of what is read next.
type state uint8

const (
	atHeader state = iota
	inBody
	atEnd
)

func (p *parser) run() {
	for s := atHeader; s != atEnd; {
		if s == atHeader {
			s = p.header()
		} else {
			s = p.body()
		}
	}
	for p.current != 0 {
		p.finish()
	}
}

func (p *parser) part() *Part { return &p.tree[p.current] }

// child begins a part inside the current one.
func (p *parser) child(flags Flags) state {
	n := int32(len(p.tree))
	if before := p.path[len(p.path)-1]; before != 0 {
		p.tree[before].Next = n
	} else {
		p.part().Child = n
	}
	p.path[len(p.path)-1] = n
	p.path = append(p.path, 0)
	// Not always the next byte: the line end before a boundary may have been taken from the parent.
	at := p.part().Offset + p.part().Header.Stored + p.part().Body.Stored
	p.tree = append(p.tree, Part{Offset: at, Parent: p.current, Flags: flags})
	p.current = n
	return atHeader
}

// finish adds the sizes of the current part to its parent, which is the current one then.
func (p *parser) finish() {
	part := p.part()
	parent := &p.tree[part.Parent]
	parent.Body.add(part.Header)
	parent.Body.add(part.Body)
	p.path = p.path[:len(p.path)-1]
	p.current = part.Parent
}

// tooDeep: no part may begin inside a part of the current one.
func (p *parser) tooDeep() bool { return len(p.path) >= MaxDepth }

// boundaryLength is how much of a boundary is compared, and how far its line is looked at when it does not end:
// message-parser-private.h.
const (
	boundaryLength     = 80
	boundaryLineLength = boundaryLength + 4
)

// delimiter finds which open boundary a line begins, or -1. The longest that matches is meant, the innermost of those, but
// one that is the whole line wins at once (message-parser.c boundary_find).
func (p *parser) delimiter(line []byte) int {
	if len(p.open) == 0 || len(line) < 2 || line[0] != '-' || line[1] != '-' {
		return -1
	}
	if len(p.tree) >= MaxParts {
		p.part().Flags |= Overflow
		return -1
	}
	all := line[2:]
	name, whole := cutLineEnd(all)
	if !whole && len(name) > boundaryLineLength {
		name = name[:boundaryLineLength]
	}
	dashes := whole && len(name) > 2 && name[len(name)-1] == '-' && name[len(name)-2] == '-'
	best := -1
	for i := len(p.open) - 1; i >= 0; i-- {
		text := p.open[i].text
		if !bytes.HasPrefix(name, text) || best >= 0 && len(p.open[best].text) >= len(text) {
			continue
		}
		best = i
		if len(text) == len(name) || len(text) == len(name)-2 && dashes {
			break
		}
	}
	if best >= 0 {
		p.open[best].last = bytes.HasPrefix(all[len(p.open[best].text):], []byte("--"))
	}
	return best
}

// cutLineEnd gives a line without its line end, and whether it had one.
func cutLineEnd(line []byte) ([]byte, bool) {
	n := len(line)
	if n == 0 || line[n-1] != '\n' {
		return line, false
	}
	if n > 1 && line[n-2] == '\r' {
		return line[:n-2], true
	}
	return line[:n-1], true
}

// counter adds up lines that come in pieces.
type counter struct {
	Size
	newline int64 // stored bytes of the line end before the next byte, 0 in the middle of a line
	cr      bool  // the last byte was a CR
}

func (c *counter) add(b []byte) {
	n := len(b)
	c.Stored += int64(n)
	c.Virtual += int64(n)
	if b[n-1] != '\n' {
		c.newline, c.cr = 0, b[n-1] == '\r'
		return
	}
	c.Lines++
	if n > 1 {
		c.cr = b[n-2] == '\r'
	}
	if c.newline = 2; !c.cr {
		c.newline = 1
		c.Virtual++
	}
	c.cr = false
}

// takeBack gives the line end before the next byte.
func (c *counter) takeBack() Size {
	if c.newline == 0 {
		return Size{}
	}
	s := Size{Stored: c.newline, Virtual: 2, Lines: 1}
	c.Stored -= s.Stored
	c.Virtual -= s.Virtual
	c.Lines -= s.Lines
	return s
}

// body reads text of the current part up to a boundary. It begins at the start of a line.
func (p *parser) body() state {
	var c counter
	start, nuls := true, false
	for {
		line := p.w.peekLine()
		if len(line) == 0 {
			p.counted(&c, nuls)
			return atEnd
		}
		if start && line[0] == '-' {
			if found := p.delimiter(line); found >= 0 {
				before := c.takeBack()
				p.counted(&c, nuls)
				// The line end before a boundary belongs to it (RFC 2046 section 5.1.1).
				p.tree[p.open[found].part].Body.add(before)
				return p.delimited(found)
			}
		}
		p.w.pos += len(line)
		if p.w.nuls && !nuls {
			nuls = bytes.IndexByte(line, 0) >= 0
		}
		c.add(line)
		start = c.newline > 0
	}
}

func (p *parser) counted(c *counter, nuls bool) {
	part := p.part()
	part.Body.add(c.Size)
	if nuls {
		part.Flags |= NULs
	}
}

// delimited takes a boundary line.
func (p *parser) delimited(found int) state {
	b := &p.open[found]
	for p.current != b.part {
		p.finish()
	}
	if b.last {
		p.open = p.open[:found]
	} else {
		p.open = p.open[:found+1]
	}
	var c counter
	for c.newline == 0 {
		line := p.w.line()
		if len(line) == 0 {
			p.counted(&c, false)
			return atEnd
		}
		if p.w.nuls && bytes.IndexByte(line, 0) >= 0 {
			p.part().Flags |= NULs
		}
		c.add(line)
	}
	p.counted(&c, false)
	if len(p.open) == 0 || p.open[len(p.open)-1].part != p.current {
		return inBody // the text behind the last part
	}
	return p.child(MIME)
}

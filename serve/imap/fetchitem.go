package imap

import (
	"math"
	"strconv"
	"time"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/formats/message"
	"dovetail/sync/watch"
)

// fetched is a message whose answer is being written. It is opened when an item needs it, and read no further than that.
type fetched struct {
	f      *fetching
	r      watch.Record
	first  bool // nothing was written yet
	marked bool // it becomes \Seen

	m      formats.Message
	body   formats.Body
	parsed *message.Message
	whole  bool // parsed is more than the header
	source *message.Source
}

// recent is the message that a client was given a piece of, for when it comes for the next one.
type recent struct {
	uid    formats.UID
	size   int64
	parsed *message.Message
	source *message.Source
}

// maxRecent is how many parts a message may have to be remembered.
const maxRecent = 200

func (m *fetched) close() {
	if m.body == nil {
		return
	}
	sel := m.f.s.sel
	if sel.recently = nil; m.f.piece && m.whole && m.source != nil && len(m.parsed.Tree) <= maxRecent {
		m.source.Continue(nil)
		sel.recently = &recent{m.r.UID, m.body.Size(), m.parsed, m.source}
	}
	m.body.Close()
}

func (m *fetched) open() (err error) {
	if m.body != nil {
		return nil
	}
	m.m.UID = m.r.UID
	if m.body, err = m.f.s.sel.box.Body(m.f.ctx, &m.m); err != nil {
		m.body = nil
		return err
	}
	if was := m.f.s.sel.recently; was != nil && was.uid == m.r.UID && was.size == m.body.Size() {
		m.parsed, m.source, m.whole = was.parsed, was.source, true
		m.source.Continue(m.body)
	}
	return nil
}

// parse reads as much of the message as this FETCH needs.
func (m *fetched) parse(whole bool) (err error) {
	if err := m.open(); err != nil {
		return err
	}
	if m.parsed != nil && (m.whole || !whole) {
		return nil
	}
	if whole = whole || m.f.whole; whole {
		m.parsed, err = message.Parse(m.body, m.body.Size())
	} else {
		m.parsed, err = message.ParseHeader(m.body, m.body.Size())
	}
	if err != nil {
		return err
	}
	m.whole = whole
	m.source = message.NewSource(m.body, m.parsed.Tree)
	return nil
}

// size is that of the message with CRLF.
func (m *fetched) size() (int64, error) {
	if size, ok := m.r.Size(); ok && size > 0 {
		return size, nil
	}
	if err := m.open(); err != nil {
		return 0, err
	}
	if m.m.VirtualSize > 0 && m.m.VirtualSize >= m.m.Size {
		return m.m.VirtualSize, nil
	}
	if err := m.parse(true); err != nil {
		return 0, err
	}
	return m.parsed.Tree.Size().Virtual, nil
}

// name begins an item.
func (m *fetched) name(item *fetchItem) []byte {
	b := m.f.s.out.Buf
	if !m.first {
		b = append(b, ' ')
	}
	m.first = false
	return append(append(b, item.text...), ' ')
}

// gone writes an item of a message that has vanished since it was told (imap-fetch.c imap_fetch_send_nil_reply).
func (m *fetched) gone(item *fetchItem) {
	nothing := "NIL"
	switch item.Kind {
	case imapwire.FetchSize, imapwire.FetchBinarySize:
		nothing = "0"
	case imapwire.FetchInternalDate, imapwire.FetchSaveDateUnix:
		nothing = `"01-Jan-1970 00:00:00 +0000"`
	case imapwire.FetchGUID:
		nothing = `""`
	case imapwire.FetchEnvelope:
		nothing = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
	case imapwire.FetchBody:
		nothing = `("text" "plain" NIL NIL NIL "7bit" 0 0)`
	case imapwire.FetchBodyStructure:
		nothing = `("text" "plain" NIL NIL NIL "7bit" 0 0 NIL NIL NIL NIL)`
	}
	m.f.s.out.Buf = append(m.name(item), nothing...)
}

// item writes one item. Unless it has begun to write a text, it has written nothing when it gives an error.
func (m *fetched) item(item *fetchItem) error {
	switch item.Kind {
	case imapwire.FetchFlags, imapwire.FetchUID, imapwire.FetchRealUID, imapwire.FetchModSeq, imapwire.FetchMailboxName:
		m.known(item)
		return nil
	case imapwire.FetchSection, imapwire.FetchBinary:
		return m.section(item)
	case imapwire.FetchInternalDate, imapwire.FetchSaveDate, imapwire.FetchSaveDateUnix, imapwire.FetchGUID:
		return m.detail(item)
	}
	return m.described(item)
}

// known writes what needs no look at the message.
func (m *fetched) known(item *fetchItem) {
	s := m.f.s
	switch item.Kind {
	case imapwire.FetchFlags:
		switch {
		case m.marked:
			m.f.seen.Add(m.r.UID)
			s.out.Buf = append(m.name(item), s.sel.seenText(m.r)...)
		case !item.onlySeen:
			s.out.Buf = append(m.name(item), s.sel.flagText(m.r)...)
		}
	case imapwire.FetchModSeq:
		b := m.name(item)
		s.out.Buf = append(b[:len(b)-len("MODSEQ ")], s.modSeq(m.r)...)
	case imapwire.FetchMailboxName:
		s.out.Buf = imapwire.AppendMailbox(m.name(item), encoded(s.sel.at.Full), false)
	default:
		s.out.Buf = strconv.AppendUint(m.name(item), uint64(m.r.UID), 10)
	}
}

// detail writes what the mailbox knows of the message.
func (m *fetched) detail(item *fetchItem) error {
	if err := m.open(); err != nil {
		return err
	}
	b := m.name(item)
	switch at := m.m.SaveDate; {
	case item.Kind == imapwire.FetchInternalDate:
		b = imapwire.AppendDate(b, m.m.InternalDate)
	case item.Kind == imapwire.FetchGUID:
		b = imapwire.AppendAString(b, m.m.GUID)
	case at.IsZero() && item.Kind == imapwire.FetchSaveDate:
		b = append(b, "NIL"...)
	case at.IsZero():
		b = imapwire.AppendDate(b, time.Unix(0, 0).UTC())
	default:
		b = imapwire.AppendDate(b, at)
	}
	m.f.s.out.Buf = b
	return nil
}

// described writes what is found out by reading the message.
func (m *fetched) described(item *fetchItem) error {
	s := m.f.s
	switch item.Kind {
	case imapwire.FetchSize:
		size, err := m.size()
		if err != nil {
			return err
		}
		s.out.Buf = strconv.AppendInt(m.name(item), size, 10)
		return nil
	case imapwire.FetchPreview, imapwire.FetchSnippet:
		return m.preview(item)
	}
	if err := m.parse(item.Kind != imapwire.FetchEnvelope); err != nil {
		return err
	}
	switch item.Kind {
	case imapwire.FetchEnvelope:
		s.out.Buf = m.parsed.AppendEnvelope(m.name(item))
	case imapwire.FetchBody:
		s.out.Buf = m.parsed.AppendBody(m.name(item))
	case imapwire.FetchBodyStructure:
		s.out.Buf = m.parsed.AppendBodyStructure(m.name(item))
	case imapwire.FetchBinarySize:
		size, err := m.source.BinarySize(item.Section.Part)
		if err != nil {
			return err
		}
		s.out.Buf = strconv.AppendInt(m.name(item), size, 10)
	}
	return nil
}

// preview writes PREVIEW (RFC 8970) or SNIPPET, which Dovecot had before. For a client that does not want to wait it is
// NIL: it must be read from the message.
func (m *fetched) preview(item *fetchItem) error {
	s := m.f.s
	text := ""
	if !item.Lazy {
		err := m.parse(true)
		if err == nil {
			text, err = m.parsed.Preview(m.body)
		}
		if err != nil {
			return err
		}
	}
	b := m.name(item)
	if item.Kind == imapwire.FetchSnippet {
		b = append(b, "(FUZZY "...)
	}
	if item.Lazy {
		b = append(b, "NIL"...)
	} else {
		b = message.AppendString(b, text)
	}
	if item.Kind == imapwire.FetchSnippet {
		b = append(b, ')')
	}
	s.out.Buf = b
	return nil
}

// section writes BODY[…], RFC822… or BINARY[…].
func (m *fetched) section(item *fetchItem) error {
	s := m.f.s
	text, err := m.text(item)
	if err != nil {
		return err
	}
	b := m.name(item)
	if text.Binary && item.Kind == imapwire.FetchBinary {
		b = append(b, '~')
	}
	s.out.Buf = imapwire.AppendLiteralSize(b, text.Size())
	n, err := text.WriteTo(s.out)
	if sec := item.Section; sec.Specifier == imapwire.Whole || sec.Specifier == imapwire.Text || sec.Specifier == imapwire.MIME {
		s.count.bodies++
		s.count.bodyBytes += n
	} else {
		s.count.headers++
		s.count.headerBytes += n
	}
	if err != nil {
		return m.f.cutOff(m.r, item, err)
	}
	return nil
}

func (m *fetched) text(item *fetchItem) (*message.Text, error) {
	sec := item.Section
	r := message.All
	if sec.Partial {
		r = message.Range{Offset: int64(min(sec.Offset, math.MaxInt64)), Length: int64(min(sec.Length, math.MaxInt64))}
	}
	entire := item.Kind == imapwire.FetchSection && len(sec.Part) == 0 && sec.Specifier == imapwire.Whole
	if entire && !m.whole {
		// Its sizes are enough.
		if err := m.open(); err != nil {
			return nil, err
		}
		virtual, err := m.size()
		if err != nil {
			return nil, err
		}
		if !m.whole {
			size := message.Size{Stored: m.body.Size(), Virtual: virtual}
			return message.NewSource(m.body, message.Tree{{Body: size}}).Section(message.Section{}, r)
		}
	}
	if err := m.parse(needsWhole(item)); err != nil {
		return nil, err
	}
	if item.Kind == imapwire.FetchBinary {
		return m.source.Binary(sec.Part, r)
	}
	return m.source.Section(message.Section{Part: sec.Part, Which: message.Which(sec.Specifier), Fields: sec.Fields}, r)
}

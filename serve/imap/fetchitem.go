package imap

import (
	"strconv"
	"time"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/formats/message"
	"dovetail/formats/parsed"
	"dovetail/sync/watch"
)

// fetched is a message whose answer is being written. What is known of it from earlier readings is used; it is opened when
// an item needs it, and read no further than that.
type fetched struct {
	f      *fetching
	seq    uint32
	r      watch.Record
	first  bool // nothing was written yet
	marked bool // it becomes \Seen
	anew   bool // a size that was kept was wrong, and was found out anew

	looked  bool
	d       parsed.Data
	learned bool // d has what the cache has not

	m      formats.Message
	body   formats.Body
	parsed *message.Message // of the whole
	source *message.Source  // of all its parts
	header *message.Source  // of the header alone
	all    *message.Source  // of the message as one text
}

// recent is the message that a client was given a piece of, for when it comes for the next one.
type recent struct {
	uid         formats.UID
	size        int64
	source, all *message.Source // nil where none was used
}

// maxRecent is how many parts a message may have to be remembered.
const maxRecent = 200

// close keeps what was learned and forgets the message.
func (m *fetched) close() {
	sel := m.f.s.sel
	if m.learned {
		sel.box.Parsed().Put(m.r.UID, &m.d)
		m.f.learned = true
	}
	if m.looked {
		m.d, m.looked, m.learned = parsed.Data{}, false, false
	}
	if m.body == nil {
		return
	}
	if sel.recently = nil; m.f.piece && (m.source == nil || len(m.source.Tree()) <= maxRecent) {
		for _, s := range []*message.Source{m.source, m.all} {
			if s != nil {
				s.Leave()
			}
		}
		sel.recently = &recent{m.r.UID, m.body.Size(), m.source, m.all}
	}
	m.body.Close()
	m.body, m.parsed, m.source, m.header, m.all = nil, nil, nil, nil, nil
}

// data is what is known already.
func (m *fetched) data() *parsed.Data {
	if m.looked {
		return &m.d
	}
	m.looked = true
	if m.f.reader == nil {
		m.f.reader = m.f.s.sel.box.Parsed().Reader()
	}
	if d, ok := m.f.reader.Get(m.r.UID, -1); ok {
		m.d = *d
	} else {
		m.d = parsed.Data{VirtualSize: -1}
	}
	return &m.d
}

func (m *fetched) open() (err error) {
	if m.body != nil {
		return nil
	}
	m.m = formats.Message{UID: m.r.UID, Detail: formats.Detail{VirtualSize: -1}}
	body, err := m.f.s.sel.box.Body(m.f.ctx, &m.m)
	if err != nil {
		return err
	}
	m.body = body
	if was := m.f.s.sel.recently; was != nil && was.uid == m.r.UID && was.size == body.Size() {
		m.source, m.all = was.source, was.all
		for _, s := range []*message.Source{m.source, m.all} {
			if s != nil {
				s.Continue(body)
			}
		}
	}
	if !m.looked {
		return nil
	}
	if m.d.Size != body.Size() {
		if m.d.Size != 0 {
			m.f.s.sel.box.Parsed().Forget(m.r.UID)
		}
		m.d = parsed.Data{Size: body.Size(), VirtualSize: -1} // it is of another message
	}
	if !m.d.HasInternal {
		m.d.Internal, m.d.HasInternal, m.learned = m.m.InternalDate.Unix(), true, true
	}
	if !m.d.HasSaved && !m.m.SaveDate.IsZero() {
		m.d.Saved, m.d.HasSaved, m.learned = m.m.SaveDate.Unix(), true, true
	}
	return nil
}

// parse reads the whole message.
func (m *fetched) parse() (err error) {
	if m.parsed != nil {
		return nil
	}
	d := m.data()
	if err := m.open(); err != nil {
		return err
	}
	if m.parsed, err = message.Parse(m.body, m.body.Size()); err != nil {
		return err
	}
	if m.source == nil {
		m.source = message.NewSource(m.body, m.parsed.Tree)
	}
	m.learned = true
	m.found(m.parsed.Tree.Size().Virtual)
	return d.Fill(m.body, m.parsed)
}

// found tells everybody the size of the message with CRLF.
func (m *fetched) found(size int64) { m.f.s.sel.view.SetSize(m.seq, size) }

// parts makes every section of the message accessible.
func (m *fetched) parts() error {
	d := m.data()
	if err := m.open(); err != nil || m.source != nil {
		return err
	}
	if d.Tree == nil {
		return m.parse()
	}
	m.source = message.NewSource(m.body, d.Tree)
	return nil
}

// size is that of the message with CRLF.
func (m *fetched) size() (int64, error) {
	if size, ok := m.r.Size(); ok && size > 0 {
		return size, nil
	}
	d := m.data()
	if d.VirtualSize < 0 {
		if err := m.open(); err != nil {
			return 0, err
		}
		if v := m.m.VirtualSize; v > 0 && v >= d.Size && v <= 2*d.Size {
			d.VirtualSize, m.learned = v, true
		} else if err := m.parse(); err != nil {
			return 0, err
		}
	}
	m.found(d.VirtualSize)
	return d.VirtualSize, nil
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

// detail writes what the mailbox knows of the message. Dates are in the server's zone.
func (m *fetched) detail(item *fetchItem) error {
	d := m.data()
	known := item.Kind == imapwire.FetchInternalDate && d.HasInternal || d.HasSaved && item.Kind != imapwire.FetchInternalDate
	if !known || item.Kind == imapwire.FetchGUID {
		if err := m.open(); err != nil {
			return err
		}
	}
	b := m.name(item)
	switch {
	case item.Kind == imapwire.FetchInternalDate:
		b = imapwire.AppendDate(b, time.Unix(d.Internal, 0))
	case item.Kind == imapwire.FetchGUID:
		b = imapwire.AppendAString(b, m.m.GUID)
	case !d.HasSaved && item.Kind == imapwire.FetchSaveDate:
		b = append(b, "NIL"...)
	default:
		b = imapwire.AppendDate(b, time.Unix(d.Saved, 0))
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
	case imapwire.FetchBinarySize:
		if err := m.parts(); err != nil {
			return err
		}
		size, err := m.source.BinarySize(item.Section.Part)
		if err != nil {
			return err
		}
		s.out.Buf = strconv.AppendInt(m.name(item), size, 10)
		return nil
	}
	text, err := m.description(item.Kind)
	if err != nil {
		return err
	}
	s.out.Buf = append(m.name(item), text...)
	return nil
}

// description gives ENVELOPE, BODY or BODYSTRUCTURE.
func (m *fetched) description(kind imapwire.FetchKind) ([]byte, error) {
	d := m.data()
	known := &d.Envelope
	switch kind {
	case imapwire.FetchBody:
		known = &d.Body
	case imapwire.FetchBodyStructure:
		known = &d.BodyStructure
	}
	if *known != nil {
		return *known, nil
	}
	if err := m.open(); err != nil {
		return nil, err
	}
	switch {
	case *known != nil:
	case kind == imapwire.FetchEnvelope && !m.f.whole:
		head, err := message.ParseHeader(m.body, m.body.Size())
		if err != nil {
			return nil, err
		}
		d.Envelope, m.learned = head.AppendEnvelope(nil), true
	default:
		if err := m.parse(); err != nil {
			return nil, err
		}
		if kind == imapwire.FetchBody {
			d.Body = m.parsed.AppendBody(nil)
		}
	}
	return *known, nil
}

// preview writes PREVIEW (RFC 8970) or SNIPPET, which Dovecot had before. For a client that does not want to wait it is
// NIL when it must be read from the message.
func (m *fetched) preview(item *fetchItem) error {
	d := m.data()
	if d.Preview == nil && !item.Lazy {
		if err := m.parse(); err != nil {
			return err
		}
		text, err := m.parsed.Preview(m.body)
		if err != nil {
			return err
		}
		d.Preview, m.learned = []byte(text), true
	}
	b := m.name(item)
	if item.Fuzzy {
		b = append(b, "(FUZZY "...)
	}
	if d.Preview == nil {
		b = append(b, "NIL"...)
	} else {
		b = message.AppendString(b, d.Preview)
	}
	if item.Fuzzy {
		b = append(b, ')')
	}
	m.f.s.out.Buf = b
	return nil
}

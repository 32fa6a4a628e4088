package search

import (
	"bytes"
	"context"
	"io"
	"slices"

	"dovetail/formats"
	"dovetail/formats/message"
	"dovetail/formats/parsed"
	"dovetail/sync/watch"
)

// scan goes through messages. It is for one goroutine.
type scan struct {
	ctx    context.Context
	b      *Mailbox
	reader *parsed.Reader
	mail   mail
	text   textScan
	progress

	need []parsed.Key // what the keys of messages are read for
	keys *parsed.KeyReader

	fields  []parsed.Field
	small   bytes.Reader
	compare parsed.Comparer
	upper   []byte // scratch
	own     parsed.Keys
}

// newScan begins to look through messages, of which these keys will be needed.
func newScan(ctx context.Context, b *Mailbox, need ...parsed.Key) *scan {
	s := &scan{ctx: ctx, b: b, reader: b.Cache.Reader(), need: need, progress: progress{of: b}}
	if len(need) > 0 {
		s.keys = b.Cache.Keys(need...)
	}
	s.mail.s = s
	return s
}

// mailbox is that of the format.
func (s *scan) mailbox() formats.Mailbox {
	if box, ok := s.b.Box.(*watch.Box); ok {
		return box.Mailbox
	}
	return s.b.Box
}

// end gives everything back.
func (s *scan) end() {
	s.mail.leave()
	s.b.Cache.Flush()
	if s.keys != nil {
		s.keys.Flush()
	}
}

// mail is the message at hand, looked into as far as it was needed.
type mail struct {
	s       *scan
	seq     uint32
	r       watch.Record
	looked  bool
	split   bool // scan.fields are those of d.Header
	d       parsed.Data
	full    []byte // the whole header, where more fields are looked at than a cache is given
	learned bool   // d has what the cache has not
	asked   bool   // keyed was looked for
	keyed   *parsed.Keys
	m       formats.Message
	body    formats.Body
	text    io.ReaderAt // the body, in memory if it is small
}

// open makes another message the one at hand.
func (s *scan) open(seq uint32, r watch.Record) *mail {
	read := s.mail.body != nil
	s.mail.leave()
	s.mail.seq, s.mail.r, s.mail.asked = seq, r, false
	s.pass(seq, read)
	return &s.mail
}

// leave puts what was learned into the cache.
func (m *mail) leave() {
	if !m.looked && m.body == nil {
		return // nobody has looked into it
	}
	if m.asked && m.keyed == nil && m.d.HasHeader {
		m.makeKeys()
	}
	if m.body != nil {
		m.body.Close()
	}
	if m.learned {
		m.s.b.Cache.Put(m.r.UID, &m.d)
	}
	*m = mail{s: m.s}
}

// makeKeys makes the keys of the message of what is known by now, and puts them into the cache if these are all that are
// needed.
func (m *mail) makeKeys() *parsed.Keys {
	s, d := m.s, *m.data()
	if size, ok := m.r.Size(); ok && size > 0 && d.VirtualSize < 0 {
		d.VirtualSize = size
	}
	s.own.Take(&d)
	if d.HasHeader && s.own.Know(s.need) {
		s.keys.Put(m.r.UID, &s.own)
	}
	m.asked = false
	return &s.own
}

// keys gives the keys of the message if all that are needed are known; else nil.
func (m *mail) keys() *parsed.Keys {
	if !m.asked && m.s.keys != nil {
		m.asked, m.keyed = true, nil
		if keys, ok := m.s.keys.Get(m.r.UID); ok {
			m.keyed = keys
		}
	}
	return m.keyed
}

// data is what is known already.
func (m *mail) data() *parsed.Data {
	if !m.looked {
		m.looked = true
		if d, ok := m.s.reader.Get(m.r.UID, -1); ok {
			m.d = *d
		} else {
			m.d = parsed.Data{VirtualSize: -1}
		}
	}
	return &m.d
}

// read opens the body. What the cache had of a message of another size is forgotten.
func (m *mail) read() error {
	if m.body != nil {
		return nil
	}
	d := m.data()
	m.m = formats.Message{UID: m.r.UID, Detail: formats.Detail{VirtualSize: -1}}
	body, err := m.s.b.Box.Body(m.s.ctx, &m.m)
	if err != nil {
		return err
	}
	m.body = body
	if size := body.Size(); d.Size != size {
		if d.Size != 0 {
			m.s.b.Cache.Forget(m.r.UID)
		}
		*d = parsed.Data{Size: size, VirtualSize: -1}
	}
	if !d.HasInternal {
		d.Internal, d.HasInternal, m.learned = m.m.InternalDate.Unix(), true, true
	}
	if !d.HasSaved && !m.m.SaveDate.IsZero() {
		d.Saved, d.HasSaved, m.learned = m.m.SaveDate.Unix(), true, true
	}
	return nil
}

// internal is the internal date.
func (m *mail) internal() (int64, error) {
	if keys := m.keys(); keys != nil && slices.Contains(m.s.need, parsed.InternalDate) {
		return keys.Number(parsed.InternalDate), nil
	}
	d := m.data()
	if d.HasInternal {
		return d.Internal, nil
	}
	if is, ok := m.s.mailbox().(formats.Detailer); ok && m.body == nil {
		one := formats.Message{UID: m.r.UID}
		if err := is.Detail(m.s.ctx, &one, formats.WantDate); err != nil {
			return 0, err
		}
		d.Internal, d.HasInternal, m.learned = one.InternalDate.Unix(), true, true
		return d.Internal, nil
	}
	err := m.read()
	return d.Internal, err
}

// saved is the save date, or the internal date where none is kept.
func (m *mail) saved() (int64, error) {
	d := m.data()
	if !d.HasSaved {
		if err := m.read(); err != nil {
			return 0, err
		}
	}
	if !d.HasSaved {
		return d.Internal, nil
	}
	return d.Saved, nil
}

// size is that of the message with CRLF.
func (m *mail) size() (int64, error) {
	if size, ok := m.r.Size(); ok && size > 0 {
		return size, nil
	}
	if keys := m.keys(); keys != nil && slices.Contains(m.s.need, parsed.VirtualSize) {
		return keys.Number(parsed.VirtualSize), nil
	}
	d := m.data()
	if d.VirtualSize < 0 {
		if err := m.read(); err != nil {
			return 0, err
		}
		if v := m.m.VirtualSize; v >= d.Size && v <= 2*d.Size {
			d.VirtualSize, m.learned = v, true
		} else if _, err := m.parse(); err != nil {
			return 0, err
		}
	}
	m.s.b.View.SetSize(m.seq, d.VirtualSize)
	return d.VirtualSize, nil
}

// maxSmall is how large a message may be to be read at once.
const maxSmall = 256 << 10

// parse reads the message as a whole.
func (m *mail) parse() (*message.Message, error) {
	if err := m.read(); err != nil {
		return nil, err
	}
	size := m.body.Size()
	m.text = m.body
	if size <= maxSmall {
		t := &m.s.text
		t.whole = slices.Grow(t.whole[:0], int(size))[:size]
		if n, err := m.body.ReadAt(t.whole, 0); err != nil && (err != io.EOF || int64(n) < size) {
			return nil, err
		}
		m.s.small.Reset(t.whole)
		m.text = &m.s.small
	}
	whole, err := message.Parse(m.text, size)
	if err != nil || m.d.Tree != nil {
		return whole, err
	}
	m.learned = true
	return whole, m.d.Fill(m.text, whole)
}

// headerPiece is how much of a message is read at first for its header.
const headerPiece = 4 << 10

// header makes the header known, with these further fields.
func (m *mail) header(more []string) error {
	d := m.data()
	if m.full != nil || d.HasHeader && !slices.ContainsFunc(more, func(name string) bool { return !d.Holds(name) }) {
		return nil
	}
	if err := m.read(); err != nil {
		return err
	}
	text, err := readHeader(m.body, m.body.Size())
	if err != nil {
		return err
	}
	for _, name := range d.More {
		if !slices.Contains(more, name) {
			more = append(slices.Clip(more), name)
		}
	}
	if len(more) > maxMore {
		m.full, more = text, more[:maxMore]
	}
	m.split = false
	if m.full == nil || !d.HasHeader || !slices.Equal(d.More, more) {
		d.TakeHeader(text, more...)
		m.learned = true
	}
	return nil
}

// fields are those of the header, which is known: all that are looked at.
func (m *mail) fields() []parsed.Field {
	s := m.s
	if !m.split {
		m.split = true
		header := m.d.Header
		if m.full != nil {
			header = m.full
		}
		s.fields = slices.AppendSeq(s.fields[:0], parsed.Fields(header))
	}
	return s.fields
}

// maxMore bounds the fields beside the usual ones that a cache gets for one message.
const maxMore = 16

// readHeader gives a message's header with its empty line.
func readHeader(r io.ReaderAt, size int64) ([]byte, error) {
	buf := make([]byte, min(headerPiece, size))
	have, checked := 0, 0
	for {
		n, err := r.ReadAt(buf[have:], int64(have))
		have += n
		if end := headerEnd(buf[:have], checked); end >= 0 {
			return buf[:end], nil
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		if n == 0 || int64(have) == size || have >= maxHeader {
			return buf[:have], nil
		}
		checked = max(0, have-2)
		buf = slices.Grow(buf[:have], have)
		buf = buf[:min(int64(cap(buf)), size)]
	}
}

// maxHeader is how much of a header is looked at.
const maxHeader = 10 << 20

// headerEnd gives the offset behind the empty line; -1 if it has not come. from is where to begin.
func headerEnd(b []byte, from int) int {
	lineStart := from == 0
	for i := from; i < len(b); i++ {
		if b[i] == '\n' {
			if lineStart {
				return i + 1
			}
			lineStart = true
		} else if b[i] != '\r' || !lineStart {
			lineStart = false
		}
	}
	return -1
}

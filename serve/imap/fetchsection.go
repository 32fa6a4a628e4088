package imap

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"

	"dovetail/formats/imapwire"
	"dovetail/formats/message"
	"dovetail/formats/parsed"
)

// section writes BODY[…], RFC822… or BINARY[…].
func (m *fetched) section(item *fetchItem) error {
	s := m.f.s
	text, err := m.text(item)
	if err != nil {
		return err
	}
	before, first := len(s.out.Buf), m.first
	b := m.name(item)
	if text.Binary && item.Kind == imapwire.FetchBinary {
		b = append(b, '~')
	}
	b = imapwire.AppendLiteralSize(b, text.Size())
	n := text.Size()
	var there bool
	switch s.out.Buf, there = text.Append(b); {
	case there:
	case n <= atOnce:
		n, err = text.WriteTo((*appending)(&s.out.Buf))
		if err != nil { // nothing of it was said
			s.out.Buf, m.first = s.out.Buf[:before], first
		}
	default:
		n, err = text.WriteTo(s.out)
	}
	if errors.Is(err, message.ErrShort) && !m.anew {
		// A size that was kept is wrong. If nothing was said yet, this try need not fail, and else not the client's next.
		m.anew, m.parsed, m.source, m.all = true, nil, nil, nil
		if m.parse() == nil && text.Size() <= atOnce {
			return m.section(item)
		}
	}
	if sec := item.Section; sec.Specifier == imapwire.Whole || sec.Specifier == imapwire.Text || sec.Specifier == imapwire.MIME {
		s.count.bodies++
		s.count.bodyBytes += n
	} else {
		s.count.headers++
		s.count.headerBytes += n
	}
	if err != nil && text.Size() > atOnce {
		return m.f.cutOff(m.r, item, err)
	}
	return err
}

// atOnce is how long a text may be that is read to its end before anything is said of it: when the message is expunged
// meanwhile, the answer can still be that there is nothing.
const atOnce = 32 << 10

// appending is a buffer that is written to.
type appending []byte

func (a *appending) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}

func (m *fetched) text(item *fetchItem) (*message.Text, error) {
	sec := item.Section
	r := message.All
	if sec.Partial {
		r = message.Range{Offset: int64(min(sec.Offset, math.MaxInt64)), Length: int64(min(sec.Length, math.MaxInt64))}
	}
	wanted := message.Section{Part: sec.Part, Which: message.Which(sec.Specifier), Fields: sec.Fields}
	ofMessage := len(sec.Part) == 0 && item.Kind == imapwire.FetchSection
	switch {
	case ofMessage && sec.Specifier == imapwire.Whole:
		return m.entire(r)
	case ofMessage && sec.Specifier == imapwire.HeaderFields:
		return m.headerFields(wanted, r)
	case ofMessage && sec.Specifier != imapwire.Text:
		if err := m.readHeader(); err != nil {
			return nil, err
		}
		return m.header.Section(wanted, r)
	}
	if err := m.parts(); err != nil {
		return nil, err
	}
	if item.Kind == imapwire.FetchBinary {
		return m.source.Binary(sec.Part, r)
	}
	return m.source.Section(wanted, r)
}

// entire is the whole message, for which its sizes are enough.
func (m *fetched) entire(r message.Range) (*message.Text, error) {
	virtual, err := m.size()
	if err == nil {
		err = m.open()
	}
	if err != nil {
		return nil, err
	}
	if m.all == nil {
		size := message.Size{Stored: m.body.Size(), Virtual: virtual}
		m.all = message.NewSource(m.body, message.Tree{{Body: size}})
	}
	return m.all.Section(message.Section{}, r)
}

func (m *fetched) readHeader() error {
	if m.header != nil {
		return nil
	}
	if err := m.open(); err != nil {
		return err
	}
	head, err := message.ParseHeader(m.body, m.body.Size())
	if err != nil {
		return err
	}
	m.header = message.NewSource(m.body, head.Tree)
	return nil
}

// Fields of a header are kept for the next time, if there are not too many.
const (
	maxKeptFields = 16
	maxKeptHeader = 64 << 10
)

// headerFields gives fields from what was kept of the header, if they were.
func (m *fetched) headerFields(wanted message.Section, r message.Range) (*message.Text, error) {
	d := m.data()
	missing := func(name string) bool { return !d.Holds(name) }
	if slices.ContainsFunc(wanted.Fields, missing) {
		if err := m.readHeader(); err != nil {
			return nil, err
		}
		size := m.header.Tree()[0].Header.Stored
		if len(wanted.Fields) > maxKeptFields || size > maxKeptHeader {
			return m.header.Section(wanted, r)
		}
		header := make([]byte, size)
		if _, err := m.body.ReadAt(header, 0); err != nil && err != io.EOF {
			return nil, err
		}
		more := slices.DeleteFunc(slices.Clone(wanted.Fields), parsed.KeptField)
		for _, name := range d.More {
			if !slices.Contains(more, name) && len(more) < maxKeptFields {
				more = append(more, name)
			}
		}
		d.TakeHeader(header, more...)
		m.learned = true
	}
	kept := message.Tree{{Header: message.Size{Stored: int64(len(d.Header))}}}
	return message.NewSource(bytes.NewReader(d.Header), kept).Section(wanted, r)
}

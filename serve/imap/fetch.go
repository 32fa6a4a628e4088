package imap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/sync/watch"
)

func (s *session) fetch(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Fetch)
	wanted, refused := s.modifiers(ctx, c, args)
	if refused != nil {
		return *refused
	}
	f := &fetching{s: s, ctx: ctx, items: args.Items}
	if c.UID {
		f.withUID()
	}
	var failed error
	if wrong := s.each(args.Set, c.UID, func(seq uint32, r watch.Record) bool {
		if wanted(r) {
			failed = f.message(seq, r)
		}
		return failed == nil
	}); wrong != nil {
		return *wrong
	}
	if failed != nil {
		return s.failed(failed)
	}
	if f.seen.Len() > 0 && !s.sel.readOnly {
		if err := s.setFlags(ctx, f.seen, formats.FlagChange{Op: formats.AddFlags, Flags: formats.Seen}); err != nil {
			return s.failed(err)
		}
	}
	if f.gone {
		return no("[EXPUNGEISSUED]", "Some of the requested messages no longer exist.")
	}
	return ok("Fetch completed")
}

// fetching is one FETCH.
type fetching struct {
	s     *session
	ctx   context.Context
	items []imapwire.FetchItem
	seen  formats.Ranges // messages that get \Seen
	gone  bool
}

// withUID adds the UID, which is in every answer to UID FETCH (RFC 3501 section 6.4.8).
func (f *fetching) withUID() {
	for _, item := range f.items {
		if item.Kind == imapwire.FetchUID {
			return
		}
	}
	f.items = append([]imapwire.FetchItem{{Kind: imapwire.FetchUID, Name: "UID"}}, f.items...)
}

// message writes the answer for one message.
func (f *fetching) message(seq uint32, r watch.Record) error {
	s := f.s
	start := len(s.out.Buf)
	s.out.Buf = strconv.AppendUint(append(s.out.Buf, "* "...), uint64(seq), 10)
	s.out.Buf = append(s.out.Buf, " FETCH ("...)
	m := opened{f: f, r: r}
	defer m.close()
	for i := range f.items {
		if i > 0 {
			s.out.Buf = append(s.out.Buf, ' ')
		}
		err := m.item(&f.items[i])
		if errors.Is(err, formats.ErrNoMessage) && len(s.out.Buf) >= start {
			s.out.Buf = s.out.Buf[:start]
			f.gone = true
			return nil
		}
		if err != nil {
			return err
		}
	}
	s.out.Buf = append(s.out.Buf, ")\r\n"...)
	return s.out.Line()
}

// opened is a message whose body is opened when an item needs it.
type opened struct {
	f    *fetching
	r    watch.Record
	m    formats.Message
	body formats.Body
}

func (m *opened) close() {
	if m.body != nil {
		m.body.Close()
	}
}

func (m *opened) open() (err error) {
	if m.body == nil {
		m.m.UID = m.r.UID
		m.body, err = m.f.s.sel.box.Body(m.f.ctx, &m.m)
	}
	return err
}

func (m *opened) item(item *imapwire.FetchItem) error {
	s := m.f.s
	switch item.Kind {
	case imapwire.FetchFlags:
		s.out.Buf = append(append(s.out.Buf, "FLAGS "...), s.sel.flagText(m.r)...)
		return nil
	case imapwire.FetchModSeq:
		s.out.Buf = append(s.out.Buf, s.modSeq(m.r)...)
		return nil
	case imapwire.FetchUID:
		s.out.Buf = strconv.AppendUint(append(s.out.Buf, "UID "...), uint64(m.r.UID), 10)
		return nil
	}
	if err := m.open(); err != nil {
		return err
	}
	switch item.Kind {
	case imapwire.FetchInternalDate:
		s.out.Buf = imapwire.AppendDate(append(s.out.Buf, "INTERNALDATE "...), m.m.InternalDate)
		return nil
	case imapwire.FetchSize:
		size, err := m.size()
		s.out.Buf = strconv.AppendInt(append(s.out.Buf, "RFC822.SIZE "...), size, 10)
		return err
	case imapwire.FetchSection:
		return m.section(item)
	}
	return fmt.Errorf("%s: %w", item.Name, errors.ErrUnsupported)
}

// size is that of the message with CRLF.
func (m *opened) size() (int64, error) {
	if m.m.VirtualSize >= 0 && m.m.VirtualSize >= m.m.Size && m.m.VirtualSize != 0 {
		return m.m.VirtualSize, nil
	}
	var count lineEnds
	_, err := m.body.WriteTo(&count)
	return count.virtual, err
}

func (m *opened) section(item *imapwire.FetchItem) error {
	s := m.f.s
	if len(item.Section.Part) > 0 || item.Section.Specifier != imapwire.Whole || item.Section.Partial {
		return fmt.Errorf("%s: %w", item.Name, errors.ErrUnsupported)
	}
	size, err := m.size()
	if err != nil {
		return err
	}
	s.out.Buf = append(s.out.Buf, item.Name...)
	if item.Name == "BODY" {
		s.out.Buf = item.Section.Append(s.out.Buf)
	}
	s.out.Buf = imapwire.AppendLiteralSize(append(s.out.Buf, ' '), size)
	if !item.Section.Peek && m.r.Flags()&formats.Seen == 0 {
		m.f.seen.Add(m.r.UID)
	}
	w := &crlfWriter{w: s.out}
	if _, err := m.body.WriteTo(w); err != nil {
		return err
	}
	if w.out != size {
		return fmt.Errorf("UID %d: the message has changed while it was sent", m.r.UID)
	}
	return nil
}

// lineEnds counts a text as it is with CRLF at each line end.
type lineEnds struct {
	virtual int64
	last    byte
}

func (c *lineEnds) Write(p []byte) (int, error) {
	for _, b := range p {
		if b == '\n' && c.last != '\r' {
			c.virtual++
		}
		c.last = b
	}
	c.virtual += int64(len(p))
	return len(p), nil
}

// crlfWriter writes a text with CRLF at each line end.
type crlfWriter struct {
	w    io.Writer
	last byte
	out  int64
	buf  []byte
}

func (c *crlfWriter) Write(p []byte) (int, error) {
	c.buf = c.buf[:0]
	for _, b := range p {
		if b == '\n' && c.last != '\r' {
			c.buf = append(c.buf, '\r')
		}
		c.buf = append(c.buf, b)
		c.last = b
	}
	n, err := c.w.Write(c.buf)
	c.out += int64(n)
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

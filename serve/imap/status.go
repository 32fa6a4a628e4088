package imap

import (
	"context"
	"fmt"
	"slices"

	"dovetail/formats"
	"dovetail/formats/imapwire"
)

func (s *session) status(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Status)
	if len(args.Items) == 0 {
		return wrong(c, "Empty status list.")
	}
	m, err := s.find(args.Mailbox)
	if err == nil {
		err = s.statusOf(ctx, m, decodedPattern(args.Mailbox), args.Items)
	}
	if err != nil {
		return s.missing(ctx, err, "", m)
	}
	if s.sel != nil && s.sel.at.Space == m.Space && s.sel.at.Name == m.Name {
		return withCode("[CLIENTBUG]", "Status on selected mailbox completed")
	}
	return ok("Status completed")
}

// statusOrder is the order of an answer.
var statusOrder = []imapwire.StatusItem{imapwire.StatusMessages, imapwire.StatusRecent, imapwire.StatusUIDNext, imapwire.StatusUIDValidity,
	imapwire.StatusUnseen, imapwire.StatusHighestModSeq, imapwire.StatusSize, imapwire.StatusGUID}

// statusOf looks into a mailbox that need not be open. name is what the client calls it.
func (s *session) statusOf(ctx context.Context, m mailbox, name string, items []imapwire.StatusItem) error {
	if slices.Contains(items, imapwire.StatusHighestModSeq) {
		if err := s.enableCondStore(ctx); err != nil {
			return err
		}
	}
	box, err := s.target(ctx, m)
	if err != nil {
		return err
	}
	defer box.Close()
	st := box.Snapshot().Status
	b := append(s.out.Buf, "* STATUS "...)
	b = append(imapwire.AppendMailbox(b, encoded(name), false), " ("...)
	first := true
	for _, item := range statusOrder {
		if !slices.Contains(items, item) {
			continue
		}
		if !first {
			b = append(b, ' ')
		}
		first = false
		b = append(append(b, item...), ' ')
		switch item {
		case imapwire.StatusMessages:
			b = fmt.Append(b, st.Messages)
		case imapwire.StatusRecent:
			b = fmt.Append(b, st.Recent)
		case imapwire.StatusUIDNext:
			b = fmt.Append(b, st.UIDNext)
		case imapwire.StatusUIDValidity:
			b = fmt.Append(b, st.UIDValidity)
		case imapwire.StatusUnseen:
			b = fmt.Append(b, st.Unseen)
		case imapwire.StatusHighestModSeq:
			b = fmt.Append(b, max(st.HighestModSeq, 1))
		case imapwire.StatusGUID:
			b = append(b, st.GUID.String()...)
		case imapwire.StatusSize:
			size, err := sizeOf(ctx, box.Mailbox)
			if err != nil {
				return err
			}
			b = fmt.Append(b, size)
		}
	}
	s.out.Buf = append(b, ")\r\n"...)
	return s.out.Line()
}

// sizeOf is the sum of all messages as FETCH RFC822.SIZE gives them (RFC 8438).
func sizeOf(ctx context.Context, box formats.Mailbox) (sum int64, err error) {
	for m, err := range box.Messages(ctx, formats.Query{Want: formats.WantVirtualSize}) {
		if err != nil {
			return 0, err
		}
		sum += m.VirtualSize
	}
	return sum, nil
}

package imap

import (
	"context"
	"fmt"
	"strings"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/formats/layout"
	"dovetail/serve/namespace"
)

type mailbox = namespace.Mailbox

func (s *session) create(ctx context.Context, c *imapwire.Command) answer {
	name, err := layout.DecodeMUTF7(c.Args.(*imapwire.Create).Name)
	if err != nil {
		return no("[CANNOT]", "Mailbox name is not valid mUTF-7")
	}
	if _, err := s.user.Create(ctx, name); err != nil {
		return s.failed(err)
	}
	return ok("Create completed")
}

func (s *session) delete(ctx context.Context, c *imapwire.Command) answer {
	m, err := s.find(c.Args.(*imapwire.Mailbox).Name)
	if err == nil {
		err = s.user.Delete(ctx, m.Full)
	}
	if err != nil {
		return s.failed(err)
	}
	return ok("Delete completed")
}

func (s *session) rename(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Rename)
	from, err := s.find(args.From)
	if err != nil {
		return s.failed(err)
	}
	to, err := layout.DecodeMUTF7(args.To)
	if err == nil {
		err = s.user.Rename(ctx, from.Full, to)
	}
	if err != nil {
		return s.failed(err)
	}
	return ok("Rename completed")
}

func (s *session) subscribe(ctx context.Context, c *imapwire.Command) answer {
	m, err := s.find(c.Args.(*imapwire.Mailbox).Name)
	if err == nil {
		err = m.Subscribe(ctx, c.Name == "SUBSCRIBE")
	}
	if err != nil {
		return s.failed(err)
	}
	return ok(title(c.Name) + " completed")
}

func title(name string) string { return name[:1] + strings.ToLower(name[1:]) }

// namespaces tells the prefixes of private, other users' and shared mailboxes (RFC 2342).
func (s *session) namespaces(context.Context, *imapwire.Command) answer {
	b := append(s.out.Buf, "* NAMESPACE"...)
	for _, kind := range []string{"private", "shared", "public"} {
		b = append(b, ' ')
		start := len(b)
		b = append(b, '(')
		for _, n := range s.user.Spaces {
			if n.Type == kind && !n.Hidden {
				b = append(b, '(')
				b = imapwire.AppendString(b, encoded(n.Prefix))
				b = append(b, ' ')
				b = append(imapwire.AppendQuoted(b, string(n.Separator)), ')')
			}
		}
		if b = append(b, ')'); len(b) == start+2 {
			b = append(b[:start], "NIL"...)
		}
	}
	s.out.Buf = append(b, "\r\n"...)
	return ok("Namespace completed")
}

// encoded is a name as it goes over the wire.
func encoded(name string) string {
	if text, err := layout.EncodeMUTF7(name); err == nil {
		return text
	}
	return name
}

func (s *session) list(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.List)
	verb := strings.TrimPrefix(c.Name, "X")
	if c.Name == "LIST" && !args.Extended && args.Patterns[0] == "" {
		s.line(`* LIST (\Noselect) "` + string(s.user.Spaces[0].Separator) + `" ""`)
		return ok("List completed")
	}
	q := namespace.Query{Reference: decodedPattern(args.Reference), Subscribed: args.Subscribed || c.Name == "LSUB", Recursive: args.RecursiveMatch,
		SpecialUse: args.SpecialUse, OldParents: c.Name == "LSUB", NeedSubscribed: args.ReturnSubscribed}
	for _, p := range args.Patterns {
		q.Patterns = append(q.Patterns, decodedPattern(p))
	}
	entries, err := s.user.List(ctx, q)
	if err != nil {
		return s.failed(err)
	}
	for i := range entries {
		s.listed(c.Name, &entries[i], args)
		if args.Status != nil && !entries[i].NoSelect && !entries[i].NonExistent {
			s.statusOf(ctx, entries[i].Mailbox, args.Status)
		}
	}
	return ok(title(verb) + " completed")
}

func decodedPattern(p string) string {
	if text, err := layout.DecodeMUTF7(p); err == nil {
		return text
	}
	return p
}

func (s *session) listed(verb string, e *namespace.Entry, args *imapwire.List) {
	var attributes []string
	add := func(on bool, name string) {
		if on {
			attributes = append(attributes, name)
		}
	}
	add(e.NonExistent, `\NonExistent`)
	add(e.NoSelect && !e.NonExistent, `\Noselect`)
	add(e.NoInferiors, `\NoInferiors`)
	if verb != "LSUB" && !e.NoInferiors {
		add(e.Children, `\HasChildren`)
		add(!e.Children, `\HasNoChildren`)
	}
	add(e.Subscribed && (args.ReturnSubscribed || args.Subscribed), `\Subscribed`)
	if verb != "LSUB" {
		attributes = append(attributes, e.SpecialUse...)
	}
	if verb == "XLIST" {
		add(e.Name == namespace.Inbox, `\Inbox`)
	}
	b := append(s.out.Buf, "* "...)
	b = append(append(b, verb...), " ("...)
	b = append(append(b, strings.Join(attributes, " ")...), ") "...)
	b = append(imapwire.AppendQuoted(b, string(e.Separator)), ' ')
	b = imapwire.AppendMailbox(b, encoded(e.Name), false)
	if e.ChildInfo {
		b = append(b, ` (CHILDINFO ("SUBSCRIBED"))`...)
	}
	s.out.Buf = append(b, "\r\n"...)
	s.out.Line()
}

func (s *session) status(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Status)
	m, err := s.find(args.Mailbox)
	if err == nil {
		err = s.statusOf(ctx, m, args.Items)
	}
	if err != nil {
		return s.failed(err)
	}
	return ok("Status completed")
}

// statusOf looks into a mailbox that need not be open.
func (s *session) statusOf(ctx context.Context, m mailbox, items []imapwire.StatusItem) error {
	store, err := m.Prepare(ctx)
	if err != nil {
		return err
	}
	box, err := s.p.Hub.Open(ctx, store, m.Name)
	if err != nil {
		return err
	}
	defer box.Close()
	st := box.Snapshot().Status
	b := append(s.out.Buf, "* STATUS "...)
	b = append(imapwire.AppendMailbox(b, encoded(m.Full), false), " ("...)
	for i, item := range items {
		if i > 0 {
			b = append(b, ' ')
		}
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
			b = fmt.Append(b, st.HighestModSeq)
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

func sizeOf(ctx context.Context, box formats.Mailbox) (sum int64, err error) {
	for m, err := range box.Messages(ctx, formats.Query{Want: formats.WantVirtualSize}) {
		if err != nil {
			return 0, err
		}
		sum += m.VirtualSize
	}
	return sum, nil
}

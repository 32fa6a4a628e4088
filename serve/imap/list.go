package imap

import (
	"context"
	"strings"

	"dovetail/formats/imapwire"
	"dovetail/formats/layout"
	"dovetail/serve/namespace"
)

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

// attributes says which of them an answer has (RFC 5258 section 3).
type attributes struct{ children, subscribed, specialUse, extended, lsub bool }

func (s *session) list(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.List)
	lsub := c.Name == "LSUB"
	if args.RecursiveMatch && !args.Subscribed && !args.SpecialUse {
		return wrong(c, "RECURSIVEMATCH must not be the only selection.")
	}
	if args.Status != nil && len(args.Status) == 0 {
		return wrong(c, "Empty status list.")
	}
	if !lsub && !args.Extended && args.Patterns[0] == "" {
		return s.root(args.Reference)
	}
	q := namespace.Query{Reference: decodedPattern(args.Reference), Subscribed: args.Subscribed || lsub, Recursive: args.RecursiveMatch,
		SpecialUse: args.SpecialUse, OldParents: lsub, NeedSubscribed: args.ReturnSubscribed}
	for _, p := range args.Patterns {
		q.Patterns = append(q.Patterns, decodedPattern(p))
	}
	entries, err := s.user.List(ctx, q)
	if err != nil {
		return s.failed(err)
	}
	show := attributes{children: args.ReturnChildren || !args.Extended && (!lsub || s.o.lsubFlags), subscribed: args.Subscribed || args.ReturnSubscribed,
		specialUse: args.SpecialUse || args.ReturnSpecialUse || !args.Extended, extended: args.Extended, lsub: lsub}
	verb := "LIST"
	if lsub {
		verb = "LSUB"
	}
	for i := range entries {
		e := &entries[i]
		s.listed(verb, e, show)
		if args.Status != nil && !e.NoSelect && !e.NonExistent && (e.Subscribed || !e.ChildInfo) {
			if err := s.statusOf(ctx, e.Mailbox, e.Name, args.Status); err != nil {
				a := s.missing(ctx, err, "", e.Mailbox)
				s.line("* NO " + a.text)
			}
		}
	}
	return ok(title(verb) + " completed")
}

// root answers the request for the separator and the root of a reference (RFC 3501 section 6.3.8).
func (s *session) root(reference string) answer {
	separator, root := s.user.Spaces[0].Separator, ""
	m, err := s.user.Find(decodedPattern(reference))
	if err != nil {
		m, err = s.user.Find(decodedPattern(reference) + "x")
	}
	if err == nil {
		separator = m.Space.Separator
		if !m.Space.Hidden {
			root = encoded(m.Space.Prefix)
		}
	}
	if root == "" {
		if head, _, has := strings.Cut(reference, string(separator)); has {
			root = head + string(separator)
		}
	}
	b := imapwire.AppendQuoted(append(s.out.Buf, `* LIST (\Noselect) `...), string(separator))
	s.out.Buf = append(imapwire.AppendMailbox(append(b, ' '), root, false), "\r\n"...)
	return ok("List completed")
}

func decodedPattern(p string) string {
	if text, err := layout.DecodeMUTF7(p); err == nil {
		return text
	}
	return p
}

// listed writes one line, its attributes in Dovecot's order.
func (s *session) listed(verb string, e *namespace.Entry, show attributes) {
	var words []string
	add := func(on bool, name string) {
		if on {
			words = append(words, name)
		}
	}
	flags := !show.lsub || s.o.lsubFlags
	add(e.Subscribed && show.subscribed, `\Subscribed`)
	add(e.NoSelect && (!e.NonExistent || show.lsub) || e.NonExistent && !show.extended && flags, `\Noselect`)
	add(e.NonExistent && show.extended, `\NonExistent`)
	add(show.children && e.Children, `\HasChildren`)
	add(show.children && !e.Children && !e.NoInferiors, `\HasNoChildren`)
	add(e.NoInferiors && flags, `\NoInferiors`)
	if show.specialUse {
		words = append(words, e.SpecialUse...)
	}
	b := append(s.out.Buf, "* "...)
	b = append(append(b, verb...), " ("...)
	b = append(append(b, strings.Join(words, " ")...), ") "...)
	b = append(imapwire.AppendQuoted(b, string(e.Separator)), ' ')
	b = imapwire.AppendMailbox(b, encoded(e.Name), false)
	if e.ChildInfo {
		b = append(b, ` (CHILDINFO ("SUBSCRIBED"))`...)
	}
	s.out.Buf = append(b, "\r\n"...)
	s.out.Line()
}

package imap

import (
	"context"
	"errors"
	"slices"
	"strings"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/formats/layout"
	"dovetail/serve/namespace"
	"dovetail/sync/watch"
)

type (
	mailbox = namespace.Mailbox
	space   = namespace.Space
)

var (
	errNotMUTF7 = errors.New("Mailbox name is not valid mUTF-7")
	notMUTF7    = no("", errNotMUTF7.Error())
)

func (s *session) create(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Create)
	name, err := layout.DecodeMUTF7(args.Name)
	if err != nil {
		return notMUTF7
	}
	if len(args.Uses) > 0 { // RFC 6154 section 3: better refused than forgotten, as Dovecot 2.3 does
		return no("[USEATTR]", "Special uses are set by the server's configuration")
	}
	if s.isPrefix(name) {
		return s.failed(formats.ErrExists)
	}
	if _, err := s.user.Create(ctx, name); err != nil {
		return s.failed(err)
	}
	s.p.sessions.tell(s)
	return ok("Create completed")
}

// isPrefix tells whether a name is that of a namespace, which is always there.
func (s *session) isPrefix(name string) bool {
	return name != "" && slices.ContainsFunc(s.user.Spaces, func(n *space) bool { return strings.EqualFold(n.Prefix, name) })
}

func (s *session) delete(ctx context.Context, c *imapwire.Command) answer {
	m, err := s.find(c.Args.(*imapwire.Mailbox).Name)
	if err != nil {
		return s.failed(err)
	}
	open := s.sel != nil && s.sel.at.Space == m.Space && s.sel.at.Name == m.Name
	if open && m.Name != namespace.Inbox {
		s.deselect()
	}
	err = s.user.Delete(ctx, m.Full)
	if errors.Is(err, formats.ErrNoMailbox) {
		err = s.deleteParent(ctx, m)
	}
	if errors.Is(err, formats.ErrParent) {
		return no("", "Mailbox has children, delete them first.")
	}
	if err != nil {
		return s.missing(ctx, err, "[NONEXISTENT]", m)
	}
	if open {
		s.leave("Selected mailbox was deleted, have to disconnect.")
	}
	s.p.sessions.tell(s)
	return ok("Delete completed")
}

// deleteParent removes a name that is only a parent, if it is one no more.
func (s *session) deleteParent(ctx context.Context, m mailbox) error {
	name := m.Listed()
	entries, err := s.user.List(ctx, namespace.Query{Patterns: []string{name}})
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch {
		case e.Name != name || !e.NoSelect:
		case e.Children:
			return formats.ErrParent
		default:
			// Stores remove the folder of a mailbox with it, and so that of the parent when it was one.
			if _, err := s.user.Create(ctx, m.Full); err != nil {
				return err
			}
			return s.user.Delete(ctx, m.Full)
		}
	}
	return formats.ErrNoMailbox
}

// leave ends the session behind the answer to the command.
func (s *session) leave(why string) {
	s.farewell = "* BYE " + why
	s.end(why)
}

func (s *session) rename(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Rename)
	from, err := s.find(args.From)
	if err != nil {
		return s.failed(err)
	}
	name, err := layout.DecodeMUTF7(args.To)
	if err != nil {
		return notMUTF7
	}
	to, err := s.user.Find(name)
	switch {
	case err != nil:
		return s.failed(err)
	case from.Space == to.Space && from.Name == to.Name:
		return no("[ALREADYEXISTS]", "Can't rename mailbox to itself")
	case to.Name == namespace.Inbox && to.Space.Inbox:
		return no("[ALREADYEXISTS]", "Target mailbox already exists")
	case from.Space == to.Space && strings.HasPrefix(to.Name, from.Name+"/") && from.Name != namespace.Inbox:
		return no("", "Can't rename mailbox under its own child")
	case to.Name == namespace.Inbox && to.Space.Inbox:
		err = formats.ErrExists
	case from.Name == namespace.Inbox && from.Space.Inbox:
		err = s.renameInbox(ctx, from, to)
	default:
		err = s.user.Rename(ctx, from.Full, to.Full)
	}
	if errors.Is(err, formats.ErrExists) {
		return no("[ALREADYEXISTS]", "Target mailbox already exists")
	}
	if errors.Is(err, formats.ErrNoRoom) {
		return no("[CANNOT]", "Target mailbox doesn't allow inferior mailboxes")
	}
	if err != nil {
		return s.missing(ctx, err, "[NONEXISTENT]", from)
	}
	s.p.sessions.tell(s)
	return ok("Rename completed")
}

// renameInbox moves all messages of INBOX into a new mailbox; INBOX and what is below it stay (RFC 3501 section 6.3.5).
func (s *session) renameInbox(ctx context.Context, from, to mailbox) error {
	if _, err := s.user.Create(ctx, to.Full); err != nil {
		return err
	}
	source, err := s.target(ctx, from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := s.target(ctx, to)
	if err != nil {
		return err
	}
	defer target.Close()
	var uids formats.Ranges
	v := source.Snapshot()
	v.Each(1, v.Len(), func(_ uint32, r watch.Record) bool { uids.Add(r.UID); return true })
	if len(uids) == 0 {
		return nil
	}
	if _, err := s.copyMessages(ctx, source, v, target, uids); err != nil {
		return err
	}
	_, err = s.update(ctx, source, func(tx formats.Tx) error { return tx.Expunge(uids) })
	return err
}

func (s *session) subscribe(ctx context.Context, c *imapwire.Command) answer {
	on := c.Name == "SUBSCRIBE"
	name := c.Args.(*imapwire.Mailbox).Name
	m, err := s.find(name)
	if errors.Is(err, namespace.ErrBadName) && on {
		return no("", "Mailbox doesn't exist: "+name)
	}
	if err == nil && on {
		err = s.exists(ctx, m)
	}
	if err == nil {
		err = m.Subscribe(ctx, on)
	}
	if err != nil {
		return s.missing(ctx, err, "", m)
	}
	s.p.sessions.tell(s)
	return ok(title(c.Name) + " completed")
}

// exists tells whether there is such a mailbox, or will be when it is opened.
func (s *session) exists(ctx context.Context, m mailbox) error {
	if m.There(ctx) {
		return nil
	}
	name := m.Listed()
	entries, err := s.user.List(ctx, namespace.Query{Patterns: []string{name}})
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name == name && !e.NonExistent {
			return nil
		}
	}
	return formats.ErrNoMailbox
}

func title(name string) string { return name[:1] + strings.ToLower(name[1:]) }

// separator is that of the namespace that clients see first.
func (s *session) separator() string { return string(s.user.Spaces[0].Separator) }

// encoded is a name as it goes over the wire.
func encoded(name string) string {
	if text, err := layout.EncodeMUTF7(name); err == nil {
		return text
	}
	return name
}

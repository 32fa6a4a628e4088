package imap

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/serve/namespace"
	"dovetail/sync/watch"
)

// events say which changes of the selected mailbox are told: without NOTIFY all of them.
type events struct{ flags, counts bool }

var allEvents = events{flags: true, counts: true}

// notifying is what NOTIFY SET has asked for (RFC 5465).
type notifying struct {
	selected  bool // the selected mailbox is told of at any time
	immediate bool // of its expunges, too
	fetch     []imapwire.FetchItem
	others    []*other
	groups    []notifyGroup   // that look at names
	names     map[string]bool // of mailboxes that there are; true: subscribed
}

// other is a mailbox that is not selected and of whose messages the client is told.
type other struct {
	box    *watch.Box
	at     mailbox
	shown  *watch.Snapshot
	events []string
}

// maxOthers is how many mailboxes one session has watched: Dovecot has the same bound, for names.
const maxOthers = 1000

func (s *session) setNotify(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Notify)
	n, told, refused := s.parseNotify(c, args)
	if refused != nil {
		return *refused
	}
	if !args.None {
		if refused := s.watchOthers(ctx, n, args); refused != nil {
			n.close()
			return *refused
		}
	}
	s.notify.close()
	s.events, s.notify = told, n
	if args.None {
		s.notify = nil
	}
	return ok("NOTIFY completed")
}

// messageEvents are those that are about messages.
var messageEvents = []string{"MESSAGENEW", "MESSAGEEXPUNGE", "FLAGCHANGE"}

// unsupported events, as Dovecot has it: there is nothing that they could tell.
var unsupported = map[string]string{"ANNOTATIONCHANGE": "AnnotationChange", "MAILBOXMETADATACHANGE": "MailboxMetadataChange",
	"SERVERMETADATACHANGE": "ServerMetadataChange"}

// parseNotify checks what the grammar does not (RFC 5465 section 5).
func (s *session) parseNotify(c *imapwire.Command, args *imapwire.Notify) (n *notifying, told events, refused *answer) {
	refuse := func(a answer) (*notifying, events, *answer) { return nil, events{}, &a }
	n = &notifying{}
	var bad []string
	for _, g := range args.Groups {
		has := func(event string) bool { return slices.Contains(g.Events, event) }
		for _, e := range g.Events {
			if name, ok := unsupported[e]; ok && !slices.Contains(bad, name) {
				bad = append(bad, name)
			}
		}
		if !strings.HasPrefix(g.Which, "SELECTED") {
			if len(g.Events) > 0 {
				n.groups = append(n.groups, newNotifyGroup(&g))
			}
			continue
		}
		switch {
		case n.selected:
			return refuse(wrong(c, "Duplicate selected filter"))
		case has("MESSAGENEW") != has("MESSAGEEXPUNGE"):
			return refuse(wrong(c, "MessageNew and MessageExpunge must be together"))
		case has("FLAGCHANGE") && !has("MESSAGEEXPUNGE"):
			return refuse(wrong(c, "FlagChange requires MessageNew and MessageExpunge"))
		}
		n.selected, n.immediate, n.fetch = true, g.Which == "SELECTED", g.Fetch
		told = events{flags: has("FLAGCHANGE"), counts: has("MESSAGENEW")}
	}
	if len(bad) > 0 {
		return refuse(no("[BADEVENT "+strings.Join(bad, " ")+"]", "Unsupported NOTIFY events"))
	}
	return n, told, nil
}

// watchOthers opens the mailboxes that are to be watched, and tells their state first if that was asked for.
func (s *session) watchOthers(ctx context.Context, n *notifying, args *imapwire.Notify) *answer {
	if len(n.groups) == 0 {
		return nil
	}
	entries, err := s.user.List(ctx, namespace.Query{Patterns: []string{"*"}, NeedSubscribed: true})
	if err != nil {
		a := s.failed(err)
		return &a
	}
	n.names = map[string]bool{}
	var watched []*namespace.Entry
	for i := range entries {
		e := &entries[i]
		if e.NonExistent {
			continue
		}
		n.names[e.Name] = e.Subscribed
		if !e.NoSelect && len(n.wanted(e)) > 0 {
			watched = append(watched, e)
		}
	}
	if len(watched) > maxOthers { // which is told before any is opened
		a := no("[NOTIFICATIONOVERFLOW]", "Too many mailbox names")
		return &a
	}
	for _, e := range watched {
		wanted := n.wanted(e)
		if err := s.watchOther(ctx, n, e, wanted); err != nil {
			continue // it cannot be opened, or has gone: there is nothing to tell of it
		}
		if args.Status && !s.isSelected(e.Mailbox) {
			items := []imapwire.StatusItem{imapwire.StatusMessages, imapwire.StatusUIDNext, imapwire.StatusUIDValidity, imapwire.StatusUnseen}
			if slices.Contains(wanted, "FLAGCHANGE") {
				items = append(items, imapwire.StatusHighestModSeq)
			}
			s.statusOf(ctx, e.Mailbox, e.Name, items)
		}
	}
	return nil
}

func (s *session) isSelected(m mailbox) bool {
	return s.sel != nil && s.sel.at.Space == m.Space && s.sel.at.Name == m.Name
}

func (s *session) watchOther(ctx context.Context, n *notifying, e *namespace.Entry, wanted []string) error {
	box, err := s.target(ctx, e.Mailbox)
	if err != nil {
		return err
	}
	n.others = append(n.others, &other{box: box, at: e.Mailbox, shown: box.Snapshot(), events: wanted})
	return nil
}

// wanted gives the events of messages that are asked for of a mailbox.
func (n *notifying) wanted(e *namespace.Entry) (list []string) {
	for i := range n.groups {
		g := &n.groups[i]
		if !g.matches(e) {
			continue
		}
		for _, event := range g.Events {
			if slices.Contains(messageEvents, event) && !slices.Contains(list, event) {
				list = append(list, event)
			}
		}
	}
	return list
}

// notifyGroup is mailboxes of which a client wants to know something.
type notifyGroup struct {
	*imapwire.NotifyGroup
	names map[string]bool // of Mailboxes, as in namespace.Entry
}

func newNotifyGroup(g *imapwire.NotifyGroup) notifyGroup {
	n := notifyGroup{g, make(map[string]bool, len(g.Mailboxes))}
	for _, name := range g.Mailboxes {
		name = decodedPattern(name)
		if strings.EqualFold(name, namespace.Inbox) {
			name = namespace.Inbox
		}
		n.names[name] = true
	}
	return n
}

// matches tells whether the group is about a mailbox. Which ones get mail by themselves is not known, so INBOXES are all.
func (g *notifyGroup) matches(e *namespace.Entry) bool {
	switch g.Which {
	case "INBOXES", "PERSONAL":
		return e.Mailbox.Space != nil && e.Mailbox.Space.Type == "private"
	case "SUBSCRIBED":
		return e.Subscribed
	}
	if g.names[e.Name] || g.Which != "SUBTREE" {
		return g.names[e.Name]
	}
	for name := e.Name; name != ""; {
		name = name[:max(strings.LastIndexByte(name, e.Separator), 0)]
		if g.names[name] {
			return true
		}
	}
	return false
}

// close gives the mailboxes back.
func (n *notifying) close() {
	if n == nil {
		return
	}
	for _, o := range n.others {
		o.box.Close()
	}
}

// watched gives the mailboxes of which a waiting client is told.
func (s *session) watched(idle bool) (list []*watch.Box) {
	if s.sel != nil && (idle || s.notify != nil && s.notify.selected) {
		list = append(list, s.sel.box)
	}
	if s.notify != nil {
		for _, o := range s.notify.others {
			list = append(list, o.box)
		}
	}
	return list
}

// news tells a waiting client what has happened.
func (s *session) news(ctx context.Context, idle bool) {
	switch {
	case s.sel == nil:
	case idle:
		s.sync(ctx, asked, nil)
	case s.notify.selected && s.notify.immediate:
		s.sync(ctx, asked, nil)
	case s.notify.selected:
		s.sync(ctx, noExpunges, nil)
	}
	if s.notify == nil {
		return
	}
	for _, o := range s.notify.others {
		if now, err := o.box.Refresh(ctx); err == nil {
			s.newsOf(o, now)
		}
	}
	s.newNames(ctx)
}

// lateNews tells what sessions have done before the client said something, should it have been quicker than the wake-up
// call: behind that command it would be told one command too late.
func (s *session) lateNews() {
	if s.notify == nil {
		return
	}
	for _, o := range s.notify.others {
		s.newsOf(o, o.box.Snapshot())
	}
}

// newsOf tells how many messages another mailbox has, if that is news (RFC 5465 section 5.2 to 5.4).
func (s *session) newsOf(o *other, now *watch.Snapshot) {
	if now == o.shown {
		return
	}
	c := watch.Diff(o.shown, now)
	was := o.shown
	o.shown = now
	if s.isSelected(o.at) {
		return
	}
	items := ""
	has := func(event string) bool { return slices.Contains(o.events, event) }
	seen := was.Status.Unseen != now.Status.Unseen && len(c.Flags) > 0
	switch {
	case c.Added > 0 && has("MESSAGENEW"), len(c.Expunged) > 0 && has("MESSAGEEXPUNGE"):
		items = fmt.Sprintf("MESSAGES %d UIDNEXT %d UNSEEN %d", now.Len(), now.Status.UIDNext, now.Status.Unseen)
	case seen && has("FLAGCHANGE"):
		items = fmt.Sprintf("UNSEEN %d", now.Status.Unseen)
	}
	if s.condstore && now.Status.KeepsModSeqs && (items != "" || has("FLAGCHANGE") && len(c.Flags) > 0) {
		items = strings.TrimSpace(fmt.Sprintf("%s HIGHESTMODSEQ %d", items, now.Status.HighestModSeq))
	}
	if items == "" {
		return
	}
	b := imapwire.AppendMailbox(append(s.out.Buf, "* STATUS "...), encoded(o.at.Full), false)
	s.out.Buf = append(append(append(b, " ("...), items...), ")\r\n"...)
	s.out.Line()
}

// newNames tells which mailboxes came, went, or were subscribed to, if that was asked for (RFC 5465 section 5.5 and 5.6).
func (s *session) newNames(ctx context.Context) {
	n := s.notify
	asks := func(event string) bool {
		return slices.ContainsFunc(n.groups, func(g notifyGroup) bool { return slices.Contains(g.Events, event) })
	}
	names, subscriptions := asks("MAILBOXNAME"), asks("SUBSCRIPTIONCHANGE")
	if !names && !subscriptions {
		return
	}
	entries, err := s.user.List(ctx, namespace.Query{Patterns: []string{"*"}, NeedSubscribed: true})
	if err != nil {
		return // the next time
	}
	is := map[string]bool{}
	show := attributes{children: true, subscribed: true, specialUse: true, extended: true}
	for i := range entries {
		e := &entries[i]
		if e.NonExistent {
			continue
		}
		is[e.Name] = e.Subscribed
		was, known := n.names[e.Name]
		matched := slices.ContainsFunc(n.groups, func(g notifyGroup) bool { return g.matches(e) })
		if matched && (!known && names || known && was != e.Subscribed && subscriptions) {
			s.listed("LIST", e, show)
		}
		if wanted := n.wanted(e); !known && !e.NoSelect && len(wanted) > 0 && len(n.others) < maxOthers {
			s.watchOther(ctx, n, e, wanted)
		}
	}
	for name := range n.names {
		if _, there := is[name]; there || !names {
			continue
		}
		if m, err := s.user.Find(name); err == nil {
			s.listed("LIST", &namespace.Entry{Name: name, Separator: m.Space.Separator, NonExistent: true, Mailbox: m}, show)
		}
		n.others = slices.DeleteFunc(n.others, func(o *other) bool {
			if o.at.Full == name {
				o.box.Close()
			}
			return o.at.Full == name
		})
	}
	n.names = is
}

// newMessages sends what NOTIFY asks for of new messages of the selected mailbox.
func (s *session) newMessages(ctx context.Context, first formats.UID) {
	if s.notify == nil || len(s.notify.fetch) == 0 {
		return
	}
	v := s.sel.view
	f := s.newFetching(ctx, s.notify.fetch, false)
	from, _ := v.Seq(first)
	v.Each(from, v.Len(), func(seq uint32, r watch.Record) bool { return f.message(seq, r) == nil })
}

package imapwire

import (
	"slices"
	"strings"
)

// List is LIST with its extensions (RFC 5258), and LSUB and XLIST.
type List struct {
	Reference string
	Patterns  []string

	// What is selected.
	Subscribed, Remote, RecursiveMatch, SpecialUse bool

	// What is returned.
	ReturnSubscribed, ReturnChildren, ReturnSpecialUse bool
	Status                                             []StatusItem // nil: none asked for

	Extended bool // written in a form that the basic command does not have
}

func (d *Decoder) listing() any {
	l := &List{}
	d.space("reference name")
	if d.peek() == '(' {
		l.Extended = true
		d.list("selection option", func() { d.selection(l) })
		d.space("reference name")
	}
	l.Reference = d.astring("reference name")
	d.space("mailbox pattern")
	if d.peek() == '(' {
		l.Extended = true
		d.list("mailbox pattern", func() { l.Patterns = append(l.Patterns, d.pattern()) })
	} else {
		l.Patterns = []string{d.pattern()}
	}
	if d.more() {
		l.Extended = true
		d.one("LIST option", "RETURN")
		d.space("return option")
		d.list("return option", func() { d.returned(l) })
	}
	return l
}

func (d *Decoder) lsub() any {
	d.space("reference name")
	l := &List{Reference: d.astring("reference name")}
	d.space("mailbox pattern")
	l.Patterns = []string{d.pattern()}
	return l
}

func (d *Decoder) selection(l *List) {
	switch d.one("LIST selection option", "SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE") {
	case "SUBSCRIBED":
		l.Subscribed = true
	case "REMOTE":
		l.Remote = true
	case "RECURSIVEMATCH":
		l.RecursiveMatch = true
	case "SPECIAL-USE":
		l.SpecialUse = true
	}
}

func (d *Decoder) returned(l *List) {
	switch d.one("LIST return option", "SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS") {
	case "SUBSCRIBED":
		l.ReturnSubscribed = true
	case "CHILDREN":
		l.ReturnChildren = true
	case "SPECIAL-USE":
		l.ReturnSpecialUse = true
	case "STATUS":
		d.space("status items")
		l.Status = d.statusItems()
	}
}

// StatusItem is one thing that STATUS gives: "MESSAGES".
type StatusItem string

// What STATUS can be asked for.
const (
	StatusMessages      StatusItem = "MESSAGES"
	StatusRecent        StatusItem = "RECENT"
	StatusUIDNext       StatusItem = "UIDNEXT"
	StatusUIDValidity   StatusItem = "UIDVALIDITY"
	StatusUnseen        StatusItem = "UNSEEN"
	StatusHighestModSeq StatusItem = "HIGHESTMODSEQ" // RFC 7162
	StatusSize          StatusItem = "SIZE"          // RFC 8438
	StatusGUID          StatusItem = "X-GUID"        // Dovecot's
)

var statusItems = []StatusItem{StatusMessages, StatusRecent, StatusUIDNext, StatusUIDValidity, StatusUnseen, StatusHighestModSeq, StatusSize, StatusGUID}

// Status is STATUS.
type Status struct {
	Mailbox string
	Items   []StatusItem
}

func (d *Decoder) status() any {
	s := &Status{Mailbox: d.mailboxName()}
	d.space("status items")
	s.Items = d.statusItems()
	return s
}

func (d *Decoder) statusItems() []StatusItem {
	items := []StatusItem{}
	d.list("status item", func() {
		word := StatusItem(d.keyword("status item"))
		if d.err != nil {
			return
		}
		for _, item := range statusItems {
			if item == word {
				items = append(items, item)
				return
			}
		}
		d.fail("Invalid status item %s", shown(string(word)))
	})
	return items
}

// Notify is NOTIFY (RFC 5465). None: nothing is told.
type Notify struct {
	None   bool
	Status bool // STATUS of each mailbox is told first
	Groups []NotifyGroup
}

// NotifyGroup is mailboxes with what is told of them.
type NotifyGroup struct {
	Which     string   // SELECTED, SELECTED-DELAYED, INBOXES, PERSONAL, SUBSCRIBED, SUBTREE, MAILBOXES
	Mailboxes []string // of SUBTREE and MAILBOXES
	Events    []string // as in RFC 5465 section 5, upper case; empty for NONE
	Fetch     []FetchItem
}

func (d *Decoder) notify() any {
	n := &Notify{}
	d.space("NOTIFY arguments")
	if d.one("NOTIFY argument", "NONE", "SET") == "NONE" {
		n.None = true
		return n
	}
	for d.more() {
		if d.peek() != '(' {
			if d.one("NOTIFY argument", "STATUS") == "STATUS" {
				n.Status = true
			}
			continue
		}
		n.Groups = append(n.Groups, d.notifyGroup())
	}
	if d.err == nil && len(n.Groups) == 0 {
		d.fail("Missing event groups")
	}
	return n
}

func (d *Decoder) notifyGroup() NotifyGroup {
	var g NotifyGroup
	d.accept('(')
	g.Which = d.one("mailbox filter", "SELECTED", "SELECTED-DELAYED", "INBOXES", "PERSONAL", "SUBSCRIBED", "SUBTREE", "MAILBOXES")
	if g.Which == "SUBTREE" || g.Which == "MAILBOXES" {
		d.space("mailbox names")
		if d.peek() == '(' {
			d.list("mailbox name", func() { g.Mailboxes = append(g.Mailboxes, d.astring("mailbox name")) })
		} else {
			g.Mailboxes = []string{d.astring("mailbox name")}
		}
	}
	d.space("events")
	if d.peek() == '(' {
		d.events(&g)
	} else {
		d.one("events", "NONE")
	}
	if !d.accept(')') {
		d.missing("')'")
	}
	return g
}

// events reads "(MessageNew (UID FLAGS) MessageExpunge)". MessageNew's items may stand behind it.
func (d *Decoder) events(g *NotifyGroup) {
	d.list("event", func() {
		if d.peek() == '(' {
			if len(g.Events) == 0 || g.Events[len(g.Events)-1] != "MESSAGENEW" || !strings.HasPrefix(g.Which, "SELECTED") {
				d.fail("Fetch items are for MessageNew of the selected mailbox only")
				return
			}
			d.list("FETCH item", func() { g.Fetch = d.fetchItem(g.Fetch, false) })
			return
		}
		event := d.one("event", "MESSAGENEW", "MESSAGEEXPUNGE", "FLAGCHANGE", "ANNOTATIONCHANGE", "MAILBOXNAME",
			"SUBSCRIPTIONCHANGE", "MAILBOXMETADATACHANGE", "SERVERMETADATACHANGE")
		if !slices.Contains(g.Events, event) {
			g.Events = append(g.Events, event)
		}
	})
}

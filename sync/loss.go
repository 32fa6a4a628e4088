package sync

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"dovetail/formats"
)

// kind is a row of the table in the package doc.
type kind struct {
	what, effect string
	harmless     bool
}

var (
	lostUID          = kind{what: "uid", effect: "clients see a new message and download it again"}
	lostUIDValidity  = kind{what: "uidvalidity", effect: "clients download the whole mailbox again"}
	lostName         = kind{what: "name", effect: "clients see the mailbox under its new name and must subscribe to it again"}
	lostKeyword      = kind{what: "keyword", effect: "clients no longer see this keyword on the messages"}
	lostGUID         = kind{what: "guid", effect: "clients that recognise messages by X-GUID or EMAILID, and dsync, see other messages"}
	lostPOP3UIDL     = kind{what: "pop3-uidl", effect: "POP3 clients download the messages again"}
	lostPOP3Order    = kind{what: "pop3-order", effect: "POP3 clients see the messages in another order"}
	lostHeader       = kind{what: "header", effect: "clients no longer see this header field; the message gets shorter"}
	lostHeaderLine   = kind{what: "header-line", effect: "clients see this line of the header changed; the message gets longer"}
	lostEnding       = kind{what: "final-newline", effect: "the message gets a line end at its end and so one byte or two longer"}
	lostSubscription = kind{what: "subscription", effect: "clients that show only subscribed mailboxes do not show it"}
	lostSpecialUse   = kind{what: "special-use", effect: "clients do not find this mailbox by its role (Sent, Trash…)"}
	lostParent       = kind{what: "empty-parent", effect: "the empty mailbox can no longer be selected; its children are all there"}
	lostForm         = kind{what: "name-form", effect: "Dovecot 2.3 shows the name as it is; Dovecot 2.4 renames the mailbox when it lists it", harmless: true}
	lostSaveDate     = kind{what: "save-date", effect: "searches by save date find the messages at the date of this run", harmless: true}
	lostModSeq       = kind{what: "modseq", effect: "clients with CONDSTORE compare all flags once", harmless: true}
	lostMailboxGUID  = kind{what: "mailbox-guid", effect: "only replication partners see it: they take the mailbox for another", harmless: true}
	lostBefore       = kind{what: "damage", effect: "the source is damaged: clients see its messages without what is gone there"}
	lostRemade       = kind{what: "remade", effect: "the source gave the mailbox a new UIDVALIDITY: clients download it again, as they would from the source", harmless: true}
)

// findings collects what the report lists; safe for concurrent use.
type findings struct {
	mu      sync.Mutex // guards what follows
	losses  map[lossKey]*lossSum
	aside   []SetAside
	differs []Difference
}

type lossKey struct {
	mailbox string
	kind    kind
	detail  string
	why     string
}

type lossSum struct {
	uids  formats.Ranges
	whole bool
}

func (f *findings) sum(k lossKey) *lossSum {
	if f.losses == nil {
		f.losses = map[lossKey]*lossSum{}
	}
	s := f.losses[k]
	if s == nil {
		s = &lossSum{}
		f.losses[k] = s
	}
	return s
}

// lose notes that messages of a mailbox lose something; no UIDs: the mailbox as a whole does.
func (f *findings) lose(mailbox string, k kind, detail, why string, uids ...formats.UID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sum(lossKey{mailbox, k, detail, why})
	s.whole = s.whole || len(uids) == 0
	for _, uid := range uids {
		s.uids.Add(uid)
	}
}

// setAside notes what is not carried because of err.
func (f *findings) setAside(mailbox string, uid formats.UID, err error, next string) {
	s := SetAside{Mailbox: mailbox, UID: uid, Reason: err.Error(), Next: next}
	if e, ok := errors.AsType[*formats.Error](err); ok {
		s.Path, s.Offset = e.Path, e.Offset
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.aside = append(f.aside, s)
}

// isAside tells whether a mailbox as a whole was set aside.
func (f *findings) isAside(mailbox string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.aside, func(s SetAside) bool { return s.Mailbox == mailbox && s.UID == 0 })
}

func (f *findings) differ(d Difference) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.differs = append(f.differs, d)
}

// report puts everything into r, in an order that does not depend on how goroutines ran.
func (f *findings) report(r *Report) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, s := range f.losses {
		r.Losses = append(r.Losses, Loss{
			Mailbox: k.mailbox, What: k.kind.what, Detail: k.detail, Why: k.why, Effect: k.kind.effect,
			Count: s.uids.Len(), UIDs: s.uids.String(), Harmless: k.kind.harmless,
		})
	}
	slices.SortFunc(r.Losses, func(a, b Loss) int {
		return firstOf(compareMailboxes(a.Mailbox, b.Mailbox), strings.Compare(a.What, b.What),
			strings.Compare(a.Detail, b.Detail), strings.Compare(a.Why, b.Why))
	})
	r.SetAside = append(r.SetAside, f.aside...)
	slices.SortStableFunc(r.SetAside, func(a, b SetAside) int {
		return firstOf(compareMailboxes(a.Mailbox, b.Mailbox), int(int64(a.UID)-int64(b.UID)))
	})
	r.SetAside = slices.CompactFunc(r.SetAside, func(a, b SetAside) bool { return a == b && a.UID != 0 }) // found by each attempt
	r.Differences = append(r.Differences, f.differs...)
	slices.SortStableFunc(r.Differences, func(a, b Difference) int {
		return firstOf(compareMailboxes(a.Mailbox, b.Mailbox), int(int64(a.UID)-int64(b.UID)), strings.Compare(a.Field, b.Field))
	})
}

// compareMailboxes is the order of mailboxes in a report; "", the store as a whole, comes first.
func compareMailboxes(a, b string) int {
	if a == "" || b == "" {
		return strings.Compare(a, b)
	}
	return formats.CompareNames(a, b)
}

func firstOf(orders ...int) int {
	for _, o := range orders {
		if o != 0 {
			return o
		}
	}
	return 0
}

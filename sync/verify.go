package sync

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"dovetail/formats"
)

// Verify reads both sides independently of what a run noted, every message of them, and lists every difference that the
// target could have held. The note of earlier runs only says which UID a message got where it could not keep its own,
// and which mailbox got another name. Nothing is written on either side.
func Verify(ctx context.Context, src, dst formats.Store, o Options) (*Report, error) {
	m, err := begin(ctx, src, dst, o, "")
	if err != nil {
		return nil, err
	}
	m.independent = true
	r := newReport("verify", m)
	err = m.verify(ctx)
	m.finish(r)
	if err != nil {
		r.Unfinished, r.Next = err.Error(), "run the same again"
	}
	return r, err
}

func newReport(verb string, m *mirror) *Report {
	return &Report{Verb: verb, Source: m.from.Format, Target: m.limits.Format, Started: time.Now(),
		Mailboxes: []MailboxReport{}, Losses: []Loss{}, SetAside: []SetAside{}, Differences: []Difference{}}
}

func (m *mirror) verify(ctx context.Context) error {
	boxes, err := m.look(ctx)
	if err != nil {
		return err
	}
	infos, there, err := m.listTarget(ctx)
	if err != nil {
		return err
	}
	m.recall(ctx, boxes, there)
	named := m.names(boxes)
	expected := map[string]bool{}
	tasks := []task{}
	for _, b := range boxes {
		n := named[b.info.Name]
		if b.entry != nil && there[b.entry.target].Name != "" {
			n.target = b.entry.target
		}
		expected[n.target] = expected[n.target] || n.refuse == ""
		if !m.wants(b) || b.info.Err != nil || m.bareParent(b, named) {
			continue
		}
		info, ok := there[n.target]
		if n.refuse != "" || !ok || info.NoSelect {
			m.findings.differ(Difference{Mailbox: b.info.Name, Field: "mailbox", Want: n.target, Got: "missing"})
			m.progress.Mailboxes.Add(1)
			continue
		}
		tasks = append(tasks, task{name: b.info.Name, target: n.target, entry: b.entry, exists: true})
	}
	err = m.each(ctx, len(tasks), func(ctx context.Context, i int) error { return m.verifyMailbox(ctx, tasks[i]) })
	if err != nil {
		return err
	}
	m.verifySubscriptions(ctx, tasks)
	return m.verifyExtra(ctx, infos, expected)
}

// verifyExtra lists mailboxes that only the target has; an empty INBOX is everywhere.
func (m *mirror) verifyExtra(ctx context.Context, infos []formats.Info, expected map[string]bool) error {
	if len(m.o.Mailboxes) > 0 {
		return nil
	}
	for _, info := range infos {
		if expected[info.Name] || info.NoSelect {
			continue
		}
		got := "a mailbox that cannot be opened"
		if mbox, err := m.dst.Open(ctx, info.Name); err == nil {
			status, err := mbox.Status(ctx)
			mbox.Close()
			if err == nil && info.Name == "INBOX" && status.Messages == 0 {
				continue
			}
			got = fmt.Sprintf("a mailbox with %d messages", status.Messages)
		}
		m.findings.differ(Difference{Mailbox: info.Name, Field: "mailbox", Want: "none", Got: got})
	}
	return ctx.Err()
}

func (m *mirror) verifySubscriptions(ctx context.Context, tasks []task) {
	want, err := subscribed(ctx, m.src)
	if err != nil || len(m.o.Mailboxes) > 0 {
		return
	}
	got, err := subscribed(ctx, m.dst)
	if err != nil {
		return
	}
	want = m.subscribeAs(want, tasks)
	for _, name := range want {
		if !slices.Contains(got, name) {
			m.findings.differ(Difference{Mailbox: name, Field: "subscription", Want: "subscribed", Got: "not subscribed"})
		}
	}
	for _, name := range got {
		if !slices.Contains(want, name) {
			m.findings.differ(Difference{Mailbox: name, Field: "subscription", Want: "not subscribed", Got: "subscribed"})
		}
	}
}

// comparing is one mailbox being verified.
type comparing struct {
	*mirror
	name       string // of the source's mailbox
	target     string
	r          *MailboxReport
	srcBox     formats.Mailbox
	dstBox     formats.Mailbox
	src, dst   *state
	sets       *keywordSets
	hold       *holding
	comparable bool // UIDs of both sides mean the same
}

func (m *mirror) verifyMailbox(ctx context.Context, t task) error {
	began := time.Now()
	r := MailboxReport{Mailbox: t.name}
	if t.target != t.name {
		r.Target = t.target
	}
	m.progress.mailbox.Store(&t.name)
	err := m.verifyBoth(ctx, t, &r)
	r.Duration = time.Since(began).Seconds()
	m.progress.Mailboxes.Add(1)
	m.report(r)
	if err != nil && !fatal(err) {
		m.findings.setAside(t.name, 0, err, "mend the cause and verify again")
		return nil
	}
	return err
}

func (m *mirror) verifyBoth(ctx context.Context, t task, r *MailboxReport) error {
	srcBox, err := m.src.Open(ctx, t.name)
	if err != nil {
		return err
	}
	defer srcBox.Close()
	dstBox, err := m.dst.Open(ctx, t.target)
	if err != nil {
		return err
	}
	defer dstBox.Close()
	c := &comparing{mirror: m, name: t.name, target: t.target, r: r, srcBox: srcBox, dstBox: dstBox, sets: newKeywordSets()}
	pairs, err := c.load(ctx, t.entry)
	if err != nil {
		return err
	}
	r.Messages, r.UIDValidity = len(c.src.recs), c.dst.status.UIDValidity
	c.statuses(len(pairs))
	c.unpaired(pairs)
	return c.all(ctx, pairs)
}

// load lists both sides and pairs their messages.
func (c *comparing) load(ctx context.Context, e *entry) ([]pair, error) {
	status, err := c.srcBox.Status(ctx)
	if err != nil {
		return nil, err
	}
	there, err := c.dstBox.Status(ctx)
	if err != nil {
		return nil, err
	}
	c.comparable = !status.Volatile && (status.UIDValidity == there.UIDValidity || there.Volatile)
	known := e != nil && e.of(c.name, c.key, status) && e.dstUIDValidity == there.UIDValidity
	var wantSrc, wantDst formats.Want
	switch {
	case !known && !c.comparable:
		wantSrc, wantDst = wantGUIDs|wantLooks, c.identities()
	case known && e.volatile:
		wantSrc = wantGUIDs
	}
	if known && len(e.planned) > 0 {
		wantDst = c.identities()
	}
	if c.src, err = load(ctx, c.srcBox, wantSrc, c.sets); err != nil {
		return nil, err
	}
	if c.dst, err = load(ctx, c.dstBox, wantDst, c.sets); err != nil {
		return nil, err
	}
	c.hold = hold(c.sets, c.src, c.dst, c.limits)
	switch {
	case known:
		pairs := e.remembered(c.src, c.dst)
		return slices.DeleteFunc(pairs, func(p pair) bool { return p.src == 0 }), nil
	case c.comparable:
		return byNumber(c.src, c.dst), nil
	}
	return recognised(c.src, c.dst, false), nil
}

// byNumber pairs messages with the same UID.
func byNumber(src, dst *state) []pair {
	var pairs []pair
	for _, r := range src.recs {
		if _, ok := dst.find(r.uid); ok {
			pairs = append(pairs, pair{r.uid, r.uid})
		}
	}
	return pairs
}

func (c *comparing) differ(uid uint32, field string, want, got any) {
	c.findings.differ(Difference{Mailbox: c.name, UID: formats.UID(uid), Field: field, Want: fmt.Sprint(want), Got: fmt.Sprint(got)})
}

// statuses compares what the mailboxes themselves carry.
func (c *comparing) statuses(pairs int) {
	a, b := c.src.status, c.dst.status
	if a.Volatile {
		return
	}
	if a.UIDValidity != 0 && a.UIDValidity != b.UIDValidity {
		c.differ(0, "uidvalidity", a.UIDValidity, b.UIDValidity)
	}
	if a.UIDNext != b.UIDNext && pairs == len(c.dst.recs) && pairs == len(c.src.recs) {
		c.differ(0, "uidnext", a.UIDNext, b.UIDNext)
	}
	if !c.limits.NoMailboxGUID && !c.from.NoMailboxGUID && !a.GUID.IsZero() && a.GUID != b.GUID {
		c.differ(0, "mailbox-guid", a.GUID, b.GUID)
	}
	if !c.limits.NoModSeq && !c.from.NoModSeq && a.HighestModSeq > max(b.HighestModSeq, 1) { // 1 is what a mailbox without any has
		c.differ(0, "highestmodseq", a.HighestModSeq, b.HighestModSeq)
	}
}

// unpaired lists messages that only one side has.
func (c *comparing) unpaired(pairs []pair) {
	var srcs, dsts formats.Ranges
	for _, p := range pairs {
		srcs.Add(formats.UID(p.src))
	}
	sorted := slices.Clone(pairs)
	sortByTarget(sorted)
	for _, p := range sorted {
		dsts.Add(formats.UID(p.dst))
	}
	for _, r := range c.src.recs {
		if !srcs.Contains(formats.UID(r.uid)) {
			c.differ(r.uid, "message", "present", "missing")
			c.progress.Messages.Add(1)
		}
	}
	for _, r := range c.dst.recs {
		if !dsts.Contains(formats.UID(r.uid)) {
			c.differ(r.uid, "message", "none", "a message that the source does not have")
		}
	}
	c.r.Own = len(c.dst.recs) - len(pairs)
}

// all compares the pairs, several at a time.
func (c *comparing) all(ctx context.Context, pairs []pair) error {
	workers, ctx := errgroup.WithContext(ctx)
	n := bodyWorkers()
	counts := make([]Counts, n)
	for i := range n {
		workers.Go(func() error {
			for at := i; at < len(pairs); at += n {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := c.one(ctx, pairs[at], &counts[i]); err != nil {
					return err
				}
				c.progress.Messages.Add(1)
			}
			return nil
		})
	}
	err := workers.Wait()
	for _, n := range counts {
		c.r.Add(n)
	}
	return err
}

// one compares a message of each side.
func (c *comparing) one(ctx context.Context, p pair, n *Counts) error {
	at, _ := c.src.find(p.src)
	a := c.src.recs[at]
	at, _ = c.dst.find(p.dst)
	b := c.dst.recs[at]
	c.records(a, b)
	am, bm := c.src.message(a, c.sets), c.dst.message(b, c.sets)
	srcBody, err := c.srcBox.Body(ctx, &am)
	if err != nil {
		return c.unreadable(p, err)
	}
	defer srcBody.Close()
	dstBody, err := c.dstBox.Body(ctx, &bm)
	if err != nil {
		if fatal(err) {
			return err
		}
		c.differ(p.src, "body", "readable", err)
		return nil
	}
	defer dstBody.Close()
	c.details(p.src, &am, &bm)
	n.Bytes += srcBody.Size()
	c.progress.Bytes.Add(srcBody.Size())
	return c.bodies(p, srcBody, dstBody, n)
}

// unreadable is for a message that the source itself cannot give.
func (c *comparing) unreadable(p pair, err error) error {
	if fatal(err) {
		return err
	}
	c.findings.setAside(c.name, formats.UID(p.src), err, "the message cannot be compared: mend it in the source and verify again")
	return nil
}

func (c *comparing) records(a, b record) {
	if c.comparable && a.uid != b.uid {
		c.differ(a.uid, "uid", a.uid, b.uid)
	}
	if a.flags() != b.flags() {
		c.differ(a.uid, "flags", a.flags(), b.flags())
	}
	if want := c.hold.held[a.set()]; want != b.set() {
		c.differ(a.uid, "keywords", strings.Join(c.sets.names[want], " "), strings.Join(c.sets.names[b.set()], " "))
	}
	if !c.limits.NoModSeq && c.src.status.KeepsModSeqs && a.modseq > b.modseq {
		c.differ(a.uid, "modseq", a.modseq, b.modseq)
	}
}

func (c *comparing) details(uid uint32, a, b *formats.Message) {
	if !a.InternalDate.IsZero() && a.InternalDate.Unix() != b.InternalDate.Unix() {
		c.differ(uid, "date", a.InternalDate.Format(time.RFC3339), b.InternalDate.Format(time.RFC3339))
	}
	if !c.limits.NoGUID && a.GUID != "" && c.limits.HoldsID(a.GUID) && a.GUID != b.GUID {
		c.differ(uid, "guid", a.GUID, b.GUID)
	}
	if !c.limits.NoSaveDate && !c.from.NoSaveDate && !a.SaveDate.IsZero() && a.SaveDate.Unix() != b.SaveDate.Unix() {
		c.differ(uid, "save-date", a.SaveDate.UTC().Format(time.RFC3339), b.SaveDate.UTC().Format(time.RFC3339))
	}
	pop3 := !c.limits.NoPOP3 && (!c.limits.POP3InboxOnly || c.target == "INBOX")
	if pop3 && c.limits.HoldsID(a.POP3UIDL) && a.POP3UIDL != b.POP3UIDL {
		c.differ(uid, "pop3-uidl", a.POP3UIDL, b.POP3UIDL)
	}
	if pop3 && c.limits.POP3OrderProblem == nil && a.POP3Order != b.POP3Order {
		c.differ(uid, "pop3-order", a.POP3Order, b.POP3Order)
	}
}

// bodies compares the bytes as stored, and if those differ, as a client gets them.
func (c *comparing) bodies(p pair, src, dst formats.Body, n *Counts) error {
	a, err := rawDigest(src)
	if err != nil {
		return c.unreadable(p, err)
	}
	b, err := rawDigest(dst)
	if err != nil {
		if fatal(err) {
			return err
		}
		c.differ(p.src, "body", "readable", err)
		return nil
	}
	if a == b {
		n.Identical++
		n.Equal++
		return nil
	}
	if a, err = crlfDigest(src, c.limits.HiddenHeaders, c.limits.FinalNewline); err != nil {
		return c.unreadable(p, err)
	}
	if b, err = crlfDigest(dst, nil, false); err != nil {
		return err
	}
	if a != b {
		c.differ(p.src, "body", fmt.Sprintf("sha256 %x (%d bytes)", a, src.Size()), fmt.Sprintf("sha256 %x (%d bytes)", b, dst.Size()))
		return nil
	}
	n.Equal++
	return nil
}

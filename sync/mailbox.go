package sync

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"dovetail/formats"
)

// task is one mailbox to be made like another.
type task struct {
	name, target string
	entry        *entry // what earlier runs remember, nil: nothing
	exists       bool   // in the target
	guid         formats.GUID
	did, was     string // for the report
}

// attempts bounds how often a mailbox is planned again because somebody delivered into the target meanwhile.
const attempts = 5

// mailbox carries one mailbox. An error ends the whole run; what concerns only this mailbox is in the findings.
func (m *mirror) mailbox(ctx context.Context, t task) error {
	began := time.Now()
	r := MailboxReport{Mailbox: t.name, Did: t.did, Was: t.was}
	if t.target != t.name {
		r.Target = t.target
	}
	m.progress.mailbox.Store(&t.name)
	var err error
	for range attempts {
		if err = m.attempt(ctx, &t, &r); !errors.Is(err, formats.ErrUIDTaken) {
			break
		}
		t.exists = true
		t.entry = m.remembered(t.target, t.guid)
	}
	r.Duration = time.Since(began).Seconds()
	m.progress.Mailboxes.Add(1)
	m.report(r)
	if err == nil {
		return nil
	}
	if fatal(err) {
		return err
	}
	m.findings.setAside(t.name, 0, err, nextFor(err))
	m.log.Warn("mailbox set aside", "mailbox", t.name, "err", err)
	return nil
}

func nextFor(err error) string {
	if errors.Is(err, errTargetHasMail) {
		return nextRemoveOwn
	}
	return "mend the cause and run the same again: everything else is carried"
}

// work is one attempt at one mailbox.
type work struct {
	*mirror
	task   *task
	r      *MailboxReport
	src    formats.Mailbox
	dst    formats.Mailbox
	status formats.Status // of the source
	there  formats.Status // of the target, before anything is done
	prints [2]string      // of both sides, before anything is done
	known  bool           // the entry tells about this very pair of mailboxes
	fresh  bool           // the target's mailbox holds nothing
	sets   *keywordSets

	began   time.Time
	counted atomic.Int64 // messages that the progress counts for this attempt
}

// progressed counts messages that are done.
func (w *work) progressed(n int) {
	w.counted.Add(int64(n))
	w.progress.Messages.Add(int64(n))
}

func (m *mirror) attempt(ctx context.Context, t *task, r *MailboxReport) (err error) {
	w := &work{mirror: m, task: t, r: r, sets: newKeywordSets(), began: time.Now()}
	if w.src, err = m.src.Open(ctx, t.name); err != nil {
		return err
	}
	defer w.src.Close()
	defer func() {
		if w.dst != nil {
			err = errors.Join(err, w.dst.Close())
		}
		if errors.Is(err, formats.ErrUIDTaken) { // the next attempt counts all of them
			m.progress.Messages.Add(-w.counted.Load())
		}
	}()
	w.prints[0] = fingerprint(ctx, w.src)
	if same, err := w.asRemembered(ctx); same || err != nil {
		return err
	}
	if w.status, err = w.src.Status(ctx); err != nil {
		return err
	}
	if s, ok := w.src.(formats.Salvaged); ok && s.Lost() != nil { // only a look inside shows some of it
		m.findings.lose(t.name, lostBefore, "", s.Lost().Error())
		w.prints[0] = "" // so that the next run says it again
	}
	if err := w.openTarget(ctx); err != nil {
		return err
	}
	r.UIDValidity = w.there.UIDValidity
	return w.carry(ctx)
}

func fingerprint(ctx context.Context, box formats.Mailbox) string {
	if f, ok := box.(formats.Fingerprinter); ok {
		if print, err := f.Fingerprint(ctx); err == nil {
			return print
		}
	}
	return ""
}

// asRemembered tells that nothing changed on either side since a run left them the same. Neither is listed for that: in
// some formats even a status means reading everything.
func (w *work) asRemembered(ctx context.Context) (same bool, err error) {
	e := w.task.entry
	if e == nil || !w.task.exists || w.o.RemoveOwn || !e.unchanged(w.name(), w.prints[0]) || e.volatile && e.key != w.key {
		return false, nil
	}
	dst, err := w.mirror.dst.Open(ctx, w.task.target)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if e.dstPrint == "" || fingerprint(ctx, dst) != e.dstPrint {
		return false, nil
	}
	n := int(e.status().Messages)
	w.r.UIDValidity, w.r.Messages, w.r.Unchanged = e.dstUIDValidity, n, n
	w.progressed(n)
	return true, nil
}

// unchanged tells whether a mailbox of the source with this fingerprint is as it was when a run had carried all of it.
func (e *entry) unchanged(name, print string) bool {
	return e.name == name && len(e.planned) == 0 && e.srcPrint != "" && e.srcPrint == print
}

// status is what an entry knows of an unchanged mailbox of the source: what it takes to recognise and to count it.
func (e *entry) status() formats.Status {
	return formats.Status{GUID: e.srcGUID, UIDValidity: e.srcUIDValidity, Volatile: e.volatile, Messages: uint32(countRuns(e.pairs))}
}

// openTarget opens the target's mailbox, made where it is missing.
func (w *work) openTarget(ctx context.Context) error {
	if w.task.exists {
		if err := w.reopen(ctx); err != nil {
			return err
		}
		again, err := w.mustRemake(ctx)
		if err != nil || !again {
			return err
		}
		if err := w.remove(ctx); err != nil {
			return err
		}
	}
	return w.create(ctx)
}

func (w *work) reopen(ctx context.Context) (err error) {
	if w.dst != nil {
		if err := w.dst.Close(); err != nil {
			return err
		}
	}
	if w.dst, err = w.mirror.dst.Open(ctx, w.task.target); err != nil {
		return err
	}
	w.prints[1] = fingerprint(ctx, w.dst)
	if w.there, err = w.dst.Status(ctx); err != nil {
		return err
	}
	w.fresh = w.there.Messages == 0
	e := w.task.entry
	w.known = e != nil && e.of(w.name(), w.key, w.status) && e.dstUIDValidity == w.there.UIDValidity
	return nil
}

func (w *work) name() string { return w.task.name }

// of tells whether an entry is about this mailbox of the source as it is now: its UIDs can be compared, or it never had
// lasting ones.
func (e *entry) of(name, key string, s formats.Status) bool {
	if e.volatile != s.Volatile {
		return false
	}
	if s.Volatile {
		return e.key == key && e.name == name
	}
	return e.srcUIDValidity == s.UIDValidity && (e.srcGUID == s.GUID || e.srcGUID.IsZero() || s.GUID.IsZero())
}

// mustRemake tells whether the target's mailbox has to be made anew to get the source's UIDVALIDITY, and can be because
// nothing in it would be lost.
func (w *work) mustRemake(ctx context.Context) (bool, error) {
	want := w.status.UIDValidity
	if w.known || w.status.Volatile || want == 0 {
		return false, nil
	}
	guids := !w.limits.NoMailboxGUID && !w.from.NoMailboxGUID && !w.status.GUID.IsZero()
	used := w.there.UIDNext > 1 && (w.status.Messages > 0 || w.there.UIDNext != w.status.UIDNext)
	if w.fresh && (used || guids && w.there.GUID != w.status.GUID) {
		return true, nil
	}
	if want == w.there.UIDValidity {
		return false, nil
	}
	if w.fresh || w.o.RemoveOwn {
		return true, nil
	}
	e := w.task.entry
	if e == nil || e.dstUIDValidity != w.there.UIDValidity {
		return false, nil
	}
	// The source renewed its mailbox. Nothing of the copy is lost by making it again if all of it was put there by us.
	_, own, err := w.split(ctx, w.dst, e)
	if err != nil || len(own) > 0 {
		return false, err
	}
	w.findings.lose(w.name(), lostRemade, fmt.Sprintf("%d -> %d", w.there.UIDValidity, want), "UIDVALIDITY changed in the source")
	return true, nil
}

// remove deletes the target's mailbox so that create can make it with another identity. Where a format cannot delete it
// (some cannot do without INBOX) it stays as it is.
func (w *work) remove(ctx context.Context) error {
	err := w.dst.Close()
	w.dst = nil
	if err != nil {
		return err
	}
	w.journal.remove(w.task.target)
	w.task.entry, w.known = nil, false
	if err := w.mirror.dst.Delete(ctx, w.task.target); err != nil && fatal(err) {
		return err
	}
	w.r.Did = "recreated"
	return nil
}

func (w *work) create(ctx context.Context) error {
	like := formats.Status{GUID: w.status.GUID}
	if !w.status.Volatile {
		like.UIDValidity = w.status.UIDValidity
	}
	if w.status.Messages == 0 && !w.status.Volatile {
		like.UIDNext, like.HighestModSeq, like.FirstRecent = w.status.UIDNext, w.status.HighestModSeq, w.status.FirstRecent
	}
	err := w.mirror.dst.Create(ctx, w.task.target, like)
	if err != nil && !errors.Is(err, formats.ErrExists) {
		return err
	}
	if err == nil && w.r.Did == "" {
		w.r.Did = "created"
	}
	if err != nil && w.r.Did == "recreated" {
		w.r.Did = ""
	}
	if err := w.reopen(ctx); err != nil {
		return err
	}
	if w.there.UIDValidity != w.status.UIDValidity && like.UIDValidity != 0 {
		w.findings.lose(w.name(), lostUIDValidity, fmt.Sprintf("%d -> %d", w.status.UIDValidity, w.there.UIDValidity),
			"the target's mailbox has one of its own")
	}
	if !like.GUID.IsZero() && !w.from.NoMailboxGUID && w.there.GUID != like.GUID {
		w.findings.lose(w.name(), lostMailboxGUID, like.GUID.String(), "the target's mailbox has one of its own")
	}
	if w.limits.NoModSeq && !w.from.NoModSeq && w.status.HighestModSeq > 1 {
		w.findings.lose(w.name(), lostModSeq, "", w.limits.Format+" keeps no modification sequences of its own")
	}
	return nil
}

// carry compares both sides and does what is to do.
func (w *work) carry(ctx context.Context) error {
	c, err := w.compare(ctx)
	if err != nil {
		return err
	}
	p := c.plan()
	w.count(c, p)
	w.announce(c, p)
	if p.empty() {
		return w.finish(ctx, c, p.kept, w.there)
	}
	copied, err := w.do(ctx, c, p)
	if err != nil {
		return err
	}
	after, err := w.settled(ctx, p, copied)
	if err != nil {
		return err
	}
	kept := append(p.kept, copied...)
	sortByTarget(kept)
	return w.finish(ctx, c, kept, after)
}

func (w *work) count(c *compare, p *plan) {
	w.r.Messages = len(c.src.recs)
	w.r.Unchanged = max(0, p.unchanged-w.r.Appended) // those that an attempt before this one appended are there by now
	w.r.Own = p.own.Len()
	w.r.Flagged, w.r.Expunged = 0, p.expunge.Len()
	for _, uids := range p.flags {
		w.r.Flagged += uids.Len()
	}
	w.progressed(len(p.kept))
}

// announce lists what is known to be lost before a body is read.
func (w *work) announce(c *compare, p *plan) {
	if !c.src.status.Volatile && c.src.status.UIDValidity == c.dst.status.UIDValidity {
		for uid := range p.renumbered.All() {
			w.findings.lose(w.name(), lostUID, "", "the target has gone past this UID already", uid)
		}
	}
	if len(c.hold.lost) == 0 {
		return
	}
	changed := make([]bool, len(c.src.recs))
	for _, part := range p.appends {
		for _, pr := range part {
			if at, ok := c.src.find(pr.src); ok {
				changed[at] = true
			}
		}
	}
	for i, r := range c.src.recs {
		if changed[i] {
			c.hold.announce(&w.findings, w.name(), r)
		}
	}
}

// A fingerprint made of time stamps cannot be promised before the clock of the file system has ticked. After a mailbox
// that took long, waiting for that costs little and spares the next run a look at every message; a small one is looked
// at quickly.
const (
	worthWaiting = 250 * time.Millisecond
	clockTick    = 60 * time.Millisecond
)

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// settled looks at the target after the work. Its fingerprint may be remembered only if nobody else changed anything
// meanwhile.
func (w *work) settled(ctx context.Context, p *plan, copied []pair) (formats.Status, error) {
	print := fingerprint(ctx, w.dst)
	if print == "" && time.Since(w.began) > worthWaiting {
		if err := pause(ctx, clockTick); err != nil {
			return w.there, err
		}
		print = fingerprint(ctx, w.dst)
	}
	after, err := w.dst.Status(ctx)
	if err != nil {
		return after, err
	}
	w.prints[1] = ""
	if int(after.Messages) == int(w.there.Messages)+len(copied)-p.expunge.Len() {
		w.prints[1] = print
	}
	return after, nil
}

// finish remembers what both sides have in common now. With anything set aside there is more to do next time, so the
// fingerprints are not kept.
func (w *work) finish(ctx context.Context, c *compare, pairs []pair, after formats.Status) error {
	e := w.entryOf(c, pairs, nil, after)
	complete := len(pairs) == len(c.src.recs)
	if complete && len(c.src.bad) == 0 {
		e.srcPrint, e.dstPrint = w.prints[0], w.prints[1]
	}
	w.r.UIDValidity = after.UIDValidity
	w.journal.put(e)
	return nil
}

// entryOf makes the memory of one mailbox. In a volatile source the UIDs of both lists become places among the idents.
func (w *work) entryOf(c *compare, pairs, planned []pair, target formats.Status) *entry {
	e := &entry{
		key: w.key, name: w.task.name, target: w.task.target,
		srcGUID: w.status.GUID, dstGUID: target.GUID,
		srcUIDValidity: w.status.UIDValidity, dstUIDValidity: target.UIDValidity,
		volatile: w.status.Volatile,
	}
	if e.volatile {
		e.srcUIDValidity = 0
		pairs, planned = e.remember(c.src, pairs), e.remember(c.src, planned)
	}
	e.pairs, e.planned = runsOf(pairs), runsOf(planned)
	return e
}

// remember adds the idents of the pairs' messages and gives the pairs with their ordinals.
func (e *entry) remember(src *state, pairs []pair) []pair {
	out := make([]pair, 0, len(pairs))
	for _, pr := range pairs {
		if pr.src == 0 {
			out = append(out, pr)
		} else if s, ok := src.find(pr.src); ok {
			e.idents = append(e.idents, src.guids[s])
			out = append(out, pair{uint32(len(e.idents)), pr.dst})
		}
	}
	return out
}
